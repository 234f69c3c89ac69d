"""Frames and adverts read a second time, by other means than the code under test.

Plain slices and sums as the standards have them: no impacket, no struct, no modulo,
and the HMAC of the standard library.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import Address
from carppcap.node.ingress import RejectReason
from carppcap.wire.decode import Datagram, Defect, LinkType

_TAGS = (0x8100, 0x88A8, 0x9100)


@dataclass(frozen=True)
class Group:
    """A virtual host as the doorkeeper's oracle knows it; `key` None: not checked."""

    vhid: int
    source: IPv4Address
    source6: IPv6Address
    vips: tuple[Address, ...]
    key: bytes | None
    group: IPv4Address
    peers: tuple[Address, ...] = ()
    link_address: bytes = b""


def number(data: bytes, start: int, end: int) -> int:
    """A big-endian number out of `data`."""
    return int.from_bytes(data[start:end], "big")


def sums_up(data: bytes) -> bool:
    """True if the 16-bit words add up to all ones (RFC 1071, 1)."""
    total = 0
    for index in range(0, len(data), 2):
        total += number(data[index : index + 2].ljust(2, b"\0"), 0, 2)
        total = (total & 0xFFFF) + (total >> 16)
    return total == 0xFFFF


def packet_in(frame: bytes, link_type: LinkType) -> bytes | None:
    """The IP packet of a frame, None where there is none or its header is cut.

    None as well for the packets of a VLAN.
    """
    found = tagged_packet_in(frame, link_type)
    return None if found is None or found[1] else found[0]


def tagged_packet_in(
    frame: bytes, link_type: LinkType
) -> tuple[bytes, tuple[int, ...]] | None:
    """The IP packet of a frame and the VLAN of its tags, where there is one."""
    expected = {LinkType.RAW: (4, 6), LinkType.IPV4: (4,), LinkType.IPV6: (6,)}
    packet = frame
    vlan: tuple[int, ...] = ()
    versions = expected.get(link_type)
    if versions is None:
        # Where the ethertype is, and where its payload.
        type_at, start = {
            LinkType.ETHERNET: (12, 14),
            LinkType.LINUX_SLL: (14, 16),
            LinkType.LINUX_SLL2: (0, 20),
        }[link_type]
        if len(frame) < start:
            return None
        ethertype = number(frame, type_at, type_at + 2)
        for _ in range(2):
            if ethertype in _TAGS:
                if len(frame) < start + 4:
                    return None
                number_of_vlan = number(frame, start, start + 2) % 4096
                vlan += (number_of_vlan,) if number_of_vlan else ()
                ethertype = number(frame, start + 2, start + 4)
                start += 4
        versions = {0x0800: (4,), 0x86DD: (6,)}.get(ethertype, ())
        packet = frame[start:]
    return (packet, vlan) if packet[:1] and packet[0] // 16 in versions else None


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


def is_broadcast(frame: bytes, link_type: LinkType) -> bool:
    """True if the frame went to all hosts of its link."""
    match link_type:
        case LinkType.ETHERNET:
            return number(frame, 0, 6) == (1 << 48) - 1
        case LinkType.LINUX_SLL:
            return number(frame, 0, 2) == 1
        case LinkType.LINUX_SLL2:
            return frame[10] == 1
        case _:
            return False


def read(frame: bytes, link_type: LinkType) -> Datagram | Defect | None:
    """What `frames.decode` must say; None: a defect, but no fragment."""
    found = tagged_packet_in(frame, link_type)
    if found is None:
        return None
    datagram = read_packet(found[0], frame, link_type)
    if isinstance(datagram, Defect):
        return Defect.FOREIGN if found[1] else datagram
    to_all = is_broadcast(frame, link_type)
    return replace(datagram, vlan=found[1], is_broadcast=to_all)


def read_packet(packet: bytes, frame: bytes, link_type: LinkType) -> Datagram | Defect:
    """The same for the packet of a frame."""
    if packet[0] // 16 == 6:
        return read_ipv6(packet, mac_in(frame, link_type))
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


