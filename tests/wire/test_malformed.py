"""Malformed frames of every known shape, from the wire's bytes to what is said of them.

Each shape goes through decoder and doorkeeper, and all of them together, as one
capture file, through `carppcap replay`: a named rejection or silence, nothing else.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from struct import pack
from typing import TypeAlias

import pytest

from carppcap.cli import main
from carppcap.node.ingress import Ingress, Rejection, RejectReason
from carppcap.wire.decode import LinkType, decode
from tests import captures
from tests.builders import (
    GROUP,
    GROUP6,
    LOWER,
    LOWER6,
    NIC_MAC,
    OURS,
    OURS6,
    PASSWORD,
    VIP,
    VIP6,
    advertisement,
    config,
    ethernet,
    ipv4,
    ipv6,
    payload,
    vrrp_v2,
    vrrp_v3,
)

HOST = config(source6=OURS6, vips=(VIP, VIP6))
INGRESS = Ingress([HOST])
_numbers = count(1 << 32)

ADVERT, SILENCE = "advert", ""
BADLEN = RejectReason.BADLEN.value

Wrap: TypeAlias = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Shape:
    """A frame and what must come of it: a rejection's name, ADVERT or SILENCE.

    `length` is what it had on the wire, where less of it was captured.
    """

    name: str
    raw: bytes
    expected: str
    length: int | None = None


def body() -> bytes:
    """Return an authentic advert, each with another counter."""
    return payload(HOST, next(_numbers))


def sll(packet: bytes, ethertype: int = 0x0800) -> bytes:
    return b"\0\2\0\1\0\6" + NIC_MAC + b"\0\0" + pack("!H", ethertype) + packet


def sll2(packet: bytes, ethertype: int = 0x0800) -> bytes:
    return pack("!H6x", ethertype) + b"\0\1\2\6" + NIC_MAC + b"\0\0" + packet


def raw_ip(packet: bytes, ethertype: int = 0x0800) -> bytes:
    return packet


LINKS: dict[LinkType, tuple[int, Callable[..., bytes], int]] = {
    LinkType.ETHERNET: (captures.ETHERNET, ethernet, 14),
    LinkType.LINUX_SLL: (captures.SLL, sll, 16),
    LinkType.LINUX_SLL2: (captures.SLL2, sll2, 20),
    LinkType.RAW: (captures.RAW, raw_ip, 0),
    LinkType.IPV4: (228, raw_ip, 0),
    LinkType.IPV6: (229, raw_ip, 0),
}
"""The number in a file, a frame around a packet, and the length of its header."""


def cut_frames(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """Less and less of a frame, by a short snapshot length or a broken sender."""
    for name, packet in (
        ("plain", ipv4(body())),
        ("options", ipv4(body(), options=b"\7\47\4" + bytes(37))),
        ("trailing", ipv4(body() + bytes(20))),
    ):
        whole = wrap(packet)
        for length in range(len(whole)):
            # What has not yet begun to be IPv4 might be anything.
            expected = BADLEN if length > header_length else SILENCE
            cut = whole[:length]
            yield Shape(f"{name} cut at {length}", cut, expected, len(whole))
        yield Shape(f"{name} whole", whole, ADVERT)


def contradictions(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """Every header length against total lengths around every limit."""
    for words in range(16):
        for total in (0, 1, 19, 20, 35, 36, 55, 56, 57, 59, 60, 61, 95, 96, 97, 65535):
            options = bytes((1,)) * (4 * max(0, words - 5))
            packet = bytearray(ipv4(body(), options=options, total_length=total))
            packet[0] = 0x40 | words
            end = max(20, 4 * words) + 36
            is_sound = words >= 5 and total == end
            expected = ADVERT if is_sound else BADLEN
            yield Shape(f"words {words} total {total}", wrap(bytes(packet)), expected)


def fragments(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """A fragment is rejected; the two other flags do not matter."""
    for field in (0x2000, 0x3FFF, 0x1FFF, 0xA000, *(1 << bit for bit in range(13))):
        yield Shape(f"fragment {field:#x}", wrap(ipv4(body(), fragment=field)), BADLEN)
    for field in (0, 0x4000, 0x8000, 0xC000):
        yield Shape(f"flags {field:#x}", wrap(ipv4(body(), fragment=field)), ADVERT)


def ip_options(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """Options of every kind, also of lengths that no option can have."""
    for kind in range(256):
        for claimed in (0, 1, 2, 3, 40, 255):
            options = (bytes((kind, claimed)) * 20)[: 4 + kind % 10 * 4]
            packet = ipv4(body(), options=options)
            yield Shape(f"option {kind} of {claimed} bytes", wrap(packet), ADVERT)


def jumbo_frames(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """Frames as long as a packet and a capture can be."""
    longest = 65_535 - header_length
    fill = bytes(longest - 56)
    good, forged = body(), payload(HOST, 1, digest=bytes(20))
    damaged = bytes((good[0], good[1], good[2] ^ 1)) + good[3:]
    cases = {"good": (good, ADVERT), "forged": (forged, "badauth")}
    for name, (advert, expected) in (cases | {"damaged": (damaged, "badsum")}).items():
        yield Shape(f"jumbo {name}", wrap(ipv4(advert + fill)), expected)
    whole = wrap(ipv4(body() + fill))
    yield Shape("jumbo cut by 1", whole[:-1], BADLEN, len(whole))
    yield Shape("jumbo cut to 9000", whole[:9000], BADLEN, len(whole))
    yield Shape("jumbo padding", wrap(ipv4(body())) + bytes(9000), ADVERT)


EXTENSIONS = (0, 43, 60)
"""Headers of IPv6 that are stepped over: hop-by-hop, routing, destination."""


def outcome_behind(kinds: tuple[int, ...]) -> str:
    """Of an advert behind headers of these kinds, the last one that of the advert."""
    for place, kind in enumerate(kinds):
        if kind == 112 and place <= 8:
            return ADVERT
        if kind == 44 and place <= 8:
            return BADLEN if kinds[place + 1] == 112 else SILENCE
        if kind not in EXTENSIONS:
            break
    return SILENCE


def behind(
    kinds: tuple[int, ...], length: int = 0, advert: bytes | None = None
) -> bytes:
    """An advert behind headers of these kinds, each of which claims this length."""
    chain = b"".join(
        bytes((following, length)) + bytes(6 + 8 * length) for following in kinds[1:]
    )
    return ipv6(advert or body(), extensions=chain, next_header=kinds[0])


def ipv6_extensions(wrap: Callable[..., bytes], header_length: int) -> Iterator[Shape]:
    """Extension headers of every kind and length before protocol 112."""
    for first in (112, *EXTENSIONS, 44, 50, 51, 59, 135, 139, 140, 253):
        for length in (0, 1, 4, 255):
            for chain in (1, 2, 8, 9, 30) if first != 112 else (0,):
                kinds = (first,) * chain + (112,)
                packet = behind(kinds, length)
                name = f"ipv6 {first}/{length} x{chain}"
                whole = wrap(packet, ethertype=0x86DD)
                expected = outcome_behind(kinds)
                yield Shape(name, whole, expected)
                # The last header ends where the advert should begin.
                headers_end = len(whole) - 36
                if expected == ADVERT and chain:
                    cut = whole[: headers_end - 1]
                    yield Shape(f"{name} cut", cut, BADLEN, len(whole))
    for mixed in ((0, 60, 43, 60), (60, 0), (43, 44), (44, 60), (0, 0, 44), (60, 58)):
        kinds = (*mixed, 112)
        packet = behind(kinds)
        yield Shape(
            f"ipv6 {mixed}", wrap(packet, ethertype=0x86DD), outcome_behind(kinds)
        )


def ipv6_cut_frames(wrap: Callable[..., bytes], header_length: int) -> Iterator[Shape]:
    """Less and less of a frame, at every byte of every header."""
    for name, packet in (
        ("plain", ipv6(body())),
        ("extended", behind((0, 43, 60, 112), 1)),
        ("fragment", behind((60, 44, 112))),
        ("trailing", ipv6(body() + bytes(20))),
    ):
        whole = wrap(packet, ethertype=0x86DD)
        for length in range(len(whole)):
            expected = BADLEN if length > header_length else SILENCE
            cut = whole[:length]
            yield Shape(f"ipv6 {name} cut at {length}", cut, expected, len(whole))
        expected = BADLEN if name == "fragment" else ADVERT
        yield Shape(f"ipv6 {name} whole", whole, expected)


def ipv6_headers(wrap: Callable[..., bytes], header_length: int) -> Iterator[Shape]:
    """Payload lengths, hop limits, addresses, and what does not matter."""

    def shape(name: str, packet: bytes, expected: str) -> Shape:
        return Shape(f"ipv6 {name}", wrap(packet, ethertype=0x86DD), expected)

    for length in (0, 1, 7, 8, 35, 37, 40, 1280, 65535):
        yield shape(f"length {length}", ipv6(body(), payload_length=length), BADLEN)
        chained = bytearray(behind((60, 112)))
        chained[4:6] = pack("!H", length)
        yield shape(f"length {length} of a chain", bytes(chained), BADLEN)
    for hops in (0, 1, 64, 254):
        yield shape(f"hops {hops}", ipv6(body(), hop_limit=hops), "badttl")
    for number in set(range(256)) - {112, 44, *EXTENSIONS}:
        yield shape(f"next header {number}", ipv6(body(), next_header=number), SILENCE)
    for class_and_flow in (b"\x6e\0\0\0", b"\x6f\xff\xff\xff"):
        packet = class_and_flow + ipv6(body())[4:]
        yield shape(f"flow {class_and_flow.hex()}", packet, ADVERT)
    for length in range(36):
        # An advert that is cut might else have the length of a VRRP one.
        cut = body()[:length]
        advert = cut[:3] + b"\xff" + cut[4:] if length > 3 else cut
        yield shape(f"advert of {length}", ipv6(advert), BADLEN)
    for index in range(36):
        advert = body()
        spoiled = bytes((*advert[:index], advert[index] ^ 0xFF, *advert[index + 1 :]))
        expected = {0: "badver", 1: "badvhid"}.get(index, "badsum")
        yield shape(f"byte {index} of advert", ipv6(spoiled), expected)
    fill = bytes(65_535 - header_length - 40 - 36)
    yield shape("jumbo", ipv6(body() + fill), ADVERT)
    yield shape("own", ipv6(body(), source=OURS6), "own")
    yield shape("unicast", ipv6(body(), destination=OURS6), "wrong_group")
    yield shape("forged", ipv6(payload(HOST, 1, digest=bytes(20))), "badauth")
    yield shape("padded", ipv6(body()) + bytes(9000), ADVERT)
    for number in (1, 2, 7, 20):
        routers = vrrp_v3(number, source=LOWER6, destination=GROUP6)
        yield shape(f"vrrp {number}", ipv6(routers), "vrrp")
    yield shape("neighbour advertisement", advertisement(), SILENCE)
    for length in range(8):
        packet = ipv6(vrrp_v3(1, source=LOWER6, destination=GROUP6)[:length])
        yield shape(f"vrrp of {length}", packet, BADLEN)


def mismatched(wrap: Callable[..., bytes], header_length: int) -> Iterator[Shape]:
    """One family by its ethertype, and the other, or none, by its first byte."""
    for version in set(range(16)) - {6}:
        packet = bytes((version << 4,)) + ipv6(body())[1:]
        yield Shape(f"ipv6 as {version}", wrap(packet, ethertype=0x86DD), SILENCE)
    yield Shape("ipv6 as ipv4", wrap(ipv6(body())), SILENCE)
    yield Shape("ipv4 as ipv6", wrap(ipv4(body()), ethertype=0x86DD), SILENCE)


def other_versions(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """IPv4 by its ethertype, and something else by its first byte."""
    for version in set(range(16)) - {4}:
        packet = bytes((version << 4 | 5,)) + ipv4(body())[1:]
        yield Shape(f"version {version}", wrap(packet), SILENCE)
    for protocol in set(range(256)) - {112}:
        packet = ipv4(ipv4(body()), protocol=protocol)
        yield Shape(f"protocol {protocol}", wrap(packet), SILENCE)


def headers(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """Sound frames with one field of the advert or of IP at each of its limits."""
    for ttl in (0, 1, 64, 254):
        yield Shape(f"ttl {ttl}", wrap(ipv4(body(), ttl=ttl)), "badttl")
    for version in set(range(16)) - {2, 3}:
        advert = payload(HOST, version=version)
        yield Shape(f"advert version {version}", wrap(ipv4(advert)), "badver")
    for vhid in set(range(256)) - {HOST.vhid}:
        yield Shape(f"vhid {vhid}", wrap(ipv4(payload(HOST, vhid=vhid))), "badvhid")
    for length in range(36):
        advert = body()[:length]
        # An advert that is cut might else have the length of a VRRP one.
        packet = ipv4(advert[:3] + b"\xff" + advert[4:] if length > 3 else advert)
        yield Shape(f"advert of {length}", wrap(packet), BADLEN)
    yield Shape("own", wrap(ipv4(body(), source=OURS)), "own")
    yield Shape("unicast", wrap(ipv4(body(), destination=OURS)), "wrong_group")
    for index in range(36):
        advert = body()
        spoiled = bytes((*advert[:index], advert[index] ^ 0xFF, *advert[index + 1 :]))
        expected = {0: "badver", 1: "badvhid"}.get(index, "badsum")
        yield Shape(f"byte {index} of advert", wrap(ipv4(spoiled)), expected)


def vrrp(wrap: Wrap, header_length: int) -> Iterator[Shape]:
    """VRRP, whole, and with a count that its length contradicts."""
    for number in (1, 2, 3, 6, 8, 20, 255):
        for name, advert in (("v2", vrrp_v2(number)), ("v3", vrrp_v3(number))):
            yield Shape(f"vrrp {name} {number}", wrap(ipv4(advert)), "vrrp")
            # Too short for one of ours, and not a VRRP advert either.
            short = advert[:3] + b"\xfe" + advert[4:19]
            yield Shape(f"vrrp {name} {number} cut", wrap(ipv4(short)), BADLEN)
    for length in range(8):
        yield Shape(f"vrrp of {length}", wrap(ipv4(vrrp_v2(1)[:length])), BADLEN)


def vlan_stacks(wrap: Callable[..., bytes], header_length: int) -> Iterator[Shape]:
    """0 to 8 tags of each kind: two of no VLAN are read, one of a VLAN is silence."""
    for kind, number in product((0x8100, 0x88A8, 0x9100), (0, 0x64)):
        for depth in range(9):
            tags = pack("!HH", kind, 0xE000 | number) * depth
            is_ours = depth == 0 or (depth <= 2 and number == 0)
            raw = wrap(ipv4(body()), tags=tags)
            name = f"{depth} tags {kind:#x} {number}"
            yield Shape(name, raw, ADVERT if is_ours else SILENCE)
            for ends_at in range(14, 14 + 4 * min(depth, 2)):
                yield Shape(f"{name} cut at {ends_at}", raw[:ends_at], SILENCE)


def other_encapsulations(wrap: Callable[..., bytes], length: int) -> Iterator[Shape]:
    """IPv4 behind what an ethertype, or a length in its place, leads to."""
    packet = ipv4(body())
    snap = b"\xaa\xaa\3\0\0\0\x08\0" + packet
    yield Shape("802.3 with SNAP", wrap(snap, ethertype=len(snap)), SILENCE)
    yield Shape("PPPoE", wrap(b"\x11\0\0\1\0\x3a\0\x21" + packet, ethertype=0x8864), "")
    yield Shape("MPLS", wrap(b"\0\1\1\xff" + packet, ethertype=0x8847), SILENCE)
    for end in range(0, 28, 3):
        arp = (b"\0\1\x08\0\6\4\0\1" + (NIC_MAC + VIP.packed) * 2)[:end]
        yield Shape(f"ARP cut at {end}", wrap(arp, ethertype=0x0806), SILENCE)


IPV4 = (cut_frames, contradictions, fragments, ip_options, jumbo_frames,
        other_versions, headers, vrrp)  # fmt: skip
IPV6 = (ipv6_extensions, ipv6_cut_frames, ipv6_headers)
FAMILIES: list[tuple[LinkType, Callable[..., Iterator[Shape]]]] = [
    *((link, family) for link in LINKS if link is not LinkType.IPV6 for family in IPV4),
    *((link, family) for link in LINKS if link is not LinkType.IPV4 for family in IPV6),
    *((link, mismatched) for link, (_, _, length) in LINKS.items() if length),
    (LinkType.ETHERNET, vlan_stacks),
    (LinkType.ETHERNET, other_encapsulations),
]


def shapes(link_type: LinkType, family: Callable[..., Iterator[Shape]]) -> list[Shape]:
    _, wrap, header_length = LINKS[link_type]
    return list(family(wrap, header_length))


@pytest.mark.parametrize(
    ("link_type", "family"),
    FAMILIES,
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_name_or_silence(
    link_type: LinkType, family: Callable[..., Iterator[Shape]]
) -> None:
    """Every shape has the outcome that its table says."""
    for shape in shapes(link_type, family):
        verdict = INGRESS.check(decode(shape.raw, link_type))

        outcome = SILENCE
        if isinstance(verdict, tuple):
            outcome = ADVERT
        elif isinstance(verdict, Rejection):
            outcome = verdict.reason.value
        assert (shape.name, outcome) == (shape.name, shape.expected)


@pytest.mark.parametrize("link_type", LINKS)
def test_one_file_of_them_all(
    link_type: LinkType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replay of all shapes in one file reports the same outcomes."""
    all_of_them = [
        shape
        for link, family in FAMILIES
        if link is link_type
        for shape in shapes(link, family)
    ]
    capture = captures.pcap([], LINKS[link_type][0]) + b"".join(
        pack("<IIII", number // 1000, number % 1000 * 1000, len(shape.raw), length)
        + shape.raw
        for number, shape in enumerate(all_of_them)
        for length in [shape.length or len(shape.raw)]
    )
    (tmp_path / "all.pcap").write_bytes(capture)
    flags = (
        f"-s {OURS} -s {OURS6} -v {HOST.vhid} -a {VIP},{VIP6} -m {GROUP} "
        f"-p {PASSWORD.decode()}"
    )

    outcomes = {}
    for debug in ("-D", "-z"):
        words = [str(tmp_path / "all.pcap"), *flags.split(), debug, "--json"]
        status = main(["replay", *words])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        outcomes[debug] = [json.loads(line) for line in printed.out.splitlines()]

    told = [
        record["reason"] if record["kind"] == "rejection" else ADVERT
        for record in outcomes["-D"]
        if record["kind"] == "rejection"
        or record.get("source") in (str(LOWER), str(LOWER6))
    ]
    expected = [shape.expected for shape in all_of_them if shape.expected]
    assert told == expected
    ends = [records for records in outcomes.values() for records in records]
    for end in (record for record in ends if record["kind"] == "summary"):
        assert end["frames"] == len(all_of_them)
        assert end["accepted"] == expected.count(ADVERT)
        assert sum(end["rejected"].values()) == len(expected) - end["accepted"]
