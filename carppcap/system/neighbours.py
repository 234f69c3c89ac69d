"""Finds the MAC of the next hop to a peer in the kernel's tables.

Adverts to a peer are Ethernet frames that carppcap builds, so the kernel does not route
them.  Therefore carppcap asks the kernel for the route, and then for the neighbour.  If
the kernel does not know the neighbour's MAC, or is unsure of it, carppcap asks the
kernel to resolve it (`NTF_USE`), as the kernel does for packets of its own: by ARP or
neighbour discovery.  carppcap sends no such request itself and waits for no reply.
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
"""The kernel's errors for a destination without a route, or whose route forbids it."""

_SETTLED = _KNOWN & ~_NUD_STALE | _NUD_INCOMPLETE
"""States in which we need not ask the kernel to resolve the MAC: the kernel is sure of
it or is resolving it already."""


_NO_ROUTE = "there is no route to it"


class NotPermittedError(LinkError):
    """The kernel refuses to resolve an address for us."""


class Neighbours:
    """Finds the MACs of next hops through the interface with number `index`.

    Once the interface is removed, every answer is None; a new interface needs a new
    `Neighbours`.  Needs CAP_NET_ADMIN and Linux 5.0.  Raises `LinkError` if there is no
    rtnetlink.

    `unreachable` maps each address to which frames cannot be sent to the reason in
    words.  An address that the kernel resolves for the first time is not in it.
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._complained = False
        self.unreachable: dict[Address, str] = {}
        with link_errors("Unable to ask for the neighbours of an interface: {why}"):
            self._kernel = Enquiry()

    def mac_of(self, address: Address) -> bytes | None:
        """Return the MAC to which frames for `address` go, or None if it is not known.

        If it is not known and there is a route, the kernel begins to resolve it.  Call
        this for every frame, since the peer's card or the route may have changed; a
        call makes two requests, which take about 20 microseconds.  If the kernel
        refuses to resolve an address, only the first such call raises
        `NotPermittedError`.
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
        """Return the gateway to `address`, or `address` itself if it is on the link.

        Return None if no route leads to it through our interface.
        """
        head = ROUTE.pack(family_of(address), address.max_prefixlen, *[0] * 7)
        request = attribute(RTA_DST, address.packed)
        request += attribute(_RTA_OIF, _INDEX.pack(self._index))
        records = self._kernel.records(RTM_GETROUTE, 0, head + request, ROUTE)
        for fields, found in records:
            is_ours = found.get(_RTA_OIF) == _INDEX.pack(self._index)
            if not is_ours or fields[7] != _RTN_UNICAST:
                continue
            # An IPv6 gateway of an IPv4 route (RTA_VIA) follows 2 bytes of family.
            gateway = found.get(_RTA_GATEWAY) or found.get(_RTA_VIA, b"")[2:]
            return address_of(gateway) if gateway else address
        return None

    def _resolved(self, hop: Address, address: Address) -> bytes | None:
        """Return the MAC of `hop`, or None if the kernel does not know it.

        If the kernel does not know it or is unsure of it, have the kernel resolve it.
        Record in `unreachable` whether `address`, whose next hop is `hop`, can be
        reached.
        """
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
        """Return the state and the MAC of `hop` in the kernel's table.

        The state is 0 if the table has no entry for it.
        """
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