def read_ipv6(packet: bytes, mac: bytes | None) -> Datagram | Defect:
    """The same for IPv6: one header is taken off after the other (RFC 8200, 4)."""
    if len(packet) < 40:
        return Defect.TRUNCATED
    claimed, kind, rest = number(packet, 4, 6), packet[6], packet[40:]
    known, taken = rest[:claimed], 0
    for _ in range(8):
        if kind in (0, 43, 60):
            if len(known) < 2:
                return Defect.TRUNCATED
            kind, length = known[0], 8 + 8 * known[1]
            known, taken = known[length:], taken + length
    is_fragment = kind == 44
    if is_fragment and not known:
        return Defect.TRUNCATED
    if (known[0] if is_fragment else kind) != 112:
        return Defect.FOREIGN
    if taken > claimed or claimed > len(rest):
        return Defect.TRUNCATED
    if is_fragment:
        return Defect.FRAGMENT
    source, destination = number(packet, 8, 24), number(packet, 24, 40)
    return Datagram(
        IPv6Address(source), IPv6Address(destination), packet[7], True, known, mac
    )


def advertised(frame: bytes, link_type: LinkType) -> tuple[int, bytes, bool] | None:
    """The address that a neighbour advertisement is about, its MAC, to all or not."""
    packet = packet_in(frame, link_type)
    if packet is None or packet[0] // 16 != 6 or len(packet) < 64:
        return None
    length, addresses = number(packet, 4, 6), packet[8:40]
    message = packet[40 : 40 + length]
    target = number(message, 8, 24)
    if (
        not len(message) == length >= 24
        or packet[6:8] != b"\x3a\xff"
        or message[:2] != b"\x88\0"
        or not sums_up(addresses + length.to_bytes(4, "big") + b"\0\0\0\x3a" + message)
        or not 0 < target < 0xFF << 120
    ):
        return None
    options = message[24:]
    while len(options) >= 8 and options[1] > 0:
        if options[:2] == b"\2\1":
            to_all = number(addresses, 16, 32) == (0xFF02 << 112) + 1
            return target, options[2:8], to_all and not message[4] // 64 % 2
        options = options[8 * options[1] :]
    return None


def sign(
    group: Group,
    counter: bytes,
    kind: int = 1,
    *,
    link_local: bool = False,
    link_address: bytes | None = None,
) -> bytes:
    """The digest of an advert, hint or solicitation in the usual form.

    They are of kind 1, 2 and 3.
    """
    assert group.key is not None
    listed = b""
    for version, length in ((4, 4), (6, 16)):
        numbers = {int(vip) for vip in group.vips if vip.version == version}
        local = {vip for vip in numbers if version == 6 and vip >> 118 == 0x3FA}
        for vip in sorted(numbers if link_local else numbers - local):
            listed += vip.to_bytes(length, "big")
    mac = group.link_address if link_address is None else link_address
    text = bytes((2, kind)) + mac + bytes((group.vhid,)) + listed + counter
    return hmac.digest(group.key, text, "sha1")


def is_signed(group: Group, datagram: Datagram, kind: int) -> bool:
    """True if the digest is right in a form that a sender may use."""
    return any(_is_signed(group, datagram, kind, local) for local in (False, True))


def signs_link_local(group: Group, datagram: Datagram) -> bool:
    """True if the digest is right only with link-local addresses."""
    return group.key is not None and not _is_signed(group, datagram, 1, False)


def _is_signed(group: Group, datagram: Datagram, kind: int, link_local: bool) -> bool:
    macs = {b"", group.link_address}
    mac = datagram.source_mac or b""
    if mac[:5] not in (b"\0\0\x5e\0\0", b"\0\0\x5e\0\1"):
        macs.add(mac)
    counter, digest = datagram.payload[8:16], datagram.payload[16:36]
    return any(
        digest
        == sign(group, counter, kind, link_local=link_local, link_address=link_address)
        for link_address in macs
    )


