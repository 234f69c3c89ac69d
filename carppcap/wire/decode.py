"""Frames from the wire: Ethernet, IPv4, IPv6 and ARP, decoded with impacket.

impacket accepts anything.  It fills short buffers with zeros and keeps the defaults of
its constructors: for it, an Ethernet header with nothing behind it contains an IP
packet with TTL 255.  An IP option of length 0 puts it into an endless loop.  This
module therefore checks every length before it calls impacket, and gives impacket
neither IP options nor extension headers.
"""

from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from impacket.ImpactPacket import ARP, IP
from impacket.IP6 import IP6

from carppcap.addresses import BROADCAST_MAC, Address
from carppcap.wire.header import PROTOCOL, checksum, pseudo_checksum

PROTOCOL_ICMP6 = 58
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
TTL = 255

ALL_NODES = IPv6Address("ff02::1")
NEIGHBOUR_ADVERTISEMENT = 136
TARGET_LINK_ADDRESS = 2
"""The option of a neighbour advertisement that holds the MAC of its target."""

IP_HEADER_LENGTH = 20
IP6_HEADER_LENGTH = 40
ARP_LENGTH = 28
_VLAN_TAGS_MAX = 2
_TAGS = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
"""Ethertypes of VLAN tags: 802.1Q, 802.1ad and the predecessor of 802.1ad."""

_VLAN_ID_BITS = 0x0FFF

_FRAGMENT_BITS = 0x3FFF  # "more fragments" and the offset
_EXTENSIONS = frozenset((0, 43, 60))
"""Extension headers that are skipped: hop-by-hop, routing, destination options."""

_EXTENSIONS_MAX = 8
"""The most extension headers that are skipped: twice as many as in RFC 8200, 4.1."""

_FRAGMENT_HEADER = 44
_SLL_BROADCAST = 1  # the packet type of both cooked link types (LINUX_SLL*)
_ADVERTISEMENT_LENGTH = 24
_SOLICITED = 0x40


class LinkType(Enum):
    """The link header at the start of a frame; the numbers are libpcap's (DLT_*)."""

    ETHERNET = 1
    RAW = 12
    LINUX_SLL = 113
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


Vlan = tuple[int, ...]
"""The VLAN of a frame: the IDs of its tags, 1..4095, with the outer tag first.

A tag with ID 0 is left out: it gives a priority and no VLAN (802.1Q, 6.9)."""

UNTAGGED: Vlan = ()


class Defect(Enum):
    """Why a frame does not contain a complete IP datagram of protocol 112."""

    FOREIGN = "foreign"  # of another protocol; with a VLAN tag also the two below
    TRUNCATED = "truncated"  # its lengths do not fit together or the captured frame
    FRAGMENT = "fragment"


@dataclass(frozen=True, slots=True)
class Datagram:
    """A complete IP datagram of protocol 112.

    `ttl` is the TTL of IPv4 or the hop limit of IPv6.  `header_ok` is True if the
    checksum of the IPv4 header is right; for IPv6, which has no such checksum, it is
    always True.  `payload` follows IP options and extension headers.  `source_mac` is
    None if the link has no MACs.  `is_broadcast` is True if the frame was sent to the
    broadcast MAC, whatever the destination address is.
    """

    source: Address
    destination: Address
    ttl: int
    header_ok: bool
    payload: bytes
    source_mac: bytes | None = None
    is_broadcast: bool = False
    vlan: Vlan = UNTAGGED


class Announcement(NamedTuple):
    """A gratuitous ARP, or an unsolicited neighbour advertisement of IPv6.

    It says that `address` now belongs to `mac` (RFC 5227, 3; RFC 4861, 7.2.6).
    """

    address: Address
    mac: bytes


class Claim(NamedTuple):
    """An ARP packet or neighbour advertisement, which says whose an address is.

    `to_all` is True if it is an announcement, which tells all hosts; it may otherwise
    be an answer or, in ARP, the question of a host that has `announcement.address`.
    """

    announcement: Announcement
    to_all: bool


class Network(NamedTuple):
    """The packet in a frame, with what the link header tells about it.

    `source_mac` is None if the link has no MACs.
    """

    ethertype: int
    packet: bytes
    source_mac: bytes | None = None
    is_broadcast: bool = False


