"""The MAC of the next hop to a peer, from the kernel's own tables.

Adverts to a peer are Ethernet frames that we put on the wire ourselves, so the kernel
does not look up for them where they go.  It is asked instead: for the route, then
for the neighbour.  What it does not know or has doubts about it is asked to find out
(`NTF_USE`, as for a packet of its own), and it does so by ARP or neighbour discovery,
in its own time.  We send no such frame by hand, and never wait.
"""

import errno
import socket
from ipaddress import IPv4Address, IPv6Address
from struct import Struct

from carppcap.addresses import Address
from carppcap.errors import LinkError
from carppcap.system.rtnetlink import (
    ACKNOWLEDGE,
    CREATE,
    Enquiry,
    attribute,
    attributes,
)

_ROUTE = Struct("=BBBBBBBBI")  # struct rtmsg
_NEIGHBOUR = Struct("=BxxxiHBB")  # struct ndmsg
_INDEX = Struct("=i")

_RTM_NEWROUTE, _RTM_GETROUTE = 24, 26
_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 1, 4, 5, 18
_NDA_DST, _NDA_LLADDR = 1, 2
_RTN_UNICAST = 1
_NTF_USE = 0x01

_NUD_INCOMPLETE = 0x01
_NUD_REACHABLE, _NUD_STALE, _NUD_DELAY, _NUD_PROBE = 0x02, 0x04, 0x08, 0x10
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_KNOWN = (
    _NUD_REACHABLE | _NUD_STALE | _NUD_DELAY | _NUD_PROBE | _NUD_NOARP | _NUD_PERMANENT
)
_SETTLED = _KNOWN & ~_NUD_STALE | _NUD_INCOMPLETE
"""Nothing to ask for: it is known, or already being found out."""


class NotPermittedError(LinkError):
    """The kernel does not let us ask it to resolve an address."""


class Neighbours:
    """The next hops out of one interface, of which `index` is the number.

    It is of no use once the interface is gone, and says None to everything then:
    make another for the one that takes its place.  Needs CAP_NET_ADMIN and Linux 5.0.
    Raises `LinkError` where rtnetlink is not to be had.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._complained = False
        try:
            self._kernel = Enquiry()
        except OSError as error:
            raise LinkError(
                "Unable to ask for the neighbours of an interface: {why}",
                why=error.strerror,
            ) from None

    def mac_of(self, address: Address) -> bytes | None:
        """Where to send a frame for `address`; None if that is not known yet.

        It has been asked for then, if there is a route.  Ask anew for every frame: it
        takes two questions to the kernel, some 20 microseconds, and an answer that is
        kept would be wrong when the peer's card or the route is another.  Raises
        `NotPermittedError` when the kernel had to be asked to resolve it and refused,
        but only the first time.
        """
        try:
            hop = self._next_hop(address)
            return None if hop is None else self._resolved(hop)
        except OSError as error:
            if error.errno != errno.EPERM or self._complained:
                return None  # No route, no such interface any more, no memory.
            self._complained = True
            raise NotPermittedError(
                "Unable to have {address} resolved: {why} (--peer needs CAP_NET_ADMIN)",
                address=address,
                why=error.strerror,
            ) from None

    def _next_hop(self, address: Address) -> Address | None:
        """The gateway to `address`, or itself if it is on the link."""
        head = _ROUTE.pack(_family(address), address.max_prefixlen, *[0] * 7)
        request = attribute(_RTA_DST, address.packed)
        request += attribute(_RTA_OIF, _INDEX.pack(self._index))
        for kind, body in self._kernel.ask(_RTM_GETROUTE, 0, head + request):
            if kind != _RTM_NEWROUTE or len(body) < _ROUTE.size:
                continue
            found = attributes(body, _ROUTE.size)
            is_ours = found.get(_RTA_OIF) == _INDEX.pack(self._index)
            if not is_ours or _ROUTE.unpack_from(body)[7] != _RTN_UNICAST:
                continue
            # An IPv4 route may have an IPv6 gateway: its family goes before it then.
            gateway = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA, b"")[2:]
            return _address(gateway) if gateway else address
        return None

    def _resolved(self, hop: Address) -> bytes | None:
        """The MAC of `hop`, if the kernel knows it; else it is asked to find out."""
        state, mac = self._entry(hop)
        if not state & _SETTLED:
            self._kernel.ask(
                _RTM_NEWNEIGH, CREATE | ACKNOWLEDGE, self._question(hop, _NTF_USE)
            )
        return mac if state & _KNOWN and len(mac) == 6 else None

    def _entry(self, hop: Address) -> tuple[int, bytes]:
        """State and MAC of `hop` in the kernel's table; 0 where it is not in there."""
        try:
            answer = self._kernel.ask(_RTM_GETNEIGH, 0, self._question(hop, 0))
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return 0, b""
        for kind, body in answer:
            if kind == _RTM_NEWNEIGH and len(body) >= _NEIGHBOUR.size:
                mac = attributes(body, _NEIGHBOUR.size).get(_NDA_LLADDR, b"")
                return _NEIGHBOUR.unpack_from(body)[2], mac
        return 0, b""

    def _question(self, hop: Address, flags: int) -> bytes:
        head = _NEIGHBOUR.pack(_family(hop), self._index, 0, flags, 0)
        return head + attribute(_NDA_DST, hop.packed)

    def close(self) -> None:
        """Ask no more."""
        self._kernel.close()


def _family(address: Address) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _address(packed: bytes) -> Address | None:
    if len(packed) == 4:
        return IPv4Address(packed)
    return IPv6Address(packed) if len(packed) == 16 else None