def is_vrrp(datagram: Datagram, found: RejectReason | None) -> bool:
    """True if a datagram with this fault is a VRRP advert (RFC 3768, RFC 5798)."""
    body = datagram.payload
    if len(body) < 8 or found is RejectReason.OWN:
        return False
    claimed = 8 + (4 if datagram.source.version == 4 else 16) * body[3]
    # RFC 2338 has the types 0, 1 and 2, all with 8 bytes at the end.
    is_other_type = body[4] > 2 and len(body) > claimed
    match body[0]:
        case 0x21 if body[3] == 7:
            # As long as one of ours with more bytes behind it: the digest decides.
            fits = (len(body) == claimed + 8 or is_other_type) and sums_up(body)
            return found in (RejectReason.BADAUTH, None) and fits
        case 0x21:
            fits = len(body) in (claimed, claimed + 8) or is_other_type
            return fits and body[3] > 0
        case 0x31 if body[3] == 7:
            addresses = datagram.source.packed + datagram.destination.packed
            pseudo_header = addresses + b"\0\x70\0" + bytes((len(body) & 0xFF,))
            return len(body) == claimed and sums_up(pseudo_header + body)
        case 0x31:
            return len(body) == claimed
    return False


def is_hint(datagram: Datagram, groups: Sequence[Group]) -> bool:
    """True if it is a hint to one of the groups."""
    return datagram.payload[0] % 16 == 2 and datagram.destination in own(groups)


def is_solicitation(datagram: Datagram, groups: Sequence[Group]) -> bool:
    """True if it is a solicitation to one of the groups."""
    kind, vhid = datagram.payload[0] % 16, datagram.payload[1]
    return kind == 3 and any(
        datagram.destination == solicited(group, datagram.source.version)
        for group in groups
        if group.vhid == vhid
    )


def solicited(group: Group, version: int) -> Address | None:
    """Where solicitations for a group go in one family."""
    if any(peer.version == version for peer in group.peers):
        return None
    vips = sorted(int(vip) for vip in group.vips if vip.version == version)
    return next((vip for vip in group.vips if [int(vip)] == vips[:1]), None)


def kind(datagram: Datagram, groups: Sequence[Group]) -> int:
    """Return as which type a message is read: advert, hint or solicitation."""
    if is_hint(datagram, groups):
        return 2
    return 3 if is_solicitation(datagram, groups) else 1


def is_to_one_host(datagram: Datagram) -> bool:
    """True for a broadcast frame with an advert for a single host."""
    return datagram.is_broadcast and not datagram.destination.is_multicast


def own(groups: Sequence[Group]) -> set[Address]:
    """Our own addresses."""
    return {group.source for group in groups} | {group.source6 for group in groups}


def destinations(group: Group, version: int) -> set[Address]:
    """Where adverts for a group go in one family."""
    to_all: Address = group.group if version == 4 else IPv6Address("ff02::12")
    ours: Address = group.source if version == 4 else group.source6
    has_peers = any(peer.version == version for peer in group.peers)
    return {to_all, ours} if has_peers else {to_all}


def fault(datagram: Datagram, groups: Sequence[Group]) -> RejectReason | None:
    """The first fault of a datagram in the order of `ingress`, but for VRRP."""
    body = datagram.payload
    if datagram.source in own(groups):
        return RejectReason.OWN
    if len(body) < 36:
        return RejectReason.BADLEN
    group = next((group for group in groups if group.vhid == body[1]), None)
    if datagram.ttl != 255 and not (group and datagram.source in group.peers):
        return RejectReason.BADTTL
    if body[0] >> 4 != 2:
        return RejectReason.BADVER
    version = datagram.source.version
    if group is None or version not in {vip.version for vip in group.vips}:
        return RejectReason.BADVHID
    which, goal = kind(datagram, groups), datagram.destination
    if which == 1 and goal not in destinations(group, version) | (
        own(groups) if is_to_one_host(datagram) else set()
    ):
        return RejectReason.WRONG_GROUP
    if not datagram.header_ok or not (sums_up(body[:36]) or sums_up(body)):
        return RejectReason.BADSUM
    if group.key is not None and not is_signed(group, datagram, which):
        return RejectReason.BADAUTH
    return None