def untag(frame: bytes, link_type: LinkType) -> tuple[Vlan, bytes] | None:
    """Return the VLAN of `frame`, and the frame without its VLAN tags.

    Return None if the frame ends within a tag or has more than two tags.  The kernel
    removes the outer tag of a received frame, and libpcap inserts it again.
    """
    match link_type:
        case LinkType.ETHERNET:
            type_at, header_length = 12, 14
        case LinkType.LINUX_SLL:
            type_at, header_length = 14, 16
        case LinkType.LINUX_SLL2:
            type_at, header_length = 0, 20
        case _:
            return UNTAGGED, frame
    ethertype, start = frame[type_at : type_at + 2], header_length
    ids: list[int] = []
    while ethertype in _TAGS:
        if len(frame) < start + 4 or len(ids) == _VLAN_TAGS_MAX:
            return None
        ids.append(int.from_bytes(frame[start : start + 2], "big") & _VLAN_ID_BITS)
        ethertype = frame[start + 2 : start + 4]
        start += 4
    if not ids:
        return UNTAGGED, frame
    head = frame[:type_at] + ethertype + frame[type_at + 2 : header_length]
    return tuple(number for number in ids if number), head + frame[start:]


def decode(frame: bytes, link_type: LinkType) -> Datagram | Defect:
    """Return the datagram of protocol 112 in `frame`, or why it has none."""
    untagged = untag(frame, link_type)
    if untagged is None:
        return Defect.FOREIGN
    vlan, frame = untagged
    datagram = _decode(_network(frame, link_type))
    if vlan == UNTAGGED:
        return datagram
    if isinstance(datagram, Defect):
        return Defect.FOREIGN  # A defect on another VLAN must not be counted here.
    return replace(datagram, vlan=vlan)


def _decode(network: Network) -> Datagram | Defect:
    version = network.packet[0] >> 4 if network.packet else None
    if (network.ethertype, version) == (ETHERTYPE_IPV4, 4):
        return _decode_ipv4(network)
    if (network.ethertype, version) == (ETHERTYPE_IPV6, 6):
        return _decode_ipv6(network)
    return Defect.FOREIGN


def _decode_ipv4(network: Network) -> Datagram | Defect:
    packet = network.packet
    if len(packet) < IP_HEADER_LENGTH:
        return Defect.TRUNCATED
    # The first byte holds version and header length.  Here it says that the header has
    # five words, so that impacket does not look for options.
    header = IP(b"\x45" + packet[1:IP_HEADER_LENGTH])
    if header.get_ip_p() != PROTOCOL:
        return Defect.FOREIGN
    header_length = 4 * (packet[0] & 0x0F)
    total_length = header.get_ip_len()
    if not IP_HEADER_LENGTH <= header_length <= total_length <= len(packet):
        return Defect.TRUNCATED
    if header.get_ip_off() & _FRAGMENT_BITS:
        return Defect.FRAGMENT
    return Datagram(
        source=IPv4Address(packet[12:16]),
        destination=IPv4Address(packet[16:20]),
        ttl=header.get_ip_ttl(),
        header_ok=checksum(packet[:header_length]) == 0,
        payload=packet[header_length:total_length],  # Ethernet pads short frames
        source_mac=network.source_mac,
        is_broadcast=network.is_broadcast,
    )


def _decode_ipv6(network: Network) -> Datagram | Defect:
    packet = network.packet
    if len(packet) < IP6_HEADER_LENGTH:
        return Defect.TRUNCATED
    header = IP6(packet[:IP6_HEADER_LENGTH])
    end = IP6_HEADER_LENGTH + header.get_payload_length()
    held = packet[:end]
    protocol, start = _skip_extensions(held, header.get_next_header())
    is_fragment = protocol == _FRAGMENT_HEADER
    if is_fragment:
        protocol = held[start] if start < len(held) else None
    if protocol is None:
        return Defect.TRUNCATED
    if protocol != PROTOCOL:
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
        source_mac=network.source_mac,
        is_broadcast=network.is_broadcast,
    )


