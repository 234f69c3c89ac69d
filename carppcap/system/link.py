"""An interface as the kernel sees it: existence, carrier, MAC, addresses.

An event of rtnetlink(7) only says *that* something changed; the monitor then requests
the whole status again.  A burst of events, or a lost one, thus costs one request and
never leads to a wrong status.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct, pack

from carppcap.addresses import Address
from carppcap.errors import N_, link_errors, on_error
from carppcap.system.rtnetlink import (
    RECEIVE_BYTES,
    Enquiry,
    attribute,
    family_of,
    held_addresses,
    open_netlink,
)
from carppcap.system.source_address import LinkAddress

_LINK = Struct("=BxHiII")  # struct ifinfomsg

_RTM_GETLINK = 18
_RTMGRP_OF_STATUS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ARPHRD_ETHER = 1
_NAME_LENGTH_MAX = 15  # IFNAMSIZ without its zero byte
_NO_INFO = N_("Unable to get hardware info about an interface: {why}")


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The state of an interface; `index` is 0 if there is none of that name.

    `mac` is empty if the interface is not Ethernet.  `addresses` includes tentative
    ones, but no duplicates (RFC 4862, 5.4), for which the kernel does not answer.
    `sources` are those that can be sent from already, in the kernel's order.
    """

    index: int = 0
    up: bool = False
    carrier: bool = False
    mac: bytes = b""
    addresses: frozenset[Address] = frozenset()
    sources: tuple[LinkAddress, ...] = ()

    @property
    def exists(self) -> bool:
        """True if there is such an interface."""
        return self.index != 0


class LinkMonitor:
    """Watches one interface by name, also while it is removed and made again.

    `fileno` is readable when something changed; call `drain` and `status` then.
    Raises `LinkError` if there is no rtnetlink.  After that it needs no further
    descriptor, so it works when none is left.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        with link_errors(_NO_INFO):
            self._events = open_netlink(_RTMGRP_OF_STATUS)
            self._kernel = Enquiry()

    def fileno(self) -> int:
        """Return the descriptor to poll."""
        return self._events.fileno()

    def drain(self) -> None:
        """Discard the pending events; call `status` next."""
        # Until none is left, or some were lost, which `status` makes up for.
        with suppress(OSError):
            while True:
                self._events.recv(RECEIVE_BYTES)

    def status(self) -> LinkStatus:
        """Return the present state of the interface.  Raises `LinkError`."""
        name = os.fsencode(self._interface)
        if len(name) > _NAME_LENGTH_MAX:
            return LinkStatus()
        head = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        request = head + attribute(_IFLA_IFNAME, name + b"\0")
        with link_errors(_NO_INFO):
            record = self._kernel.record(_RTM_GETLINK, request, _LINK, errno.ENODEV)
            if record is None:
                return LinkStatus()
            (_, hardware, index, flags, _), found = record
            all_held = held_addresses(self._kernel)
            here = [held for number, held in all_held if number == index]
        return LinkStatus(
            index=index,
            up=bool(flags & _IFF_UP),
            carrier=bool(flags & _IFF_RUNNING),
            mac=found.get(_IFLA_ADDRESS, b"") if hardware == _ARPHRD_ETHER else b"",
            addresses=frozenset(held.address for held in here),
            sources=tuple(held for held in here if not held.tentative),
        )

    def host_addresses(self) -> Iterator[tuple[int, Address]]:
        """Yield every address of this host, with the index of its interface.

        Duplicates are left out (`held_addresses`).  Raises `OSError`.
        """
        return ((index, held.address) for index, held in held_addresses(self._kernel))

    def close(self) -> None:
        """Close the sockets."""
        self._events.close()
        self._kernel.close()


class Membership:
    """Keeps an interface in a multicast group, so that switches forward to it.

    The kernel answers IGMP or MLD queries until `close`.  Raises `LinkError`.
    """

    def __init__(self, group: Address, index: int) -> None:
        if group.version == 4:
            level, option, unused = socket.IPPROTO_IP, "IP_ADD_MEMBERSHIP", bytes(4)
        else:
            level, option, unused = socket.IPPROTO_IPV6, "IPV6_JOIN_GROUP", b""
        request = group.packed + unused + pack("=i", index)  # ip_mreqn, ipv6_mreq
        with link_errors("Can't do {option} errno={why} ({number})", option=option):
            self._socket = socket.socket(family_of(group), socket.SOCK_DGRAM)
            with on_error(self.close):
                self._socket.setsockopt(level, getattr(socket, option), request)

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()
