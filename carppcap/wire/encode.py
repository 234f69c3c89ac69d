"""Frames that we send, built with impacket: adverts, and who answers for an address.

What impacket leaves out for IPv6 is set here: next header and payload length.  Its
checksum of ICMPv6 is right once they are.  As in `frames`, IPv6 is loaded when needed.
"""

from array import array
from ipaddress import IPv4Address, IPv6Address

from impacket.ImpactPacket import ARP, IP, Data, Ethernet

from carppcap.addresses import BROADCAST_MAC, Address, multicast_mac
from carppcap.wire.decode import (
    ALL_NODES,
    ETHERTYPE_IPV4,
    IP6_HEADER_LENGTH,
    PROTOCOL_CARP,
    PROTOCOL_ICMP6,
    TARGET_LINK_ADDRESS,
    TTL,
)

TYPE_CHECKING = False
if TYPE_CHECKING:  # For mypy alone: typing would cost the daemon 0.4 MB.
    from typing import Any

TOS_LOW_DELAY = 0x10


def build_advert(
    *,
    source_mac: bytes,
    destination_mac: bytes,
    source: Address,
    destination: Address,
    ip_id: int,
    payload: bytes,
) -> bytes:
    """An advert's frame, as `carp_send_ad` of the kernels has it for either family.

    TTL or hop limit is 255.  Over IPv4 it asks for low delay, is not to be fragmented
    and bears `ip_id`, of 16 bits, which IPv6 has no use for; there the class is 0.
    """
    if isinstance(source, IPv6Address):
        packet = _ipv6(source, destination, PROTOCOL_CARP, Data(payload))
        return _ethernet(source_mac, destination_mac, packet)
    packet = IP()
    packet.set_ip_tos(TOS_LOW_DELAY)
    packet.set_ip_id(ip_id)
    packet.set_ip_df(True)
    packet.set_ip_ttl(TTL)
    packet.set_ip_p(PROTOCOL_CARP)
    packet.set_ip_src(str(source))
    packet.set_ip_dst(str(destination))
    packet.contains(Data(payload))
    return _ethernet(source_mac, destination_mac, packet)


def build_announcement(mac: bytes, address: Address, *, router: bool = False) -> bytes:
    """The frame that tells everybody to find `address` at `mac`, whence it comes.

    `router` tells that we forward IPv6: a host that has the address as its way out
    would otherwise look for another (RFC 4861, 7.3.3).
    """
    if isinstance(address, IPv6Address):
        return _neighbour_advertisement(mac, address, router)
    return _gratuitous_arp(mac, address)


def _gratuitous_arp(mac: bytes, address: IPv4Address) -> bytes:
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
    return _ethernet(mac, BROADCAST_MAC, packet)


def _neighbour_advertisement(mac: bytes, address: IPv6Address, router: bool) -> bytes:
    """Unsolicited, to all nodes, and to override what they know (RFC 4861, 7.2.6)."""
    from impacket.ICMP6 import ICMP6  # noqa: PLC0415 - see above

    message = ICMP6.Neighbor_Advertisement(array("B", address.packed))
    message.set_override_flag(True)
    message.set_router_flag(router)
    option = bytes((TARGET_LINK_ADDRESS, 1)) + mac
    message.child().set_data(message.child().get_packet() + option)
    packet = _ipv6(address, ALL_NODES, PROTOCOL_ICMP6, message)
    return _ethernet(mac, multicast_mac(ALL_NODES), packet)


def _ipv6(
    source: IPv6Address, destination: Address, next_header: int, content: "Any"
) -> "Any":
    from impacket.IP6 import IP6  # noqa: PLC0415 - see above

    packet = IP6()
    packet.set_ip_src(array("B", source.packed))
    packet.set_ip_dst(array("B", destination.packed))
    packet.set_hop_limit(TTL)
    packet.set_next_header(next_header)
    packet.contains(content)
    packet.set_payload_length(packet.get_size() - IP6_HEADER_LENGTH)
    return packet


def _ethernet(source_mac: bytes, destination_mac: bytes, packet: "Any") -> bytes:
    ethernet = Ethernet()
    ethernet.set_ether_shost(source_mac)
    ethernet.set_ether_dhost(destination_mac)
    ethernet.contains(packet)
    frame: bytes = ethernet.get_packet()
    return frame
