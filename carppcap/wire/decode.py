"""Frames: Ethernet, IPv4, IPv6, ARP and its successor, read with impacket.

impacket never says no: it fills short buffers with zeros and keeps its constructors'
defaults, so that a bare Ethernet header reads as an IP packet with TTL 255, and an IP
option of length 0 keeps it busy for ever.  Every length is therefore checked here
before impacket sees a byte, and it never sees IP options or extension headers at all.
What it needs for IPv6 is loaded with the first such frame: hosts of IPv4 alone save a
quarter of a megabyte.

`decode_intact` is a second reader for files of millions of frames: it knows one
shape, that of an advert as every implementation sends it, reads it without impacket
and leaves everything else to `decode`.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from impacket.ImpactPacket import ARP, IP, Ethernet, LinuxSLL

from carppcap.addresses import Address
from carppcap.wire.header import HEADER_LENGTH, checksum, pseudo_checksum

PROTOCOL_CARP = 112
PROTOCOL_ICMP6 = 58
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_IPV6 = 0x86DD
TTL = 255

ALL_NODES = IPv6Address("ff02::1")
NEIGHBOUR_ADVERTISEMENT = 136
TARGET_LINK_ADDRESS = 2
"""The option of a neighbour advertisement that says where its target is."""

IP_HEADER_LENGTH = 20
IP6_HEADER_LENGTH = 40
ARP_LENGTH = 28
_VLAN_TAGS_MAX = 2
_TAGS = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
"""What impacket takes for a tag: 802.1Q, 802.1ad and what was there before it."""
_ARP_OR_TAGS = _TAGS | {b"\x08\x06"}

_EXTENSIONS = frozenset((0, 43, 60))
"""Headers that may stand before any other: hop-by-hop, routing, destination."""

_EXTENSIONS_MAX = 8
"""More of them than anybody has a use for (RFC 8200, 4.1, would have at most four)."""

_FRAGMENT_HEADER = 44
_WAYS_TO_CARP = _EXTENSIONS | {_FRAGMENT_HEADER, PROTOCOL_CARP}
_ADVERTISEMENT_LENGTH = 24
_SOLICITED = 0x40
_SLL2_HEADER = Struct("!HHIHBB8s")


class LinkType(Enum):
    """What a frame begins with; the numbers are libpcap's (DLT_*) on Linux."""

    ETHERNET = 1
    RAW = 12
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


class Defect(Enum):
    """Why a frame is no IP datagram of protocol 112."""

    FOREIGN = "foreign"  # something else altogether, and none of our business
    TRUNCATED = "truncated"  # its lengths contradict each other or the capture
    FRAGMENT = "fragment"


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IP datagram of protocol 112, complete, with its options set aside.

    `ttl` is the hop limit in IPv6, and `header_ok` always true: there is no sum.
    """

    source: Address
    destination: Address
    ttl: int
    header_ok: bool
    payload: bytes
    source_mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """Who answers for `address` now: a gratuitous ARP packet, or what IPv6 has for it.

    That is an unsolicited neighbour advertisement (RFC 4861, 7.2.6).
    """

    address: Address
    mac: bytes


Network = tuple[int, bytes, bytes | None]
"""Ethertype, what follows it, and the sender's MAC where the link has one."""


def decode(frame: bytes, link_type: LinkType) -> Datagram | Defect:
    """The CARP (or VRRP) datagram in `frame`.  Any bytes at all are an answer."""
    if link_type is LinkType.ETHERNET and _is_plainly_foreign(frame):
        return Defect.FOREIGN
    network = _network(frame, link_type)
    if network is None:
        return Defect.TRUNCATED if _starts_like_carp(frame) else Defect.FOREIGN
    ethertype, packet, source_mac = network
    version = packet[0] >> 4 if packet else None
    if (ethertype, version) == (ETHERTYPE_IPV4, 4):
        return _decode_ipv4(packet, source_mac)
    if (ethertype, version) == (ETHERTYPE_IPV6, 6):
        return _decode_ipv6(packet, source_mac)
    return Defect.FOREIGN


def _decode_ipv4(packet: bytes, source_mac: bytes | None) -> Datagram | Defect:
    if len(packet) < IP_HEADER_LENGTH:
        return Defect.TRUNCATED
    # The first byte holds version and header length; claiming five words keeps
    # impacket away from the options.
    header = IP(b"\x45" + packet[1:IP_HEADER_LENGTH])
    if header.get_ip_p() != PROTOCOL_CARP:
        return Defect.FOREIGN
    header_length = 4 * (packet[0] & 0x0F)
    total_length = header.get_ip_len()
    if not IP_HEADER_LENGTH <= header_length <= total_length <= len(packet):
        return Defect.TRUNCATED
    if header.get_ip_mf() or header.get_ip_offmask():
        return Defect.FRAGMENT
    return Datagram(
        source=IPv4Address(packet[12:16]),
        destination=IPv4Address(packet[16:20]),
        ttl=header.get_ip_ttl(),
        header_ok=checksum(packet[:header_length]) == 0,
        payload=packet[header_length:total_length],  # Ethernet pads short frames
        source_mac=source_mac,
    )


