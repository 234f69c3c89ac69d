"""Frames and adverts read a second time, by other means than the code under test.

Plain slices and sums as the standards have them: no impacket, no struct, no modulo,
and the HMAC of the standard library.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from carppcap.frames import Datagram, Defect, LinkType
from carppcap.ingress import RejectReason

_TAGS = (0x8100, 0x88A8, 0x9100)


@dataclass(frozen=True)
class Group:
    """A virtual host as the doorkeeper's oracle knows it; `key` None: not checked."""

    vhid: int
    source: IPv4Address
    vips: tuple[IPv4Address, ...]
    key: bytes | None
    group: IPv4Address


def number(data: bytes, start: int, end: int) -> int:
    """A big-endian number out of `data`."""
    return int.from_bytes(data[start:end], "big")


def sums_up(data: bytes) -> bool:
    """Whether 16-bit words add up to all ones (RFC 1071, 1), one by one."""
    total = 0
    for index in range(0, len(data), 2):
        total += number(data[index : index + 2].ljust(2, b"\0"), 0, 2)
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def packet_in(frame: bytes, link_type: LinkType) -> bytes | None:
    """The IPv4 packet of a frame, None where there is none or its header is cut."""
    if link_type in (LinkType.RAW, LinkType.IPV4):
        packet = frame
    else:
        # Where the ethertype is, where its payload, and how many tags may follow.
        type_at, start, tags_max, tags = {
            LinkType.ETHERNET: (12, 14, 2, _TAGS),
            LinkType.LINUX_SLL: (14, 16, 1, (0x8100,)),
            LinkType.LINUX_SLL2: (0, 20, 1, (0x8100,)),
        }[link_type]
        if len(frame) < start:
            return None
        ethertype = number(frame, type_at, type_at + 2)
        for _ in range(tags_max):
            if ethertype in tags:
                if len(frame) < start + 4:
                    return None
                ethertype = number(frame, start + 2, start + 4)
                start += 4
        if ethertype != 0x0800:
            return None
        packet = frame[start:]
    return packet if packet[:1] and packet[0] >> 4 == 4 else None


def mac_in(frame: bytes, link_type: LinkType) -> bytes | None:
    """The sender's MAC address, where the link says it."""
    match link_type:
        case LinkType.ETHERNET:
            return frame[6:12]
        case LinkType.LINUX_SLL:
            return frame[6:12] if number(frame, 4, 6) == 6 else None
        case LinkType.LINUX_SLL2:
            return frame[12:18] if frame[11] == 6 else None
        case _:
            return None


def read(frame: bytes, link_type: LinkType) -> Datagram | Defect | None:
    """What `frames.decode` must say; None: a defect, but no fragment."""
    packet = packet_in(frame, link_type)
    if packet is None:
        return None
    if len(packet) < 20:
        return Defect.TRUNCATED
    if packet[9] != 112:
        return Defect.FOREIGN
    header_length, total_length = packet[0] % 16 * 4, number(packet, 2, 4)
    if header_length < 20 or total_length < header_length or total_length > len(packet):
        return Defect.TRUNCATED
    if number(packet, 6, 8) % 0x4000:
        return Defect.FRAGMENT
    return Datagram(
        source=IPv4Address(number(packet, 12, 16)),
        destination=IPv4Address(number(packet, 16, 20)),
        ttl=packet[8],
        header_ok=sums_up(packet[:header_length]),
        payload=packet[header_length:total_length],
        source_mac=mac_in(frame, link_type),
    )


def sign(group: Group, counter: bytes, kind: int = 1) -> bytes:
    """The digest of an advert, or of a hint, which is of kind 2."""
    assert group.key is not None
    listed = b"".join(vip.packed for vip in sorted(set(group.vips)))
    text = bytes((2, kind, group.vhid)) + listed + counter
    return hmac.digest(group.key, text, "sha1")


def is_vrrp(datagram: Datagram, found: RejectReason | None) -> bool:
    """Whether a datagram with this fault is a VRRP advert (RFC 3768, RFC 5798)."""
    body = datagram.payload
    if len(body) < 8 or found is RejectReason.OWN:
        return False
    claimed = 8 + 4 * body[3]
    match body[0]:
        case 0x21 if body[3] == 7:
            # As long as one of ours with eight bytes behind it: the digest decides.
            return found is RejectReason.BADAUTH and len(body) == 44 and sums_up(body)
        case 0x21:
            return len(body) in (claimed, claimed + 8)
        case 0x31 if body[3] == 7:
            addresses = datagram.source.packed + datagram.destination.packed
            pseudo_header = addresses + b"\0\x70\0" + bytes((len(body) & 0xFF,))
            return len(body) == claimed and sums_up(pseudo_header + body)
        case 0x31:
            return len(body) == claimed
    return False


def is_hint(datagram: Datagram, groups: Sequence[Group]) -> bool:
    """Whether it tells one of us how far it has heard a sender."""
    own = {group.source for group in groups}
    return datagram.payload[0] % 16 == 2 and datagram.destination in own


def fault(datagram: Datagram, groups: Sequence[Group]) -> RejectReason | None:
    """The first fault of a datagram in the order of `ingress`, but for VRRP."""
    body = datagram.payload
    if datagram.source in {group.source for group in groups}:
        return RejectReason.OWN
    if len(body) < 36:
        return RejectReason.BADLEN
    if datagram.ttl != 255:
        return RejectReason.BADTTL
    if body[0] >> 4 != 2:
        return RejectReason.BADVER
    group = next((group for group in groups if group.vhid == body[1]), None)
    if group is None:
        return RejectReason.BADVHID
    kind = 2 if is_hint(datagram, groups) else 1
    if datagram.destination != group.group and kind == 1:
        return RejectReason.WRONG_GROUP
    if not datagram.header_ok or not (sums_up(body[:36]) or sums_up(body)):
        return RejectReason.BADSUM
    if group.key is not None and sign(group, body[8:16], kind) != body[16:36]:
        return RejectReason.BADAUTH
    return None
