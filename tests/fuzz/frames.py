"""Frames and datagrams: what is read, and what is let in."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from carppcap.addresses import Address
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.ingress import (
    HintReceived,
    Ingress,
    Rejection,
    RejectReason,
    SolicitationReceived,
)
from carppcap.wire.auth import Key
from carppcap.wire.decode import (
    Datagram,
    Defect,
    LinkType,
    decode,
    decode_announcement,
    decode_claim,
)
from tests.builders import (
    LOWER,
    LOWER6,
    NIC_MAC,
    advertisement,
    ethernet,
    vrrp_v2,
    vrrp_v3,
)
from tests.fuzz import oracle
from tests.fuzz.oracle import Group

LINK_TYPES = tuple(LinkType)

GROUPS = (
    Group(
        vhid=7,
        source=IPv4Address("10.9.0.99"),
        source6=IPv6Address("fd00:9::99"),
        vips=(IPv4Address("10.9.0.100"), IPv6Address("fd00:9::100")),
        key=b"love",
        group=IPv4Address("224.0.0.18"),
    ),
    Group(
        vhid=8,
        source=IPv4Address("10.9.0.98"),
        source6=IPv6Address("fd00:9::98"),
        vips=(
            IPv6Address("fe80::8"),
            IPv4Address("10.9.0.101"),
            IPv6Address("fd00:9::8"),
            IPv4Address("10.1.0.1"),
        ),
        key=b"nineteen bytes long",
        group=IPv4Address("239.1.2.3"),
        peers=(IPv4Address("10.9.0.2"), IPv6Address("fd00:9::2")),
        link_address=bytes.fromhex("020102030405"),
    ),
    Group(
        vhid=9,
        source=IPv4Address("10.9.0.99"),
        source6=IPv6Address("fd00:9::99"),
        vips=(IPv4Address("10.9.0.102"),),
        key=None,
        group=IPv4Address("224.0.0.18"),
    ),
)
"""One as usual, one unusual in everything, one with an unknown password.

