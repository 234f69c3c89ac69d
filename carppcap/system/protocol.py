"""Somebody at home for protocol 112, so that the kernel turns no advert away.

An advert to a host's own unicast address (`--peer`) reaches the kernel too.  Linux
answers a protocol that nobody handles with an ICMP error: "protocol unreachable" in
IPv4, "parameter problem, unknown next header" in IPv6 (seen with 6.18; it is
`ip_protocol_deliver_rcu` and `ip6_protocol_deliver_rcu`).  That is one packet of
noise for every advert, which firewalls log and which makes a BSD kernel count
failures to send.  Adverts to the groups 224.0.0.18 and ff02::12 are never answered,
and nothing is logged.  An open raw socket of the protocol is all it takes.
"""

import socket
from array import array
from contextlib import suppress
from struct import pack

from carppcap.addresses import Family
from carppcap.errors import LinkError

PROTOCOL = 112
"""CARP and VRRP in IPv4, the next header of both in IPv6."""

_SO_ATTACH_FILTER = 26
_DROP_ALL = pack("=HBBI", 0x06, 0, 0, 0)  # struct sock_filter: BPF_RET | BPF_K, 0
_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


class ProtocolHolder:
    """Keeps the kernel from answering adverts in `families`, for as long as it is open.

    It holds for all addresses of the host.  A filter drops each packet before it is
    queued, so there is nothing to read and nothing fills up.  Only unicast needs one.
    Raises `LinkError`, as without CAP_NET_RAW or where there is no such family.
    """

    def __init__(self, *families: Family) -> None:
        self._sockets: list[socket.socket] = []
        try:
            for family in families:
                self._sockets.append(_open(_FAMILIES[family]))
        except OSError as error:
            self.close()
            raise LinkError(
                "Unable to keep the kernel from answering protocol 112 itself: {why}",
                why=error.strerror,
            ) from None

    def close(self) -> None:
        """Leave the protocol to the kernel again."""
        while self._sockets:
            self._sockets.pop().close()


def _open(family: socket.AddressFamily) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_RAW, PROTOCOL)
    try:
        program = array("B", _DROP_ALL)
        # struct sock_fprog: how many instructions, and where they are.
        opened.setsockopt(
            socket.SOL_SOCKET,
            _SO_ATTACH_FILTER,
            pack("@HP", len(_DROP_ALL) // 8, program.buffer_info()[0]),
        )
        # What came between the two calls.
        opened.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                opened.recv(1)
    except OSError:
        opened.close()
        raise
    return opened
