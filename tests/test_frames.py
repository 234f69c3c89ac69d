"""Frames of every shape, whole, cut and spoiled."""

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from carppcap import frames
from carppcap.frames import Datagram, Defect, LinkType
from tests.builders import (
    GROUP,
    HIGHER,
    LOWER,
    NIC_MAC,
    VIP,
    config,
    ethernet,
    frame,
    ipv4,
    payload,
)

BODY = payload(config())
PACKET = ipv4(BODY)
PLAIN = ethernet(PACKET)
PEER_MAC = bytes.fromhex("00005e000107")
TAG = bytes.fromhex("81000064")
SERVICE_TAG = bytes.fromhex("88a80064")
ARP_BODY = (
    bytes.fromhex("0001080006040001") + NIC_MAC + VIP.packed + NIC_MAC + VIP.packed
)

EXPECTED = Datagram(
    source=LOWER,
    destination=GROUP,
    ttl=255,
    header_ok=True,
    payload=BODY,
    source_mac=PEER_MAC,
)


def sll(packet: bytes, ethertype: int = 0x0800, mac_length: int = 6) -> bytes:
    """A Linux cooked frame, version 1."""
    head = bytes.fromhex("00020001") + mac_length.to_bytes(2, "big")
    return head + PEER_MAC + b"\0\0" + ethertype.to_bytes(2, "big") + packet


def sll2(packet: bytes, ethertype: int = 0x0800, mac_length: int = 6) -> bytes:
    """A Linux cooked frame, version 2."""
    head = ethertype.to_bytes(2, "big") + bytes.fromhex("0000000000030001")
    return head + bytes((2, mac_length)) + PEER_MAC + b"\0\0" + packet


ETHERNET_SHAPES = [
    pytest.param(PLAIN, EXPECTED, id="plain"),
    pytest.param(PLAIN + bytes(4), EXPECTED, id="padded"),
    pytest.param(ethernet(PACKET, tags=TAG), EXPECTED, id="one-tag"),
    pytest.param(ethernet(PACKET, tags=SERVICE_TAG + TAG), EXPECTED, id="two-tags"),
    pytest.param(ethernet(PACKET, tags=TAG * 3), Defect.TRUNCATED, id="three-tags"),
    pytest.param(
        ethernet(PACKET, tags=SERVICE_TAG * 3), Defect.FOREIGN, id="three-other"
    ),
    pytest.param(ethernet(PACKET, tags=TAG * 9), Defect.TRUNCATED, id="nine-tags"),
    pytest.param(ethernet(ipv4(BODY, ttl=64)), replace(EXPECTED, ttl=64), id="ttl-64"),
    pytest.param(
        ethernet(ipv4(BODY, source=HIGHER, destination=VIP)),
        replace(EXPECTED, source=HIGHER, destination=VIP),
        id="addresses",
    ),
    pytest.param(
        ethernet(ipv4(BODY + b"\1\2\3")),
        replace(EXPECTED, payload=BODY + b"\1\2\3"),
        id="trailing",
    ),
    pytest.param(ethernet(ipv4(b"")), replace(EXPECTED, payload=b""), id="empty"),
    pytest.param(ethernet(ipv4(BODY, protocol=17)), Defect.FOREIGN, id="udp"),
    pytest.param(
        ethernet(ipv4(BODY, protocol=17), tags=TAG), Defect.FOREIGN, id="udp-tagged"
    ),
    pytest.param(ethernet(ipv4(BODY))[:33], Defect.TRUNCATED, id="short-of-ip"),
    pytest.param(
        ethernet(ipv4(BODY, protocol=17))[:30], Defect.TRUNCATED, id="short-of-udp"
    ),
    pytest.param(
        ethernet(PACKET, tags=TAG)[:17], Defect.TRUNCATED, id="short-of-its-tag"
    ),
    pytest.param(ethernet(PACKET, ethertype=0x86DD), Defect.FOREIGN, id="ipv6-type"),
    pytest.param(ethernet(b"\x60" + PACKET[1:]), Defect.FOREIGN, id="ip-version-6"),
    pytest.param(ethernet(b""), Defect.FOREIGN, id="bare-header"),
    pytest.param(b"", Defect.FOREIGN, id="nothing"),
    pytest.param(
        ethernet(ipv4(BODY, total_length=57)), Defect.TRUNCATED, id="longer-than-frame"
    ),
    pytest.param(
        ethernet(ipv4(BODY, total_length=19)),
        Defect.TRUNCATED,
        id="shorter-than-header",
    ),
    pytest.param(
        ethernet(ipv4(BODY, total_length=20)),
        replace(EXPECTED, payload=b""),
        id="no-payload",
    ),
    pytest.param(
        ethernet(ipv4(BODY, fragment=0x2000)), Defect.FRAGMENT, id="more-come"
    ),
    pytest.param(ethernet(ipv4(BODY, fragment=0x0001)), Defect.FRAGMENT, id="offset-1"),
    pytest.param(
        ethernet(ipv4(BODY, fragment=0x1000)), Defect.FRAGMENT, id="offset-top"
    ),
    pytest.param(ethernet(ipv4(BODY, fragment=0)), EXPECTED, id="may-be-fragmented"),
]


