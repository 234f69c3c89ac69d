"""Which VLAN of a file is replayed, and what is said of the others."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from carppcap.cli import main
from carppcap.errors import ConfigError
from carppcap.replay import vlans
from carppcap.wire.decode import LinkType, Vlan
from tests import captures
from tests.builders import (
    HIGHER,
    LOWER,
    LOWER6,
    NIC_MAC,
    PASSWORD,
    VIP,
    config,
    ethernet,
    frame,
    payload,
)
from tests.builders import ipv4 as packet

HOST = config(advskew=0)
FLAGS = ["-s10.1.1.9", "-v7", "-a", str(VIP), "-p", PASSWORD.decode(), "-k200"]
ADVERT = frame(payload(HOST, 1))
OTHER = frame(payload(config(vhid=9), 1), source=HIGHER)
ETHERNET = LinkType.ETHERNET

Output = pytest.CaptureFixture[str]


def in_vlan(raw: bytes, *ids: int) -> bytes:
    """A frame behind tags, the service tag outside."""
    kinds = (0x8100,) if len(ids) == 1 else (0x88A8, 0x8100)
    tags = b"".join(
        kind.to_bytes(2, "big") + (0xE000 | number).to_bytes(2, "big")
        for kind, number in zip(kinds, ids, strict=True)
    )
    return raw[:12] + tags + raw[12:]


@pytest.mark.parametrize(
    ("text", "vlan"),
    [
        ("0", ()),
        ("untagged", ()),
        ("1", (1,)),
        ("4094", (4094,)),
        ("10.20", (10, 20)),
        ("010", (10,)),
    ],
)
def test_parse_vlan(text: str, vlan: Vlan) -> None:
    """A tag, two of them, or none."""
    assert vlans.parse_vlan(text, "--vlan") == vlan


@pytest.mark.parametrize(
    "text", ["", "4095", "-1", "+1", " 1", "1 ", "a", "1.", ".1", "1.0", "0.1", "1.2.3",
             "10,20", "0x10", "²", "9" * 5_000, "tagged"],
)  # fmt: skip
def test_parse_vlan_refuses(text: str) -> None:
    """4095 is reserved (802.1Q, table 9-2), and 0 only marks a priority."""
    with pytest.raises(ConfigError, match="for --vlan"):
        vlans.parse_vlan(text, "--vlan")


@pytest.mark.parametrize("vlan", [(), (1,), (10, 20)])
def test_the_name_of_a_vlan_can_be_given(vlan: Vlan) -> None:
    """What a note says is what the option takes."""
    assert vlans.parse_vlan(vlans.vlan_name(vlan), "--vlan") == vlan


def test_frames_of_one_vlan_pass_without_their_tags() -> None:
    """A priority is no VLAN, and what ends within its tags is of none."""
    outside, inside = vlans.VlanFilter(()), vlans.VlanFilter((10, 20))
    tagged = in_vlan(ADVERT, 10, 20)

    assert inside.take(tagged, ETHERNET) == ADVERT
    assert inside.take(ADVERT, ETHERNET) is None
    assert inside.take(in_vlan(ADVERT, 20), ETHERNET) is None
    assert outside.take(in_vlan(ADVERT, 0), ETHERNET) == ADVERT
    assert outside.take(tagged, ETHERNET) is None
    assert outside.take(tagged[:21], ETHERNET) is None
    assert outside.take(packet(b""), LinkType.RAW) == packet(b"")


def test_only_vlans_with_adverts_are_named() -> None:
    """So many and no more: tags can be forged."""
    passing = vlans.VlanFilter(())
    assert passing.note() == ""

    passing.take(in_vlan(ADVERT[:34], 5), ETHERNET)
    passing.take(ADVERT, ETHERNET)
    assert passing.note() == ""

    for number in range(1, 4095):
        passing.take(in_vlan(ADVERT, number), ETHERNET)
    assert passing.note().count(",") == vlans.NAMED_MAX - 1


def replayed(capsys: Output, path: Path, *words: str) -> list[str]:
    assert main(["replay", str(path), *words]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.splitlines()


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """Three groups of one number: on VLAN 10, on VLAN 20 in VLAN 10, and untagged."""
    six = frame(payload(config(advskew=9), 5), source=LOWER6)
    path = tmp_path / "trunk.pcap"
    path.write_bytes(
        captures.pcap(
            [
                (0, in_vlan(OTHER, 3)),
                (500_000, in_vlan(ADVERT, 10)),
                (1_000_000, in_vlan(frame(payload(HOST, 2), HIGHER), 10, 20)),
                (1_500_000, in_vlan(frame(payload(HOST, 3)), 10)),
                (2_000_000, frame(payload(HOST, 4), HIGHER)),
                (2_500_000, six),
                (10_000_000, bytes(60)),
            ]
        )
    )
    return path


LISTED = "VLANs with adverts in this file: untagged, 3, 10, 10.20; replayed: {}"


@pytest.mark.parametrize(
    ("words", "name", "accepted"),
    [
        ([], "10", {LOWER: 2}),
        (["--vlan", "10"], "10", {LOWER: 2}),
        (["--vlan=10.20"], "10.20", {HIGHER: 1}),
        (["--vlan", "0"], "untagged", {HIGHER: 1}),
        (["--vlan", "untagged"], "untagged", {HIGHER: 1}),
        (["--vlan", "20"], "20", {}),
    ],
)
def test_vlans_are_never_mixed(
    trunk: Path,
    capsys: Output,
    words: list[str],
    name: str,
    accepted: dict[IPv4Address, int],
) -> None:
    """The first with the group counts unless another is named; time is that of all."""
    lines = replayed(capsys, trunk, *FLAGS, *words)

    senders = {
        IPv4Address(line.split()[1]): int(line.split()[5])
        for line in lines
        if line.startswith("sender") and "accepted" in line
    }
    assert senders == accepted
    assert lines[-1] == f"note: {LISTED.format(name)} (--vlan takes another)"
    guess = "note: no --vlan: taking 10, the first with vhid 7"
    assert (guess in lines) == (not words)
    assert any(line.startswith("10.000000") for line in lines)
    assert not any("vhid 9" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "vhid", "accepted"),
    [([], 9, 1), (["--vlan", "10.20"], 7, 1), (["-v", "7"], 7, 2)],
)
def test_group_and_vlan_belong_together(
    trunk: Path, capsys: Output, words: list[str], vhid: int, accepted: int
) -> None:
    """The group is looked for in the VLAN that was named, and the other way round."""
    lines = replayed(capsys, trunk, *words)

    assert f"accepted {accepted} " in next(x for x in lines if x.startswith("total"))
    assert f"vhid {vhid}" in next(x for x in lines if x[0].isdigit())


def test_announcements_belong_to_a_vlan(tmp_path: Path, capsys: Output) -> None:
    """What a host of another VLAN announces is no address of this group."""
    arp = bytes.fromhex("0001080006040001") + (NIC_MAC + VIP.packed) * 2
    announced = ethernet(arp, ethertype=0x0806)
    wrong = [*FLAGS, "-a", "10.1.1.250"]
    wrong.remove(str(VIP))
    wrong.remove("-a")
    told = {}
    for name, raw in (("ours", announced), ("theirs", in_vlan(announced, 10))):
        path = tmp_path / name
        path.write_bytes(captures.pcap([(0, raw), (1, ADVERT)]))
        told[name] = " ".join(replayed(capsys, path, *wrong))

    assert f"fit address {VIP}" in told["ours"]
    assert f"fit address {VIP}" not in told["theirs"]


def test_a_vlan_without_adverts(trunk: Path, capsys: Output) -> None:
    """The file then has no group to begin with; a slip gets its own complaint."""
    assert main(["replay", str(trunk), "--vlan", "77"]) == 2
    assert "no CARP advert in it" in capsys.readouterr().err
    assert main(["replay", str(trunk), "--vlan", "4095"]) == 1
    assert "Invalid VLAN: [4095] for --vlan" in capsys.readouterr().err


def test_without_a_tag_nothing_is_said(tmp_path: Path, capsys: Output) -> None:
    """Nor where the tags carry a priority alone."""
    path = tmp_path / "plain.pcap"
    path.write_bytes(captures.pcap([(0, ADVERT), (1_000_000, in_vlan(ADVERT, 0))]))

    assert not any("VLAN" in line for line in replayed(capsys, path, *FLAGS))