def _decode_ipv6(packet: bytes, source_mac: bytes | None) -> Datagram | Defect:
    if len(packet) < IP6_HEADER_LENGTH:
        return Defect.TRUNCATED
    from impacket.IP6 import IP6  # noqa: PLC0415 - see above

    header = IP6(packet[:IP6_HEADER_LENGTH])
    end = IP6_HEADER_LENGTH + header.get_payload_length()
    there = min(end, len(packet))
    protocol, start = _behind_extensions(packet[:there], header.get_next_header())
    is_fragment = protocol == _FRAGMENT_HEADER
    if is_fragment:
        protocol = packet[start] if start < there else None
    if protocol is None:
        return Defect.TRUNCATED
    if protocol != PROTOCOL_CARP:
        return Defect.FOREIGN
    if not start <= end <= len(packet):
        return Defect.TRUNCATED
    if is_fragment:
        return Defect.FRAGMENT
    return Datagram(
        source=IPv6Address(packet[8:24]),
        destination=IPv6Address(packet[24:40]),
        ttl=header.get_hop_limit(),
        header_ok=True,
        payload=packet[start:end],
        source_mac=source_mac,
    )


def _behind_extensions(packet: bytes, protocol: int) -> tuple[int | None, int]:
    """What an IPv6 packet holds at last, and where; None: it ends before that.

    Each extension header begins with the number of the next and its own length.
    """
    start = IP6_HEADER_LENGTH
    for _ in range(_EXTENSIONS_MAX):
        if protocol not in _EXTENSIONS:
            break
        if start + 2 > len(packet):
            return None, start
        protocol, length = packet[start], packet[start + 1]
        start += 8 * (1 + length)
    return protocol, start


def _is_plainly_foreign(frame: bytes) -> bool:
    """Whether a glance is enough: untagged, and neither protocol 112 nor too short."""
    ethertype = frame[12:14]
    if ethertype == b"\x08\x00":
        return len(frame) >= 34 and frame[23] != PROTOCOL_CARP
    if ethertype == b"\x86\xdd":
        return len(frame) >= 54 and frame[20] not in _WAYS_TO_CARP
    return ethertype not in _TAGS


def decode_announcement(frame: bytes, link_type: LinkType) -> Announcement | None:
    """Who says in `frame` where an address lives now, or None if nobody does."""
    if link_type is LinkType.ETHERNET and not _may_announce(frame):
        return None
    network = _network(frame, link_type)
    if network is None:
        return None
    ethertype, packet, _ = network
    if ethertype == ETHERTYPE_ARP and len(packet) >= ARP_LENGTH:
        return _gratuitous_arp(packet[:ARP_LENGTH])
    if (
        ethertype == ETHERTYPE_IPV6
        and len(packet) >= IP6_HEADER_LENGTH + _ADVERTISEMENT_LENGTH
        and packet[0] >> 4 == 6
    ):
        return _neighbour_advertisement(packet)
    return None


def _may_announce(frame: bytes) -> bool:
    """Whether it takes more than a glance to see that an Ethernet frame does not."""
    ethertype = frame[12:14]
    if ethertype == b"\x86\xdd":
        kind = bytes((NEIGHBOUR_ADVERTISEMENT,))
        return frame[20:21] == b"\x3a" and frame[54:55] == kind
    return ethertype in _ARP_OR_TAGS


def _gratuitous_arp(packet: bytes) -> Announcement | None:
    """Sender and target are one address."""
    arp = ARP(packet)
    is_ipv4_over_ethernet = (
        arp.get_ar_hrd() == 1
        and arp.get_ar_pro() == ETHERTYPE_IPV4
        and arp.get_ar_hln() == 6
        and arp.get_ar_pln() == 4
    )
    sender, target = packet[14:18], packet[24:28]
    if not is_ipv4_over_ethernet or sender != target or sender == b"\0\0\0\0":
        return None
    return Announcement(IPv4Address(sender), packet[8:14])