@pytest.mark.parametrize(("raw", "expected"), ETHERNET_SHAPES)
def test_decode_ethernet(raw: bytes, expected: Datagram | Defect) -> None:
    """Tags, padding, fragments and lengths that contradict each other."""
    assert frames.decode(raw, LinkType.ETHERNET) == expected


@pytest.mark.parametrize(
    ("raw", "link_type", "mac"),
    [
        pytest.param(sll(PACKET), LinkType.LINUX_SLL, PEER_MAC, id="sll"),
        pytest.param(
            sll(PACKET, mac_length=0), LinkType.LINUX_SLL, None, id="sll-bare"
        ),
        pytest.param(
            sll(TAG[2:] + b"\x08\0" + PACKET, 0x8100),
            LinkType.LINUX_SLL,
            PEER_MAC,
            id="sll-tag",
        ),
        pytest.param(sll2(PACKET), LinkType.LINUX_SLL2, PEER_MAC, id="sll2"),
        pytest.param(
            sll2(PACKET, mac_length=8), LinkType.LINUX_SLL2, None, id="sll2-bare"
        ),
        pytest.param(
            sll2(TAG[2:] + b"\x08\0" + PACKET, 0x8100),
            LinkType.LINUX_SLL2,
            PEER_MAC,
            id="sll2-tag",
        ),
        pytest.param(PACKET, LinkType.RAW, None, id="raw"),
        pytest.param(PACKET, LinkType.IPV4, None, id="ipv4"),
    ],
)
def test_decode_other_links(raw: bytes, link_type: LinkType, mac: bytes | None) -> None:
    """The datagram is the same whatever the link wraps it in."""
    assert frames.decode(raw, link_type) == replace(EXPECTED, source_mac=mac)


@pytest.mark.parametrize(
    ("raw", "link_type"),
    [
        pytest.param(sll(PACKET, 0x86DD), LinkType.LINUX_SLL, id="sll-ipv6"),
        pytest.param(sll(PACKET)[:15], LinkType.LINUX_SLL, id="sll-short"),
        pytest.param(sll(b"\0d\x08", 0x8100), LinkType.LINUX_SLL, id="sll-half-a-tag"),
        pytest.param(sll2(PACKET, 0x0806), LinkType.LINUX_SLL2, id="sll2-arp"),
        pytest.param(sll2(PACKET)[:19], LinkType.LINUX_SLL2, id="sll2-short"),
        pytest.param(b"", LinkType.RAW, id="raw-nothing"),
        pytest.param(b"\x60" + bytes(60), LinkType.RAW, id="raw-ipv6"),
        pytest.param(b"", LinkType.IPV4, id="ipv4-nothing"),
    ],
)
def test_foreign_on_other_links(raw: bytes, link_type: LinkType) -> None:
    """What cannot be ours is not ours to count."""
    assert frames.decode(raw, link_type) is Defect.FOREIGN


@pytest.mark.parametrize("words", range(16))
@pytest.mark.parametrize("option", [0, 1, 7, 68, 130, 131, 255])
def test_every_header_length(words: int, option: int) -> None:
    """Options are stepped over unread, also those that claim to be 0 bytes long."""
    options = bytes((option, 0)) * (2 * max(0, words - 5))
    packet = bytearray(ipv4(BODY, options=options))
    packet[0] = 0x40 | words

    decoded = frames.decode(ethernet(bytes(packet)), LinkType.ETHERNET)

    if words < 5:
        assert decoded is Defect.TRUNCATED
    else:
        assert decoded == EXPECTED


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(PLAIN, id="plain"),
        pytest.param(ethernet(PACKET, tags=TAG), id="tagged"),
        pytest.param(ethernet(PACKET, tags=TAG * 2), id="twice-tagged"),
        pytest.param(ethernet(ipv4(BODY, options=b"\7\0\0\0")), id="options"),
    ],
)
def test_cut_at_every_byte(raw: bytes) -> None:
    """Every frame cut short is a defect, and never a datagram impacket made up."""
    for length in range(len(raw)):
        decoded = frames.decode(raw[:length], LinkType.ETHERNET)

        assert isinstance(decoded, Defect), length
    # From the first byte on that says protocol 112, the frame counts as one of ours.
    start = (
        raw.index(b"\x08\x00\x45" if b"\x08\x00\x45" in raw else b"\x08\x00\x46") + 2
    )
    cuts = {
        frames.decode(raw[:n], LinkType.ETHERNET) for n in range(start + 1, len(raw))
    }
    assert cuts == {Defect.TRUNCATED}


