"""The MAC of the next hop to a peer, from the kernel's tables.

Adverts to a peer are Ethernet frames that we send ourselves, so the kernel does not
route them.  It is asked for the route and then for the neighbour.  If it does not know
the neighbour, or is unsure, it is asked to resolve it (`NTF_USE`, as for a packet of
its own), which it does by ARP or neighbour discovery.  We send no such frame ourselves
and never wait.
"""

import errno
from struct import Struct

from carppcap.addresses import Address
from carppcap.errors import LinkError, link_errors
from carppcap.system.rtnetlink import (
    ACKNOWLEDGE,
    CREATE,
    ROUTE,
    RTA_DST,
    RTM_GETROUTE,
    Enquiry,
    address_of,
    attribute,
    family_of,
)

_NEIGHBOUR = Struct("=BxxxiHBB")  # struct ndmsg
_INDEX = Struct("=i")

_RTM_NEWNEIGH, _RTM_GETNEIGH = 28, 30
_RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 4, 5, 18
_NDA_DST, _NDA_LLADDR = 1, 2
_RTN_UNICAST = 1
_NTF_USE = 0x01

_NUD_INCOMPLETE, _NUD_FAILED = 0x01, 0x20
_NUD_REACHABLE, _NUD_STALE, _NUD_DELAY, _NUD_PROBE = 0x02, 0x04, 0x08, 0x10
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_KNOWN = (
    _NUD_REACHABLE | _NUD_STALE | _NUD_DELAY | _NUD_PROBE | _NUD_NOARP | _NUD_PERMANENT
)
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EINVAL)
"""What the kernel says of a destination with no route, or one that forbids it."""

_SETTLED = _KNOWN & ~_NUD_STALE | _NUD_INCOMPLETE
"""States that need no request: the MAC is known, or being resolved."""


_NO_ROUTE = "there is no route to it"


class NotPermittedError(LinkError):
    """The kernel refuses to resolve an address for us."""


class Neighbours:
    """The next hops through the interface number `index`.

    Once the interface is removed, every answer is None, and its replacement needs
    another `Neighbours`.  Needs CAP_NET_ADMIN and Linux 5.0.  Raises `LinkError` if
    there is no rtnetlink.

    `unreachable` tells why there was no MAC for an address that was asked for, once
    the kernel has given up; an address that is still being resolved is not there.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._complained = False
        self.unreachable: dict[Address, str] = {}
        with link_errors("Unable to ask for the neighbours of an interface: {why}"):
            self._kernel = Enquiry()

    def mac_of(self, address: Address) -> bytes | None:
        """Return the MAC to which frames for `address` go, None if it is not known yet.

        The kernel then resolves it, if there is a route.  Call this for every frame:
        it takes two requests, some 20 microseconds, and the peer's card or the route
        may have changed.  Raises `NotPermittedError` if the kernel refuses to resolve
        it, but only the first time.
        """
        try:
            hop = self._next_hop(address)
            if hop is None:
                self.unreachable[address] = _NO_ROUTE
                return None
            if self.unreachable.get(address) == _NO_ROUTE:
                del self.unreachable[address]
            return self._resolved(hop, address)
        except OSError as error:
            if error.errno in _NO_WAY:
                self.unreachable[address] = _NO_ROUTE
            if error.errno != errno.EPERM or self._complained:
                return None  # No route, no such interface any more, no memory.
            self._complained = True
            raise NotPermittedError(
                "Unable to have {address} resolved: {why} (--peer needs CAP_NET_ADMIN)",
                address=address,
                why=error.strerror,
            ) from None

    def _next_hop(self, address: Address) -> Address | None:
        """Return the gateway to `address`, or `address` itself if it is on the link."""
        head = ROUTE.pack(family_of(address), address.max_prefixlen, *[0] * 7)
        request = attribute(RTA_DST, address.packed)
        request += attribute(_RTA_OIF, _INDEX.pack(self._index))
        records = self._kernel.records(RTM_GETROUTE, 0, head + request, ROUTE)
        for fields, found in records:
            is_ours = found.get(_RTA_OIF) == _INDEX.pack(self._index)
            if not is_ours or fields[7] != _RTN_UNICAST:
                continue
            # The IPv6 gateway of an IPv4 route has its family before it.
            gateway = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA, b"")[2:]
            return address_of(gateway) if gateway else address
        return None

    def _resolved(self, hop: Address, address: Address) -> bytes | None:
        """Return the MAC of `hop` if it is known; otherwise have it resolved."""
        state, mac = self._entry(hop)
        if state & _NUD_FAILED:
            how = "ARP" if hop.version == 4 else "neighbour solicitations"
            self.unreachable[address] = f"{hop} does not answer {how}"
        elif state & _KNOWN:
            self.unreachable.pop(address, None)
        if not state & _SETTLED:
            request = self._question(hop, _NTF_USE)
            self._kernel.ask(_RTM_NEWNEIGH, CREATE | ACKNOWLEDGE, request)
        return mac if state & _KNOWN and len(mac) == 6 else None

    def _entry(self, hop: Address) -> tuple[int, bytes]:
        """Return state and MAC of `hop` in the kernel's table; 0 if it is not there."""
        question = self._question(hop, 0)
        entry = self._kernel.record(_RTM_GETNEIGH, question, _NEIGHBOUR, errno.ENOENT)
        if entry is None:
            return 0, b""
        fields, found = entry
        return fields[2], found.get(_NDA_LLADDR, b"")

    def _question(self, hop: Address, flags: int) -> bytes:
        head = _NEIGHBOUR.pack(family_of(hop), self._index, 0, flags, 0)
        return head + attribute(_NDA_DST, hop.packed)

    def close(self) -> None:
        """Close the socket."""
        self._kernel.close()
