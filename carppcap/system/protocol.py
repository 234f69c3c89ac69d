"""Keeps the kernel from rejecting adverts that are sent to this host alone (`--peer`).

An open raw socket of protocol 112 is enough.  Without one, Linux answers each of these
adverts with an ICMP error: "protocol unreachable" in IPv4, "parameter problem, unknown
next header" in IPv6 (seen with 6.18; `ip_protocol_deliver_rcu` and
`ip6_protocol_deliver_rcu`).  Firewalls log such errors, and a BSD kernel counts each as
a failure to send.  Linux never answers adverts to the groups 224.0.0.18 and ff02::12.
"""

import socket
from contextlib import suppress

from carppcap.addresses import Family
from carppcap.errors import N_, link_errors, on_error
from carppcap.system.socket_filter import DROP, attach_filter
from carppcap.wire.header import PROTOCOL

_FAMILIES = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}


class ProtocolHolder:
    """Keeps the kernel from answering adverts in `families` until `close`.

    It does so for all addresses of the host.  A filter drops each packet before it is
    queued, so no packet has to be read.  Raises `LinkError`, e.g. without CAP_NET_RAW.
    """

    def __init__(self, *families: Family) -> None:
        self._sockets: list[socket.socket] = []
        failure = N_(
            "Unable to keep the kernel from answering protocol 112 itself: {why}"
        )
        with link_errors(failure), on_error(self.close):
            for family in families:
                self._sockets.append(_open(_FAMILIES[family]))

    def close(self) -> None:
        """Close the raw sockets: the kernel answers adverts with ICMP errors again."""
        while self._sockets:
            self._sockets.pop().close()


def _open(family: socket.AddressFamily) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_RAW, PROTOCOL)
    with on_error(opened.close):
        attach_filter(opened, (DROP,))
        # Discard the packets that arrived before the filter was attached.
        opened.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                opened.recv(1)
    return opened