@pytest.mark.parametrize("index", range(14, 34))
def test_damaged_ip_header(index: int) -> None:
    """Whatever byte of the IP header is hit, the header is never called good."""
    damaged = bytearray(PLAIN)
    damaged[index] ^= 0x04

    decoded = frames.decode(bytes(damaged), LinkType.ETHERNET)

    assert isinstance(decoded, Defect) or not decoded.header_ok


def test_the_sum_covers_the_options() -> None:
    """A wrong byte in the options spoils the header."""
    damaged = bytearray(ethernet(ipv4(BODY, options=b"\1\1\1\0")))
    damaged[14 + 20] ^= 0xFF

    assert frames.decode(bytes(damaged), LinkType.ETHERNET) == replace(
        EXPECTED, header_ok=False
    )


MUTATIONS = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=4)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good frame of some shape with a few bytes replaced and an end cut or grown."""
    good = draw(
        st.sampled_from(
            [PLAIN, ethernet(PACKET, tags=TAG), sll(PACKET), sll2(PACKET), PACKET,
             ethernet(ARP_BODY, ethertype=0x0806)]
        )
    )  # fmt: skip
    raw = bytearray(good)
    for index, value in draw(MUTATIONS):
        raw[index % len(raw)] = value
    length = draw(st.integers(0, len(raw)) | st.just(len(raw)))
    return bytes(raw[:length]) + draw(st.binary(max_size=6))


@given(st.binary(max_size=120) | mutated(), st.sampled_from(LinkType))
@example(bytes(12) + b"\x81\x00", LinkType.ETHERNET)
@example(bytes(12) + b"\x81\x00" * 5, LinkType.ETHERNET)
def test_any_bytes_are_an_answer(raw: bytes, link_type: LinkType) -> None:
    """Nothing raises, hangs or is invented: a datagram is part of the frame."""
    decoded = frames.decode(raw, link_type)
    announced = frames.decode_announcement(raw, link_type)

    assert isinstance(decoded, Defect) or (
        decoded.payload in raw
        and decoded.source.packed + decoded.destination.packed in raw
    )
    assert announced is None or announced.mac + announced.address.packed in raw


@given(mutated() | st.binary(max_size=60).map(PLAIN[:14].__add__))
def test_a_glance_at_ethernet_agrees_with_a_full_look(raw: bytes) -> None:
    """The same packet is read the same behind a cooked header, which gets no glance."""
    assume(len(raw) >= 14 and raw[12:14] not in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
    ethertype = int.from_bytes(raw[12:14], "big")

    at_a_glance = frames.decode(raw, LinkType.ETHERNET)
    in_full = frames.decode(sll(raw[14:], ethertype), LinkType.LINUX_SLL)

    if isinstance(at_a_glance, Datagram) and isinstance(in_full, Datagram):
        in_full = replace(in_full, source_mac=raw[6:12])
    assert at_a_glance == in_full


@given(st.binary(max_size=120) | mutated())
@example(PLAIN)
@example(PLAIN + bytes(10))
def test_the_quick_reader_agrees(raw: bytes) -> None:
    """Where `decode_intact` has an answer, it is that of `decode`."""
    quick = frames.decode_intact(raw)

    assert quick is None or quick == frames.decode(raw, LinkType.ETHERNET)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(PLAIN, EXPECTED, id="plain"),
        pytest.param(PLAIN + bytes(4), EXPECTED, id="padded"),
        pytest.param(
            ethernet(ipv4(BODY, ttl=1, fragment=0)),
            replace(EXPECTED, ttl=1),
            id="ttl-1",
        ),
        pytest.param(
            PLAIN[:24] + b"\0\0" + PLAIN[26:],
            replace(EXPECTED, header_ok=False),
            id="bad-sum",
        ),
        pytest.param(PLAIN[:-1], None, id="short"),
        pytest.param(ethernet(ipv4(BODY, protocol=17)), None, id="udp"),
        pytest.param(ethernet(PACKET, ethertype=0x86DD), None, id="type"),
        pytest.param(ethernet(PACKET, tags=TAG), None, id="tagged"),
        pytest.param(ethernet(ipv4(BODY, options=b"\1\1\1\0")), None, id="options"),
        pytest.param(
            ethernet(ipv4(BODY[4:], options=b"\1\1\1\0")),
            None,
            id="options-same-length",
        ),
        pytest.param(ethernet(ipv4(BODY + b"\0")), None, id="longer"),
        pytest.param(ethernet(ipv4(BODY, fragment=0x2000)), None, id="more-come"),
        pytest.param(ethernet(ipv4(BODY, fragment=0x0001)), None, id="offset"),
    ],
)
def test_decode_intact(raw: bytes, expected: Datagram | None) -> None:
    """The usual shape, and nothing but the usual shape."""
    assert frames.decode_intact(raw) == expected


def test_builders_of_these_tests() -> None:
    """The frames written by hand and those that impacket wrote are of one kind."""
    assert frames.decode(frame(BODY), LinkType.ETHERNET) == replace(
        EXPECTED, source_mac=bytes.fromhex("00005e000007")
    )
