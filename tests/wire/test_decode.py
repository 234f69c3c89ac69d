"""Frames of every shape: whole, truncated and damaged."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from carppcap.wire import decode as frames
from carppcap.wire.decode import Datagram, Defect, LinkType
from tests.builders import (
    GROUP,
    GROUP6,
    HIGHER,
    LOWER,
    LOWER6,
    NIC_MAC,
    VIP,
    VIP6,
    advertisement,
    config,
    ethernet,
    frame,
    ipv4,
    ipv6,
    payload,
)

BODY = payload(config())
PACKET = ipv4(BODY)
PLAIN = ethernet(PACKET)
PEER_MAC = bytes.fromhex("00005e000107")
TAG = bytes.fromhex("81000064")
SERVICE_TAG = bytes.fromhex("88a80064")
PRIORITY_TAG = bytes.fromhex("8100e000")
"""A tag whose VLAN ID is 0."""
ARP_BODY = (
    bytes.fromhex("0001080006040001") + NIC_MAC + VIP.packed + NIC_MAC + VIP.packed
)

ADVERTISEMENT = advertisement()

EXPECTED = Datagram(
    source=LOWER,
    destination=GROUP,
    ttl=255,
    header_ok=True,
    payload=BODY,
    source_mac=PEER_MAC,
)

IN_VLAN, IN_BOTH = replace(EXPECTED, vlan=(100,)), replace(EXPECTED, vlan=(100, 100))

PACKET6 = ipv6(BODY)
PLAIN6 = ethernet(PACKET6, ethertype=0x86DD)
EXPECTED6 = replace(EXPECTED, source=LOWER6, destination=GROUP6)


def ethernet6(packet: bytes, tags: bytes = b"") -> bytes:
    return ethernet(packet, tags=tags, ethertype=0x86DD)


def extension(following: int, length: int = 0) -> bytes:
    """Return an IPv6 extension header before the header numbered `following`."""
    return bytes((following, length)) + bytes(6 + 8 * length)


def extended(kinds: tuple[int, ...], **changes: Any) -> bytes:
    """Return an advert behind extension headers of these kinds."""
    chain = b"".join(map(extension, (*kinds[1:], 112)))
    return ethernet6(ipv6(BODY, extensions=chain, next_header=kinds[0], **changes))


HOP_BY_HOP, ROUTING, FRAGMENT, SECURITY, OPTIONS = 0, 43, 44, 51, 60


def sll(packet: bytes, ethertype: int = 0x0800, mac_length: int = 6) -> bytes:
    """Return a Linux cooked frame, version 1."""
    head = bytes.fromhex("00020001") + mac_length.to_bytes(2, "big")
    return head + PEER_MAC + b"\0\0" + ethertype.to_bytes(2, "big") + packet


def sll2(packet: bytes, ethertype: int = 0x0800, mac_length: int = 6) -> bytes:
    """Return a Linux cooked frame, version 2."""
    head = ethertype.to_bytes(2, "big") + bytes.fromhex("0000000000030001")
    return head + bytes((2, mac_length)) + PEER_MAC + b"\0\0" + packet


ETHERNET_SHAPES = [
    pytest.param(PLAIN, EXPECTED, id="plain"),
    pytest.param(PLAIN + bytes(4), EXPECTED, id="padded"),
    pytest.param(ethernet(PACKET, tags=TAG), IN_VLAN, id="one-tag"),
    pytest.param(ethernet(PACKET, tags=SERVICE_TAG + TAG), IN_BOTH, id="two-tags"),
    pytest.param(ethernet(PACKET, tags=TAG * 3), Defect.FOREIGN, id="three-tags"),
    pytest.param(ethernet(PACKET, tags=PRIORITY_TAG), EXPECTED, id="priority"),
    pytest.param(ethernet(PACKET, tags=PRIORITY_TAG * 2), EXPECTED, id="priorities"),
    pytest.param(
        ethernet(PACKET, tags=PRIORITY_TAG + TAG), IN_VLAN, id="priority-outside"
    ),
    pytest.param(
        ethernet(PACKET, tags=TAG + PRIORITY_TAG), IN_VLAN, id="priority-inside"
    ),
    pytest.param(
        ethernet(PACKET, tags=bytes.fromhex("8100fffe")),
        replace(EXPECTED, vlan=(4094,)),
        id="twelve-bits",
    ),
    pytest.param(
        ethernet(PACKET, tags=bytes.fromhex("88a8000a81000014")),
        replace(EXPECTED, vlan=(10, 20)),
        id="the-outer-one-first",
    ),
    pytest.param(
        ethernet(ipv4(BODY, total_length=19), tags=TAG), Defect.FOREIGN, id="not-whole"
    ),
    pytest.param(
        ethernet(ipv4(BODY, total_length=19), tags=PRIORITY_TAG),
        Defect.TRUNCATED,
        id="not-whole-but-ours",
    ),
    pytest.param(
        ethernet(ipv4(BODY, fragment=0x2000), tags=TAG), Defect.FOREIGN, id="a-part"
    ),
    pytest.param(
        ethernet(PACKET, tags=SERVICE_TAG * 3), Defect.FOREIGN, id="three-other"
    ),
    pytest.param(ethernet(PACKET, tags=TAG * 9), Defect.FOREIGN, id="nine-tags"),
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
        ethernet(PACKET, tags=TAG)[:17], Defect.FOREIGN, id="short-of-its-tag"
    ),
    pytest.param(ethernet(PACKET, ethertype=0x86DD), Defect.FOREIGN, id="ipv6-type"),
    pytest.param(ethernet(PACKET6), Defect.FOREIGN, id="ipv4-type"),
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
    pytest.param(ethernet(ipv4(BODY, options=b"\1\1\1\0")), EXPECTED, id="options"),
    pytest.param(
        PLAIN[:24] + b"\0\0" + PLAIN[26:],
        replace(EXPECTED, header_ok=False),
        id="bad-sum",
    ),
]


IPV6_SHAPES = [
    pytest.param(PLAIN6, EXPECTED6, id="plain"),
    pytest.param(PLAIN6 + bytes(4), EXPECTED6, id="padded"),
    pytest.param(
        ethernet6(PACKET6, TAG), replace(EXPECTED6, vlan=(100,)), id="one-tag"
    ),
    pytest.param(
        ethernet6(PACKET6, SERVICE_TAG + TAG),
        replace(EXPECTED6, vlan=(100, 100)),
        id="two-tags",
    ),
    pytest.param(ethernet6(PACKET6, TAG * 3), Defect.FOREIGN, id="three-tags"),
    pytest.param(ethernet6(PACKET6, PRIORITY_TAG), EXPECTED6, id="priority"),
    pytest.param(ethernet6(b"\x6e" + PACKET6[1:]), EXPECTED6, id="class-of-freebsd"),
    pytest.param(
        ethernet6(PACKET6[:1] + b"\xff\xff\xff" + PACKET6[4:]), EXPECTED6, id="flow"
    ),
    pytest.param(
        ethernet6(ipv6(BODY, hop_limit=64)), replace(EXPECTED6, ttl=64), id="hops-64"
    ),
    pytest.param(
        ethernet6(ipv6(BODY, source=VIP6, destination=LOWER6)),
        replace(EXPECTED6, source=VIP6, destination=LOWER6),
        id="addresses",
    ),
    pytest.param(
        ethernet6(ipv6(BODY + b"\1\2\3")),
        replace(EXPECTED6, payload=BODY + b"\1\2\3"),
        id="trailing",
    ),
    pytest.param(ethernet6(ipv6(b"")), replace(EXPECTED6, payload=b""), id="empty"),
    pytest.param(
        ethernet6(ipv6(BODY, payload_length=0)),
        replace(EXPECTED6, payload=b""),
        id="length-0",
    ),
    pytest.param(
        ethernet6(ipv6(BODY, payload_length=37)), Defect.TRUNCATED, id="length-37"
    ),
    pytest.param(ethernet6(ipv6(BODY, next_header=58)), Defect.FOREIGN, id="icmp"),
    pytest.param(
        ethernet6(ipv6(BODY, next_header=58), TAG), Defect.FOREIGN, id="icmp-tagged"
    ),
    pytest.param(ethernet6(ipv6(BODY, next_header=59)), Defect.FOREIGN, id="none"),
    pytest.param(ethernet6(PACKET6[:39]), Defect.TRUNCATED, id="short-of-ip"),
    pytest.param(extended((HOP_BY_HOP,)), EXPECTED6, id="hop-by-hop"),
    pytest.param(extended((ROUTING,)), EXPECTED6, id="routing"),
    pytest.param(extended((OPTIONS,)), EXPECTED6, id="options"),
    pytest.param(
        extended((HOP_BY_HOP, OPTIONS, ROUTING, OPTIONS)), EXPECTED6, id="all-of-them"
    ),
    pytest.param(extended((OPTIONS,) * 8), EXPECTED6, id="eight"),
    pytest.param(extended((OPTIONS,) * 9), Defect.FOREIGN, id="nine"),
    pytest.param(extended((OPTIONS,) * 99), Defect.FOREIGN, id="ninety-nine"),
    pytest.param(extended((SECURITY,)), Defect.FOREIGN, id="security"),
    pytest.param(extended((FRAGMENT,)), Defect.FRAGMENT, id="fragment"),
    pytest.param(
        extended((OPTIONS, FRAGMENT)), Defect.FRAGMENT, id="options-and-fragment"
    ),
    pytest.param(
        extended((FRAGMENT, OPTIONS)), Defect.FOREIGN, id="fragment-of-options"
    ),
    pytest.param(
        ethernet6(ipv6(extension(58) + BODY, next_header=FRAGMENT)),
        Defect.FOREIGN,
        id="fragment-of-icmp",
    ),
    pytest.param(
        ethernet6(ipv6(b"", next_header=FRAGMENT)), Defect.TRUNCATED, id="no-fragment"
    ),
    pytest.param(
        extended((FRAGMENT,), payload_length=45), Defect.TRUNCATED, id="fragment-cut"
    ),
    *(
        pytest.param(
            ethernet6(ipv6(extension(58), next_header=kind, payload_length=0)),
            Defect.TRUNCATED,
            id=f"{kind}-in-the-padding",
        )
        for kind in (OPTIONS, FRAGMENT)
    ),
    pytest.param(
        ethernet6(ipv6(extension(112, 255) + BODY, next_header=OPTIONS)),
        replace(EXPECTED6, payload=BODY),
        id="two-kilobytes",
    ),
    pytest.param(
        ethernet6(ipv6(b"\x70\xff" + BODY, next_header=OPTIONS)),
        Defect.TRUNCATED,
        id="longer-than-packet",
    ),
    pytest.param(
        extended((OPTIONS,), payload_length=7), Defect.TRUNCATED, id="half-a-header"
    ),
    pytest.param(
        extended((OPTIONS,), payload_length=1), Defect.TRUNCATED, id="begun-a-header"
    ),
    pytest.param(
        extended((OPTIONS,), payload_length=8),
        replace(EXPECTED6, payload=b""),
        id="nothing-behind",
    ),
    pytest.param(
        ethernet6(ipv6(b"\x3a\xff" + BODY, next_header=OPTIONS)),
        Defect.FOREIGN,
        id="longer-before-icmp",
    ),
]


@pytest.mark.parametrize(("raw", "expected"), [*ETHERNET_SHAPES, *IPV6_SHAPES])
def test_decode_ethernet(raw: bytes, expected: Datagram | Defect) -> None:
    """Tags, padding, fragments, extensions, and lengths that contradict each other."""
    assert frames.decode(raw, LinkType.ETHERNET) == expected


@pytest.mark.parametrize(
    ("raw", "link_type", "mac"),
    [
        pytest.param(sll(PACKET), LinkType.LINUX_SLL, PEER_MAC, id="sll"),
        pytest.param(
            sll(PACKET, mac_length=0), LinkType.LINUX_SLL, None, id="sll-bare"
        ),
        pytest.param(sll2(PACKET), LinkType.LINUX_SLL2, PEER_MAC, id="sll2"),
        pytest.param(
            sll2(PACKET, mac_length=8), LinkType.LINUX_SLL2, None, id="sll2-bare"
        ),
        pytest.param(PACKET, LinkType.RAW, None, id="raw"),
        pytest.param(PACKET, LinkType.IPV4, None, id="ipv4"),
        pytest.param(sll(PACKET6, 0x86DD), LinkType.LINUX_SLL, PEER_MAC, id="sll-6"),
        pytest.param(sll2(PACKET6, 0x86DD), LinkType.LINUX_SLL2, PEER_MAC, id="sll2-6"),
        pytest.param(PACKET6, LinkType.RAW, None, id="raw-6"),
        pytest.param(PACKET6, LinkType.IPV6, None, id="ipv6"),
    ],
)
def test_decode_other_links(raw: bytes, link_type: LinkType, mac: bytes | None) -> None:
    """The datagram is the same whatever the link wraps it in."""
    expected = EXPECTED if PACKET in raw else EXPECTED6

    assert frames.decode(raw, link_type) == replace(expected, source_mac=mac)


@pytest.mark.parametrize(
    ("raw", "link_type", "is_broadcast"),
    [
        (PLAIN, LinkType.ETHERNET, False),
        (b"\xff" * 6 + PLAIN[6:], LinkType.ETHERNET, True),
        (b"\xff" * 5 + PLAIN[5:], LinkType.ETHERNET, False),
        (sll(PACKET), LinkType.LINUX_SLL, False),
        (b"\0\1" + sll(PACKET)[2:], LinkType.LINUX_SLL, True),
        (sll2(PACKET), LinkType.LINUX_SLL2, False),
        (sll2(PACKET)[:10] + b"\1" + sll2(PACKET)[11:], LinkType.LINUX_SLL2, True),
        (PACKET, LinkType.RAW, False),
    ],
)
def test_frames_to_all_hosts(
    raw: bytes, link_type: LinkType, is_broadcast: bool
) -> None:
    """Cooked frames tell it in their packet type (1)."""
    datagram = frames.decode(raw, link_type)

    assert isinstance(datagram, Datagram)
    assert datagram.is_broadcast is is_broadcast


@pytest.mark.parametrize("wrap", [sll, sll2])
@pytest.mark.parametrize(
    ("tags", "vlan"),
    [
        pytest.param(PRIORITY_TAG, (), id="priority"),
        pytest.param(TAG, (100,), id="one"),
        pytest.param(bytes.fromhex("88a8000a81000014"), (10, 20), id="two"),
    ],
)
@pytest.mark.parametrize("packet", [PACKET, PACKET6])
def test_tags_behind_a_cooked_header(
    wrap: Callable[..., bytes], tags: bytes, vlan: tuple[int, ...], packet: bytes
) -> None:
    """There the ethertype of the first tag stands in the header."""
    link_type = LinkType.LINUX_SLL if wrap is sll else LinkType.LINUX_SLL2
    is_ipv4 = packet is PACKET
    ethertype, expected = (0x0800, EXPECTED) if is_ipv4 else (0x86DD, EXPECTED6)
    behind = tags[2:] + ethertype.to_bytes(2, "big") + packet
    tagged = wrap(behind, int.from_bytes(tags[:2], "big"))

    assert frames.decode(tagged, link_type) == replace(expected, vlan=vlan)
    assert frames.untag(tagged, link_type) == (vlan, wrap(packet, ethertype))


@pytest.mark.parametrize("tags", [b"", TAG, SERVICE_TAG + TAG, PRIORITY_TAG])
@pytest.mark.parametrize("length", [14, 17, 22, 70])
def test_without_its_tags(tags: bytes, length: int) -> None:
    """What is left is the frame as it is on an interface of that VLAN."""
    tagged = ethernet(PACKET, tags=tags)[: length + len(tags)]

    untagged = frames.untag(tagged, LinkType.ETHERNET)

    assert untagged is not None
    assert untagged[1] == PLAIN[:length]


@pytest.mark.parametrize("length", range(14, 21))
def test_cut_in_its_tags(length: int) -> None:
    """Then there is no saying of which VLAN it is."""
    tagged = ethernet(PACKET, tags=SERVICE_TAG + TAG)[:length]

    assert frames.untag(tagged, LinkType.ETHERNET) is None
    assert frames.decode_announcement(tagged, LinkType.ETHERNET) is None


@pytest.mark.parametrize(
    ("raw", "link_type"),
    [
        pytest.param(sll(PACKET, 0x86DD), LinkType.LINUX_SLL, id="sll-ipv6"),
        pytest.param(sll(PACKET6), LinkType.LINUX_SLL, id="sll-ipv4"),
        pytest.param(sll(PACKET)[:15], LinkType.LINUX_SLL, id="sll-short"),
        pytest.param(sll(b"\0d\x08", 0x8100), LinkType.LINUX_SLL, id="sll-half-a-tag"),
        pytest.param(sll2(PACKET, 0x0806), LinkType.LINUX_SLL2, id="sll2-arp"),
        pytest.param(sll2(PACKET)[:19], LinkType.LINUX_SLL2, id="sll2-short"),
        pytest.param(b"", LinkType.RAW, id="raw-nothing"),
        pytest.param(ipv6(BODY, next_header=58), LinkType.RAW, id="raw-icmp"),
        pytest.param(b"\x50" + PACKET[1:], LinkType.RAW, id="raw-version-5"),
        pytest.param(b"", LinkType.IPV4, id="ipv4-nothing"),
        pytest.param(b"", LinkType.IPV6, id="ipv6-nothing"),
        pytest.param(PACKET6, LinkType.IPV4, id="ipv4-6"),
        pytest.param(PACKET, LinkType.IPV6, id="ipv6-4"),
    ],
)
def test_foreign_on_other_links(raw: bytes, link_type: LinkType) -> None:
    """A frame that cannot be an advert is not counted as a defect."""
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
        pytest.param(ethernet(PACKET, tags=PRIORITY_TAG), id="tagged"),
        pytest.param(ethernet(PACKET, tags=PRIORITY_TAG * 2), id="twice-tagged"),
        pytest.param(ethernet(ipv4(BODY, options=b"\7\0\0\0")), id="options"),
    ],
)
def test_cut_at_every_byte(raw: bytes) -> None:
    """Every truncated frame is a defect, never a datagram made up by impacket."""
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


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(PLAIN6, id="plain"),
        pytest.param(ethernet6(PACKET6, PRIORITY_TAG), id="tagged"),
        pytest.param(extended((HOP_BY_HOP, ROUTING, OPTIONS)), id="extensions"),
        pytest.param(extended((FRAGMENT,)), id="fragment"),
        pytest.param(
            ethernet6(ipv6(extension(112, 3) + BODY, next_header=OPTIONS)), id="long"
        ),
    ],
)
def test_ipv6_cut_at_every_byte(raw: bytes) -> None:
    """The same in IPv6, also within an extension header."""
    ip_at = raw.index(b"\x86\xdd") + 2

    for length in range(len(raw)):
        decoded = frames.decode(raw[:length], LinkType.ETHERNET)

        if length > ip_at:
            assert decoded is Defect.TRUNCATED, length
        else:
            assert isinstance(decoded, Defect), length


@pytest.mark.parametrize("index", range(14, 34))
def test_damaged_ip_header(index: int) -> None:
    """A header with any damaged byte is never called good."""
    damaged = bytearray(PLAIN)
    damaged[index] ^= 0x04

    decoded = frames.decode(bytes(damaged), LinkType.ETHERNET)

    assert isinstance(decoded, Defect) or not decoded.header_ok


def test_the_sum_covers_the_options() -> None:
    """A wrong byte in the options makes the header checksum wrong."""
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
             PLAIN6, PACKET6, sll(PACKET6, 0x86DD), extended((HOP_BY_HOP, OPTIONS)),
             ethernet(ARP_BODY, ethertype=0x0806), ethernet6(ADVERTISEMENT)]
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
    """Any bytes give a defect or a datagram whose payload is part of the frame."""
    decoded = frames.decode(raw, link_type)
    announced = frames.decode_announcement(raw, link_type)

    assert isinstance(decoded, Defect) or (
        decoded.payload in raw
        and decoded.source.packed + decoded.destination.packed in raw
    )
    assert announced is None or (
        announced.mac in raw and announced.address.packed in raw
    )


@given(mutated() | st.binary(max_size=60).map(PLAIN[:14].__add__))
def test_the_link_does_not_matter(raw: bytes) -> None:
    """The same packet is decoded the same behind an Ethernet and a cooked header."""
    assume(len(raw) >= 14 and raw[12:14] not in (b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
    ethertype = int.from_bytes(raw[12:14], "big")

    on_ethernet = frames.decode(raw, LinkType.ETHERNET)
    cooked = frames.decode(sll(raw[14:], ethertype), LinkType.LINUX_SLL)
    announced = frames.decode_announcement(raw, LinkType.ETHERNET)
    cooked_announced = frames.decode_announcement(
        sll(raw[14:], ethertype), LinkType.LINUX_SLL
    )

    if isinstance(on_ethernet, Datagram) and isinstance(cooked, Datagram):
        cooked = replace(cooked, source_mac=raw[6:12])
    assert on_ethernet == cooked
    assert announced == cooked_announced


def test_builders_of_these_tests() -> None:
    """The frames written by hand and those that impacket wrote are of one kind."""
    assert frames.decode(frame(BODY), LinkType.ETHERNET) == replace(
        EXPECTED, source_mac=bytes.fromhex("00005e000007")
    )
    assert frames.decode(frame(BODY, source=LOWER6), LinkType.ETHERNET) == replace(
        EXPECTED6, source_mac=bytes.fromhex("00005e000007")
    )