def _skip_extensions(packet: bytes, protocol: int) -> tuple[int | None, int]:
    """Return the protocol after the extension headers, and the offset of its data.

    `packet` begins with the IPv6 header, and `protocol` is the next header in it.  If
    the packet ends too early, the returned protocol is None.  The first byte of an
    extension header is the protocol that follows it.  Its second byte is its length
    beyond 8 bytes, in units of 8 bytes.
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


def decode_announcement(frame: bytes, link_type: LinkType) -> Announcement | None:
    """Return the gratuitous ARP or unsolicited advertisement in `frame`, or None.

    Also return None if the frame has a VLAN, because it is for other hosts.
    """
    claim = decode_claim(frame, link_type)
    return claim.announcement if claim is not None and claim.to_all else None


def decode_claim(frame: bytes, link_type: LinkType) -> Claim | None:
    """Return the claim to an address in an ARP packet or neighbour advertisement.

    The sender of any ARP packet claims an address, be it a request, a reply or an
    announcement (RFC 5227, 2.4); only in a probe the address is 0.0.0.0.  Return None
    if there is no claim, and if the frame has a VLAN, because it is for other hosts.
    """
    vlan, frame = untag(frame, link_type) or (None, frame)
    if vlan != UNTAGGED:
        return None
    ethertype, packet, *_ = _network(frame, link_type)
    if ethertype == ETHERTYPE_ARP and len(packet) >= ARP_LENGTH:
        return _arp(packet[:ARP_LENGTH])
    if (
        ethertype == ETHERTYPE_IPV6
        and len(packet) >= IP6_HEADER_LENGTH + _ADVERTISEMENT_LENGTH
        and packet[0] >> 4 == 6
    ):
        return _neighbour_advertisement(packet)
    return None


def _arp(packet: bytes) -> Claim | None:
    """Return the claim of the sender of an ARP packet, or None.

    A gratuitous ARP has the same IPv4 address as sender and as target.
    """
    arp = ARP(packet)
    is_ipv4_over_ethernet = (
        arp.get_ar_hrd() == 1
        and arp.get_ar_pro() == ETHERTYPE_IPV4
        and arp.get_ar_hln() == 6
        and arp.get_ar_pln() == 4
    )
    sender, target = packet[14:18], packet[24:28]
    if not is_ipv4_over_ethernet or sender == b"\0\0\0\0":
        return None
    announcement = Announcement(IPv4Address(sender), packet[8:14])
    return Claim(announcement, to_all=sender == target)


def _neighbour_advertisement(packet: bytes) -> Claim | None:
    """Return the claim in a neighbour advertisement, or None.

    It must contain a MAC and pass the checks of RFC 4861, 7.1.2.
    """
    header = IP6(packet[:IP6_HEADER_LENGTH])
    end = IP6_HEADER_LENGTH + header.get_payload_length()
    message = packet[IP6_HEADER_LENGTH:end]
    if (
        header.get_next_header() != PROTOCOL_ICMP6
        or header.get_hop_limit() != TTL
        or not IP6_HEADER_LENGTH + _ADVERTISEMENT_LENGTH <= end <= len(packet)
        or message[:2] != bytes((NEIGHBOUR_ADVERTISEMENT, 0))
        or pseudo_checksum(packet[8:40], PROTOCOL_ICMP6, message) != 0
    ):
        return None
    target = IPv6Address(message[8:24])
    mac = _target_link_address(message)
    if mac is None or target.is_multicast or target.is_unspecified:
        return None
    is_solicited = message[4] & _SOLICITED != 0
    to_all = packet[24:40] == ALL_NODES.packed and not is_solicited
    return Claim(Announcement(target, mac), to_all)


def _target_link_address(message: bytes) -> bytes | None:
    """Return the MAC in the options of a neighbour advertisement, or None.

    An option begins with one byte for its kind and one byte for its length, in units of
    8 bytes.
    """
    at = _ADVERTISEMENT_LENGTH
    while at + 8 <= len(message):
        kind, length = message[at], message[at + 1]
        if (kind, length) == (TARGET_LINK_ADDRESS, 1):
            return message[at + 2 : at + 8]
        if length == 0:
            break
        at += 8 * length
    return None


def _network(frame: bytes, link_type: LinkType) -> Network:
    """Return the packet in a frame without VLAN tags."""
    match link_type:
        case LinkType.ETHERNET:
            ethertype = int.from_bytes(frame[12:14], "big")
            is_broadcast = frame[:6] == BROADCAST_MAC
            return Network(ethertype, frame[14:], frame[6:12], is_broadcast)
        case LinkType.LINUX_SLL:
            ethertype = int.from_bytes(frame[14:16], "big")
            mac = frame[6:12] if frame[4:6] == b"\x00\x06" else None
            is_broadcast = frame[:2] == bytes((0, _SLL_BROADCAST))
            return Network(ethertype, frame[16:], mac, is_broadcast)
        case LinkType.LINUX_SLL2:
            ethertype = int.from_bytes(frame[:2], "big")
            mac = frame[12:18] if frame[11:12] == b"\x06" else None
            is_broadcast = frame[10:11] == bytes((_SLL_BROADCAST,))
            return Network(ethertype, frame[20:], mac, is_broadcast)
        case LinkType.IPV4:
            return Network(ETHERTYPE_IPV4, frame)
        case LinkType.IPV6:
            return Network(ETHERTYPE_IPV6, frame)
        case LinkType.RAW:  # pragma: no branch - these are all
            is_ipv6 = frame[:1] and frame[0] >> 4 == 6
            return Network(ETHERTYPE_IPV6 if is_ipv6 else ETHERTYPE_IPV4, frame)
