"""Frames for the wire, built with impacket: adverts and announcements of addresses."""

from array import array
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from impacket.ICMP6 import ICMP6
from impacket.ImpactPacket import ARP, IP, Data, Ethernet, Header
from impacket.IP6 import IP6

from carppcap.addresses import BROADCAST_MAC, Address, multicast_mac
from carppcap.wire.decode import (
    ALL_NODES,
    ETHERTYPE_IPV4,
    IP6_HEADER_LENGTH,
    PROTOCOL_ICMP6,
    TARGET_LINK_ADDRESS,
    TTL,
)
from carppcap.wire.header import PROTOCOL, checksum

TOS_LOW_DELAY = 0x10

HEADS_MAX = 4096
"""For so many groups and peers the headers of adverts are remembered."""

_ETHERNET_LENGTH = 14
_IP_ID, _IP_CHECKSUM = slice(18, 20), slice(24, 26)


def build_advert(
    *,
    source_mac: bytes,
    destination_mac: bytes,
    source: Address,
    destination: Address,
    ip_id: int,
    payload: bytes,
) -> bytes:
    """Return the frame of an advert, with the same fields as in `carp_send_ad` (BSD).

    The TTL or hop limit is 255.  An IPv4 packet has the TOS "low delay", the flag "do
    not fragment" and the identification `ip_id`, 0..65535.  An IPv6 packet has the
    traffic class 0 and does not use `ip_id`.
    """
    head = _advert_head(source_mac, destination_mac, source, destination, len(payload))
    if isinstance(source, IPv4Address):
        identified = bytearray(head)
        identified[_IP_ID] = ip_id.to_bytes(2, "big")
        sum_of_header = checksum(identified[_ETHERNET_LENGTH:])
        identified[_IP_CHECKSUM] = sum_of_header.to_bytes(2, "big")
        head = bytes(identified)
    return head + payload


@lru_cache(maxsize=HEADS_MAX)
def _advert_head(
    source_mac: bytes,
    destination_mac: bytes,
    source: Address,
    destination: Address,
    length: int,
) -> bytes:
    """Return the Ethernet and IP headers of adverts with a payload of `length` bytes.

    Identification and checksum of an IPv4 header are zero.  A master sends the same
    headers all the time, and to build them takes longer than all the rest.
    """
    if isinstance(source, IPv6Address):
        packet = _ipv6(source, destination, PROTOCOL, Data(bytes(length)))
        return _ethernet(source_mac, destination_mac, packet)[: -length or None]
    packet = IP()
    packet.set_ip_tos(TOS_LOW_DELAY)
    packet.set_ip_df(True)
    packet.set_ip_ttl(TTL)
    packet.set_ip_p(PROTOCOL)
    packet.set_ip_src(str(source))
    packet.set_ip_dst(str(destination))
    packet.contains(Data(bytes(length)))
    head = bytearray(_ethernet(source_mac, destination_mac, packet)[: -length or None])
    head[_IP_ID] = head[_IP_CHECKSUM] = bytes(2)
    return bytes(head)


def build_announcement(mac: bytes, address: Address, *, router: bool = False) -> bytes:
    """Return the frame that tells all hosts that `address` belongs to `mac`.

    The frame is sent from `mac`.  `router` is True if this host forwards IPv6.  If an
    announcement lacks that flag, hosts whose default router is `address` stop using it
    (RFC 4861, 7.2.5).
    """
    if isinstance(address, IPv6Address):
        return _neighbour_advertisement(mac, address, router)
    return _gratuitous_arp(mac, address)


def _gratuitous_arp(mac: bytes, address: IPv4Address) -> bytes:
    """Return a broadcast ARP request with `address` as sender and as target.

    The MAC of the target is `mac`, as with ucarp; BSD kernels set it to zero.
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
    """Return an unsolicited neighbour advertisement to all nodes.

    Its override flag makes hosts replace what they have cached (RFC 4861, 7.2.6).
    """
    message = ICMP6.Neighbor_Advertisement(array("B", address.packed))
    message.set_override_flag(True)
    message.set_router_flag(router)
    option = bytes((TARGET_LINK_ADDRESS, 1)) + mac
    message.child().set_data(message.child().get_packet() + option)
    packet = _ipv6(address, ALL_NODES, PROTOCOL_ICMP6, message)
    return _ethernet(mac, multicast_mac(ALL_NODES), packet)


def _ipv6(
    source: IPv6Address, destination: Address, next_header: int, content: Header
) -> IP6:
    packet = IP6()
    packet.set_ip_src(array("B", source.packed))
    packet.set_ip_dst(array("B", destination.packed))
    packet.set_hop_limit(TTL)
    packet.set_next_header(next_header)
    packet.contains(content)
    packet.set_payload_length(packet.get_size() - IP6_HEADER_LENGTH)
    return packet


def _ethernet(source_mac: bytes, destination_mac: bytes, packet: Header) -> bytes:
    ethernet = Ethernet()
    ethernet.set_ether_shost(source_mac)
    ethernet.set_ether_dhost(destination_mac)
    ethernet.contains(packet)
    frame: bytes = ethernet.get_packet()
    return frame