The last one has addresses of IPv4 only.
"""

INGRESS = Ingress(
    VirtualHostConfig(
        interface="eth0",
        vhid=group.vhid,
        source=group.source,
        source6=group.source6,
        vips=group.vips,
        key=None if group.key is None else Key(group.key),
        group=group.group,
        peers=group.peers,
        link_address=group.link_address,
    )
    for group in GROUPS
)

_TAGS = (b"\x81\0", b"\x88\xa8", b"\x91\0")
_SIGNED, _BODY_SUMMED, _HEADER_SUMMED, _LIKE_VRRP, _FORGED = 1, 2, 4, 8, 16
_LINK_LOCAL, _NO_LINK_ADDRESS, _BROADCAST = 32, 64, 128


def check_frame(data: bytes) -> object:
    """A byte that chooses the link, and a frame."""
    link_type = LINK_TYPES[data[0] % len(LINK_TYPES)] if data else LinkType.RAW
    frame = data[1:]
    decoded = decode(frame, link_type)
    expected = oracle.read(frame, link_type)
    if expected is None:
        assert decoded in (Defect.FOREIGN, Defect.TRUNCATED), decoded
    else:
        assert decoded == expected, (decoded, expected)
    claim = decode_claim(frame, link_type)
    announced = claim.announcement if claim is not None else None
    advertised = oracle.advertised(frame, link_type)
    if claim is None or announced is None:
        assert advertised is None
    elif announced.address.version == 6:
        assert (int(announced.address), announced.mac, claim.to_all) == advertised
    else:
        assert announced.mac + announced.address.packed in frame
    assert announced is None or decoded is Defect.FOREIGN
    assert decode_announcement(frame, link_type) == (
        announced if claim is not None and claim.to_all else None
    )
    kind = decoded if isinstance(decoded, Defect) else decoded.header_ok
    return frozenset(
        (
            (link_type, kind, expected is None),
            ("announced", link_type, announced and announced.address.version),
            ("to all", claim and claim.to_all),
            ("usual", *_deviations(frame)[:2]),
            *_lengths(frame, link_type, kind),
        )
    )


def _deviations(frame: bytes) -> list[str]:
    """Where an Ethernet frame differs from the usual advert."""
    if len(frame) < 70:
        return ["length"]
    return [
        name
        for name, start, end, usual in (
            ("ethertype", 12, 14, 0x0800),
            ("header length", 14, 15, 0x45),
            ("total length", 16, 18, 56),
            ("protocol", 23, 24, 112),
        )
        if oracle.number(frame, start, end) != usual
    ] + [
        name
        for name, mask in (("more fragments", 0x2000), ("offset", 0x1FFF))
        if oracle.number(frame, 20, 22) & mask
    ]


def _lengths(frame: bytes, link_type: LinkType, kind: object) -> Iterator[object]:
    """What there is to say of headers, tags and what they claim."""
    tags = 0
    while frame[12 + 4 * tags : 14 + 4 * tags] in _TAGS:
        tags += 1
    behind = frame[12 + 4 * tags :]
    yield "tags", tags, kind, len(behind) >= 58 and behind[:3] == b"\x08\0\x45"
    packet = oracle.packet_in(frame, link_type)
    if packet is None:
        return
    if packet[0] >> 4 == 6:
        yield from _ipv6_lengths(packet, kind)
    elif len(packet) < 20:
        yield "cut", link_type, packet[9:10] == b"\x70", len(packet) > 9
    elif packet[9] == 112:
        header_length, total_length = packet[0] % 16 * 4, oracle.number(packet, 2, 4)
        yield "header", header_length, kind
        yield "total", max(-2, min(total_length - len(packet), 2)), kind


def _ipv6_lengths(packet: bytes, kind: object) -> Iterator[object]:
    """The same of an IPv6 packet, and of the chain of its headers."""
    if len(packet) < 40:
        yield "cut-6", packet[6:7] == b"\x70", len(packet) > 6
        return
    header, at = packet[6], 40
    chain: list[int] = []
    while header in (0, 43, 60) and at + 2 <= len(packet) and len(chain) < 10:
        chain.append(header)
        header, at = packet[at], at + 8 + 8 * packet[at + 1]
    excess = 40 + oracle.number(packet, 4, 6) - len(packet)
    yield "chain", min(len(chain), 2) + (len(chain) > 8), header in (44, 112), kind
    yield "excess", max(-1, min(excess, 1)), at > len(packet), kind
    for extension in set(chain):
        yield "extension", extension, kind


def check_verdict(data: bytes) -> object:
    """A byte of repairs, and a packet of either family.

    Sums and digests are nothing that can be found by trying, so they are mended here
    on request, by which everything behind them is reached as well.
    """
    packet = repaired(data[1:], data[0]) if data else b""
    datagram = decode(packet, LinkType.RAW)
    if isinstance(datagram, Datagram):
        datagram = replace(datagram, is_broadcast=bool(data[0] & _BROADCAST))
    verdict = INGRESS.check(datagram)
    if not isinstance(datagram, Datagram):
        assert (verdict is None) == (datagram is Defect.FOREIGN)
        if verdict is not None:
            assert verdict == Rejection(RejectReason.BADLEN)
        return datagram
    if verdict is None:
        return _check_silence(datagram)
    fault, version = oracle.fault(datagram, GROUPS), datagram.source.version
    if isinstance(verdict, Rejection):
        assert verdict.datagram is datagram
        if oracle.is_vrrp(datagram, fault):
            assert verdict.reason is RejectReason.VRRP, (verdict, fault)
            body = datagram.payload
            return verdict.reason, version, fault, body[0], body[3] == 7
        assert verdict.reason is fault, (verdict, fault)
        forged = verdict.digest_expected is not None and data[0] & _FORGED
        which = packet[5] % 20 if forged and version == 4 else forged
        is_ours = verdict.vhid in (7, 8)
        return verdict.reason, version, is_ours, which
    assert fault is None, fault
    vhid, event = verdict
    if isinstance(event, HintReceived):
        assert oracle.is_hint(datagram, GROUPS)
        assert event.counter == oracle.number(datagram.payload, 8, 16)
        return "hint", version, vhid
    if isinstance(event, SolicitationReceived):
        assert oracle.is_solicitation(datagram, GROUPS)
        assert event.source == datagram.source
        assert event.counter == oracle.number(datagram.payload, 8, 16)
        return "solicitation", version, vhid
    _check_event(vhid, event, datagram)
    form = data[0] & (_LINK_LOCAL | _NO_LINK_ADDRESS)
    way = datagram.destination.is_multicast, datagram.ttl == 255
    return vhid, version, form, *way, datagram.is_broadcast


def _check_silence(datagram: Datagram) -> object:
    """Check that a datagram of which nothing comes is for another host, or unsigned."""
    kind = oracle.kind(datagram, GROUPS)
    if kind == 1:
        assert oracle.is_to_one_host(datagram)
        assert datagram.destination not in oracle.own(GROUPS)
        return "another host"
    group = next(group for group in GROUPS if group.vhid == datagram.payload[1])
    assert group.key is None
    return kind


def _check_event(vhid: int, event: AdvertReceived, datagram: Datagram) -> None:
    body = datagram.payload
    group = next(group for group in GROUPS if group.vhid == vhid)
    assert body[1] == group.vhid
    assert event.mac == datagram.source_mac
    assert event == AdvertReceived(
        source=datagram.source,
        advbase=body[5],
        advskew=body[2],
        counter=oracle.number(body, 8, 16),
        verified=group.key is not None,
        demotion=body[4],
        link_local=oracle.signs_link_local(group, datagram),
        to_us=oracle.is_to_one_host(datagram),
    )


def repaired(packet: bytes, repairs: int) -> bytes:
    """`packet` with digest and sums put right, each one if its bit is set.

    A forged digest is the right one but for one bit.
    """
    is_ipv6 = packet[:1] and packet[0] >> 4 == 6
    start = 40 if is_ipv6 else packet[0] % 16 * 4 if packet else 20
    if not 20 <= start <= len(packet) - 8:
        return packet
    header, body = bytearray(packet[:start]), bytearray(packet[start:])
    if repairs & _SIGNED and len(body) >= 36:
        for group in GROUPS:
            if group.vhid == body[1] and group.key is not None:
                source, goal = (8, 24) if is_ipv6 else (12, 16)
                message = Datagram(
                    ip_address(bytes(header[source:goal])),
                    ip_address(bytes(header[goal : 2 * goal - source])),
                    255,
                    True,
                    bytes(body),
                )
                body[16:36] = oracle.sign(
                    group,
                    bytes(body[8:16]),
                    oracle.kind(message, GROUPS),
                    link_local=bool(repairs & _LINK_LOCAL),
                    link_address=b"" if repairs & _NO_LINK_ADDRESS else None,
                )
                if repairs & _FORGED:
                    body[16 + header[5] % 20] ^= 1
    if repairs & (_BODY_SUMMED | _LIKE_VRRP):
        body[6:8] = b"\0\0"
        # VRRP sums everything, and version 3 a pseudo-header too (RFC 5798, 5.2.8).
        summed = bytes(body if repairs & _LIKE_VRRP else body[:36])
        if repairs & _LIKE_VRRP and body[0] >> 4 == 3:
            summed += header[8 if is_ipv6 else 12 :][: 32 if is_ipv6 else 8]
            summed += b"\0\x70" + len(body).to_bytes(2, "big")
        body[6:8] = _complement(summed)
    if repairs & _HEADER_SUMMED and not is_ipv6:
        header[10:12] = b"\0\0"
        header[10:12] = _complement(bytes(header))
    return bytes(header + body)


def _complement(data: bytes) -> bytes:
    padded = data + bytes(len(data) % 2)
    total = sum(padded[0::2]) * 256 + sum(padded[1::2])
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def frame_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """Captured Ethernet frames, behind every kind of link, and with small damages."""
    for frame in captured:
        ethertype, packet, mac = frame[12:14], frame[14:], frame[6:12]
        cooked = b"\0\2\0\1\0\6" + mac + b"\0\0" + ethertype
        cooked_2 = ethertype + bytes(6) + b"\0\1\2\6" + mac + b"\0\0"
        yield _behind(LinkType.LINUX_SLL, cooked + packet)
        yield _behind(LinkType.LINUX_SLL, cooked[:-2] + b"\x81\0\0\7" + frame[12:])
        yield _behind(LinkType.LINUX_SLL2, cooked_2 + packet)
        yield _behind(
            LinkType.LINUX_SLL2, b"\x81\0" + cooked_2[2:] + b"\0\7" + frame[12:]
        )
        for kind in _TAGS:
            for depth in range(5):
                tagged = frame[:12] + (kind + b"\0\7") * depth + frame[12:]
                yield _behind(LinkType.ETHERNET, tagged)
        yield from _damaged(frame)
        if ethertype == b"\x86\xdd":
            yield _behind(LinkType.IPV6, packet)
            yield from _extended(packet)
    yield _behind(LinkType.ETHERNET, ethernet(advertisement(), ethertype=0x86DD))
    for end in (b"\2" * 6 + bytes((10, 9, 0, 100)), bytes(6) + bytes((10, 9, 0, 7))):
        arp = bytes.fromhex("00010800060400010200000000090a090064") + end
        yield _behind(LinkType.ETHERNET, ethernet(arp, ethertype=0x0806))
    for changes in _ADVERTISEMENTS:
        yield _behind(LinkType.IPV6, advertisement(**changes))


_ADVERTISEMENTS: tuple[dict[str, Any], ...] = (
    {},
    {"flags": 0x60},
    {"hop_limit": 64},
    {"sum_wrong_by": 1},
    {"options": b""},
    {"options": b"\1\1" + bytes(6) + b"\2\1" + NIC_MAC},
    {"options": bytes(8) + b"\2\1" + NIC_MAC},
    {"target": IPv6Address("ff02::1")},
    {"target": IPv6Address("::")},
    {"destination": IPv6Address("fd00::1")},
    {"kind": b"\x87\0"},
    {"payload_length": 33},
)
"""Announcements, true and false.  Checksums are right: trying would not find them."""


def _extended(packet: bytes) -> Iterator[bytes]:
    """An IPv6 packet with further headers, whole and cut, of several lengths."""
    for kinds in (
        (0,),
        (43,),
        (60,),
        (44,),
        (60, 44),
        (0, 43, 60),
        (60,) * 8,
        (60,) * 9,
    ):
        for length in (0, 1):
            following = (*kinds[1:], packet[6])
            chain = b"".join(
                bytes((n, length)) + bytes(6 + 8 * length) for n in following
            )
            total = len(chain) + len(packet) - 40
            head = (
                packet[:4]
                + total.to_bytes(2, "big")
                + bytes((kinds[0],))
                + packet[7:40]
            )
            whole = head + chain + packet[40:]
            yield _behind(LinkType.RAW, whole)
            for end in range(38, 40 + len(chain) + 2):
                yield _behind(LinkType.IPV6, whole[:end])
                claimed = head[:4] + (end - 38).to_bytes(2, "big") + whole[6:]
                yield _behind(LinkType.IPV6, claimed)


def _behind(link_type: LinkType, frame: bytes) -> bytes:
    return bytes((LINK_TYPES.index(link_type),)) + frame


def _damaged(frame: bytes) -> Iterator[bytes]:
    """Each byte of the IP header with other bits, each length of a cut."""
    header_and_advert = range(12, min(len(frame), 70))
    for index in header_and_advert:
        for bits in (0x01, 0x20, 0xFF):
            raw = bytearray(frame)
            raw[index] ^= bits
            yield _behind(LinkType.ETHERNET, bytes(raw))
            yield _behind(LinkType.IPV4, bytes(raw[14:]))
        yield _behind(LinkType.ETHERNET, frame[:index])
        yield _behind(LinkType.RAW, frame[14:index])


def verdict_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """Captured packets, as they are, signed by each of the groups, and forged."""
    for frame in captured:
        packet = frame[14:]
        yield b"\0" + packet
        for group in GROUPS:
            yield from _sent_to(group, packet)
        if packet[0] >> 4 == 6:
            for body in (vrrp_v3(1), vrrp_v3(7)):
                yield b"\x0c" + packet[:40] + _as_long_as_in_ipv6(body)
            continue
        for body in (vrrp_v2(1), vrrp_v2(7), vrrp_v3(1), vrrp_v3(7), vrrp_v2(5)[:36]):
            for repairs in (0x00, 0x04, 0x0C):
                yield bytes((repairs,)) + packet[:20] + body


def _sent_to(group: Group, packet: bytes) -> Iterator[bytes]:
    """A packet as it would be for a group: to all, to us alone, near and from afar."""
    is_ipv6 = packet[0] >> 4 == 6
    own: Address = group.source6 if is_ipv6 else group.source
    to_all: Address = IPv6Address("ff02::12") if is_ipv6 else group.group
    ttl, source, body, length = (7, 8, 40, 16) if is_ipv6 else (8, 12, 20, 4)
    version = 6 if is_ipv6 else 4

    def sent(repairs: int, destination: Address, *, first: int = 0x21) -> bytes:
        ours[source + length : source + 2 * length] = destination.packed
        ours[body : body + 2] = bytes((first, group.vhid))
        return bytes((repairs,)) + bytes(ours)

    ours = bytearray(packet)
    for repairs in (0x07, 0x17, 0x06, 0x05, 0x03, 0x0F, 0x27, 0x47, 0x67):
        yield sent(repairs, to_all)
    for repairs in (0x07, 0x17, 0x06):
        yield sent(repairs, own)
        yield sent(repairs, own, first=0x22)
        yield sent(repairs | _BROADCAST, own)
        yield sent(repairs | _BROADCAST, LOWER6 if is_ipv6 else LOWER)
        vip = oracle.solicited(group, version)
        if vip is not None:
            yield sent(repairs | _BROADCAST, vip, first=0x23)
    for byte in range(20):  # of the digest
        ours[5] = byte
        yield sent(0x17, to_all)
    ours = bytearray(packet)
    for peer in (peer for peer in group.peers if peer.version == version):
        ours[source : source + length] = peer.packed
        for hops in (64, 255):
            ours[ttl] = hops
            yield sent(0x07, own)
            yield sent(0x07, to_all)


def _as_long_as_in_ipv6(body: bytes) -> bytes:
    """A VRRP advert with addresses of 16 bytes."""
    return body[:8] + bytes(16 * body[3])