def _neighbour_advertisement(packet: bytes) -> Announcement | None:
    """Nobody has asked for it, all nodes are told, and it names a MAC address.

    The checks are those of RFC 4861, 7.1.2.
    """
    from impacket.IP6 import IP6  # noqa: PLC0415 - see above

    header = IP6(packet[:IP6_HEADER_LENGTH])
    end = IP6_HEADER_LENGTH + header.get_payload_length()
    message = packet[IP6_HEADER_LENGTH:end]
    if (
        header.get_next_header() != PROTOCOL_ICMP6
        or header.get_hop_limit() != TTL
        or packet[24:40] != ALL_NODES.packed
        or not IP6_HEADER_LENGTH + _ADVERTISEMENT_LENGTH <= end <= len(packet)
        or message[:2] != bytes((NEIGHBOUR_ADVERTISEMENT, 0))
        or message[4] & _SOLICITED
        or pseudo_checksum(packet[8:40], PROTOCOL_ICMP6, message) != 0
    ):
        return None
    target = IPv6Address(message[8:24])
    mac = _target_link_address(message)
    if mac is None or target.is_multicast or target.is_unspecified:
        return None
    return Announcement(target, mac)


def _target_link_address(message: bytes) -> bytes | None:
    """The MAC address among the options, each of which has a kind and a length."""
    at = _ADVERTISEMENT_LENGTH
    while at + 8 <= len(message):
        kind, length = message[at], message[at + 1]
        if (kind, length) == (TARGET_LINK_ADDRESS, 1):
            return message[at + 2 : at + 8]
        if length == 0:
            break
        at += 8 * length
    return None


def _network(frame: bytes, link_type: LinkType) -> Network | None:
    """Strip the link header; None where the frame is shorter than that."""
    match link_type:
        case LinkType.ETHERNET:
            return _network_of_ethernet(frame)
        case LinkType.LINUX_SLL:
            if len(frame) < 16:
                return None
            cooked = LinuxSLL(frame[:16])
            mac = frame[6:12] if cooked.get_addr_len() == 6 else None
            return _untagged(cooked.get_ether_type(), frame[16:], mac)
        case LinkType.LINUX_SLL2:
            if len(frame) < _SLL2_HEADER.size:
                return None
            ethertype, _, _, _, _, mac_length, mac_field = _SLL2_HEADER.unpack_from(
                frame
            )
            mac = mac_field[:6] if mac_length == 6 else None
            return _untagged(ethertype, frame[_SLL2_HEADER.size :], mac)
        case LinkType.IPV4:
            return ETHERTYPE_IPV4, frame, None
        case LinkType.IPV6:
            return ETHERTYPE_IPV6, frame, None
        case LinkType.RAW:  # pragma: no branch - these are all
            is_ipv6 = frame[:1] and frame[0] >> 4 == 6
            return ETHERTYPE_IPV6 if is_ipv6 else ETHERTYPE_IPV4, frame, None


def _network_of_ethernet(frame: bytes) -> Network | None:
    # Whoever asks has seen an ethertype, so the 14 bytes before the tags are there.
    ethernet = Ethernet(frame[: 14 + 4 * _VLAN_TAGS_MAX])
    header_length = ethernet.get_header_size()
    if len(frame) < header_length or ethernet.tag_cnt > _VLAN_TAGS_MAX:
        return None
    return ethernet.get_ether_type(), frame[header_length:], frame[6:12]


def _untagged(ethertype: int, rest: bytes, mac: bytes | None) -> Network | None:
    """Step over one 802.1Q tag, which a cooked capture keeps behind its header."""
    if ethertype != ETHERTYPE_VLAN:
        return ethertype, rest, mac
    if len(rest) < 4:
        return None
    return int.from_bytes(rest[2:4], "big"), rest[4:], mac


def _starts_like_carp(frame: bytes) -> bool:
    """Whether a frame too short for its own headers was on its way to be IPv4."""
    return frame[12:14] in (b"\x08\x00", b"\x81\x00")


# An advert exactly as kernels and the original send it: Ethernet without a tag, IPv4
# without options or fragments, 36 bytes of payload.
_INTACT = Struct("!6s6sHBBHHHBBH4s4s36s")
_INTACT_TOTAL_LENGTH = IP_HEADER_LENGTH + HEADER_LENGTH
_FRAGMENT_BITS = 0x3FFF  # more fragments, and the offset


def decode_intact(frame: bytes) -> Datagram | None:
    """What `decode` says of an Ethernet frame of the usual shape; None of others."""
    if len(frame) < _INTACT.size:
        return None
    (
        _,
        mac,
        ethertype,
        first,
        _,
        length,
        _,
        offset,
        ttl,
        protocol,
        _,
        src,
        dst,
        body,
    ) = _INTACT.unpack_from(frame)
    if (
        protocol != PROTOCOL_CARP
        or ethertype != ETHERTYPE_IPV4
        or first != 0x45
        or length != _INTACT_TOTAL_LENGTH
        or offset & _FRAGMENT_BITS
    ):
        return None
    return Datagram(
        source=IPv4Address(src),
        destination=IPv4Address(dst),
        ttl=ttl,
        header_ok=checksum(frame[14:34]) == 0,
        payload=body,
        source_mac=mac,
    )
