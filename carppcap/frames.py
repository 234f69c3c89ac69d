"""Frames: Ethernet, IPv4 and ARP, read and built with impacket.

impacket never says no: it fills short buffers with zeros and keeps its constructors'
defaults, so that a bare Ethernet header reads as an IP packet with TTL 255, and an IP
option of length 0 keeps it busy for ever.  Every length is therefore checked here
before impacket sees a byte, and it never sees IP options at all.

`decode_intact` is a second reader for files of millions of frames: it knows one
shape, that of an advert as every implementation sends it, reads it without impacket
and leaves everything else to `decode`.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from struct import Struct

from impacket.ImpactPacket import ARP, IP, Data, Ethernet, LinuxSLL

from carppcap.addresses import BROADCAST_MAC
from carppcap.advert import HEADER_LENGTH, checksum

PROTOCOL_CARP = 112
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
TTL = 255
TOS_LOW_DELAY = 0x10

IP_HEADER_LENGTH = 20
ARP_LENGTH = 28
_VLAN_TAGS_MAX = 2
_TAGS = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
"""What impacket takes for a tag: 802.1Q, 802.1ad and what was there before it."""
_ARP_OR_TAGS = _TAGS | {b"\x08\x06"}
_SLL2_HEADER = Struct("!HHIHBB8s")


class LinkType(Enum):
    """What a frame begins with; the numbers are libpcap's (DLT_*) on Linux."""

    ETHERNET = 1
    RAW = 12
    LINUX_SLL = 113
    IPV4 = 228
    LINUX_SLL2 = 276


class Defect(Enum):
    """Why a frame is no IPv4 datagram of protocol 112."""

    FOREIGN = "foreign"  # something else altogether, and none of our business
    TRUNCATED = "truncated"  # its lengths contradict each other or the capture
    FRAGMENT = "fragment"


@dataclass(frozen=True, slots=True)
class Datagram:
    """An IPv4 datagram of protocol 112, complete, with its options set aside."""

    source: IPv4Address
    destination: IPv4Address
    ttl: int
    header_ok: bool
    payload: bytes
    source_mac: bytes | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gratuitous ARP packet: who answers for `address` now."""

    address: IPv4Address
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
    if ethertype != ETHERTYPE_IPV4 or not packet or packet[0] >> 4 != 4:
        return Defect.FOREIGN
    return _decode_ipv4(packet, source_mac)


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


def _is_plainly_foreign(frame: bytes) -> bool:
    """Whether a glance is enough: untagged, and neither protocol 112 nor too short."""
    ethertype = frame[12:14]
    if ethertype == b"\x08\x00":
        return len(frame) >= 34 and frame[23] != PROTOCOL_CARP
    return ethertype not in _TAGS


def decode_announcement(frame: bytes, link_type: LinkType) -> Announcement | None:
    """The gratuitous ARP in `frame`, or None: sender and target are one address."""
    if link_type is LinkType.ETHERNET and frame[12:14] not in _ARP_OR_TAGS:
        return None
    network = _network(frame, link_type)
    if network is None:
        return None
    ethertype, packet, _ = network
    if ethertype != ETHERTYPE_ARP or len(packet) < ARP_LENGTH:
        return None
    arp = ARP(packet[:ARP_LENGTH])
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
        case LinkType.RAW | LinkType.IPV4:  # pragma: no branch - these are all
            return (ETHERTYPE_IPV4, frame, None) if frame else None


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


def build_advert(
    *,
    source_mac: bytes,
    destination_mac: bytes,
    source: IPv4Address,
    destination: IPv4Address,
    ip_id: int,
    payload: bytes,
) -> bytes:
    """An advert's frame: TTL 255, low delay, not to be fragmented (`carp_send_ad`)."""
    packet = IP()
    packet.set_ip_tos(TOS_LOW_DELAY)
    packet.set_ip_id(ip_id)
    packet.set_ip_df(True)
    packet.set_ip_ttl(TTL)
    packet.set_ip_p(PROTOCOL_CARP)
    packet.set_ip_src(str(source))
    packet.set_ip_dst(str(destination))
    packet.contains(Data(payload))
    return _build_ethernet(source_mac, destination_mac, packet)


def build_gratuitous_arp(mac: bytes, address: IPv4Address) -> bytes:
    """A broadcast request for `address` by itself, both hardware addresses `mac`.

    Kernels leave the target's hardware address zero; the original fills it in.
    """
    packet = ARP()
    packet.set_ar_hrd(1)
    packet.set_ar_pro(ETHERTYPE_IPV4)
    packet.set_ar_hln(6)
    packet.set_ar_pln(4)
    packet.set_ar_op(1)
    packet.set_ar_sha(mac)
    packet.set_ar_spa(address.packed)
    packet.set_ar_tha(mac)
    packet.set_ar_tpa(address.packed)
    return _build_ethernet(mac, BROADCAST_MAC, packet)


def _build_ethernet(
    source_mac: bytes, destination_mac: bytes, packet: IP | ARP
) -> bytes:
    ethernet = Ethernet()
    ethernet.set_ether_shost(source_mac)
    ethernet.set_ether_dhost(destination_mac)
    ethernet.contains(packet)
    frame: bytes = ethernet.get_packet()
    return frame
