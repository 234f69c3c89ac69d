"""An interface as the kernel sees it: there or not, carrier, MAC, addresses.

Link events come from rtnetlink(7) and only say *that* something changed; what the
interface is like now is then asked anew.  A burst of events, or one that the socket
had no room for, is thus one question and never a wrong picture.
"""

import errno
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address
from struct import Struct, pack

from carppcap.addresses import Address
from carppcap.errors import LinkError
from carppcap.system.rtnetlink import (
    RECEIVE_BYTES,
    Enquiry,
    HeldAddress,
    attribute,
    attributes,
    held_addresses,
    open_netlink,
)
from carppcap.system.source_address import LinkAddress

_LINK = Struct("=BxHiII")  # struct ifinfomsg

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTMGRP_LINK, _RTMGRP_IPV4_IFADDR, _RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFA_F_SECONDARY = 0x01  # in IPv6 it means temporary
_IFA_F_DEPRECATED, _IFA_F_TENTATIVE = 0x20, 0x40
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ARPHRD_ETHER = 1
_NAME_LENGTH_MAX = 15  # IFNAMSIZ without its zero byte


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One look at an interface; `index` 0 where there is none of that name.

    `mac` is empty where the interface is not Ethernet.  `addresses` are those that it
    has, or will have once nobody objects (RFC 4862, 5.4); one that a neighbour has
    objected to is not among them, as the kernel does not answer for it.  `sources`
    are those that can be sent from already, in the kernel's order.
    """

    index: int = 0
    up: bool = False
    carrier: bool = False
    mac: bytes = b""
    addresses: frozenset[Address] = frozenset()
    sources: tuple[LinkAddress, ...] = ()

    @property
    def exists(self) -> bool:
        """Whether there is such an interface."""
        return self.index != 0


class LinkMonitor:
    """Watches one interface by name, through its removal and return.

    `fileno` is readable when something changed; call `drain` and `status` then.
    Raises `LinkError` where rtnetlink is not to be had.  Once made it needs no
    further descriptor, so it can answer where there is none left.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        try:
            self._events = open_netlink(
                _RTMGRP_LINK | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV6_IFADDR
            )
            self._kernel = Enquiry()
        except OSError as error:
            raise _no_info(error) from None

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._events.fileno()

    def drain(self) -> None:
        """Throw away the pending events; follow it with `status`."""
        # Until none is left, or some were lost: the question makes up for them.
        with suppress(OSError):
            while True:
                self._events.recv(RECEIVE_BYTES)

    def status(self) -> LinkStatus:
        """What the interface is like now.  Raises `LinkError`."""
        try:
            return self._ask_status()
        except OSError as error:
            if error.errno == errno.ENODEV:
                return LinkStatus()
            raise _no_info(error) from None

    def _ask_status(self) -> LinkStatus:
        name = os.fsencode(self._interface)
        if len(name) > _NAME_LENGTH_MAX:
            return LinkStatus()
        request = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute(
            _IFLA_IFNAME, name + b"\0"
        )
        for kind, body in self._kernel.ask(_RTM_GETLINK, 0, request):
            if kind != _RTM_NEWLINK or len(body) < _LINK.size:
                continue
            _, hardware, index, flags, _ = _LINK.unpack_from(body)
            mac = attributes(body, _LINK.size).get(_IFLA_ADDRESS, b"")
            here = [
                held for held in held_addresses(self._kernel) if held.index == index
            ]
            return LinkStatus(
                index=index,
                up=bool(flags & _IFF_UP),
                carrier=bool(flags & _IFF_RUNNING),
                mac=mac if hardware == _ARPHRD_ETHER else b"",
                addresses=frozenset(held.address for held in here),
                sources=tuple(
                    _as_source(held)
                    for held in here
                    if not held.flags & _IFA_F_TENTATIVE
                ),
            )
        return LinkStatus()

    def host_addresses(self) -> Iterator[tuple[int, Address]]:
        """Every address of this host, with the index of its interface.

        Those are left out that a neighbour has objected to.  Raises `OSError`.
        """
        return ((held.index, held.address) for held in held_addresses(self._kernel))

    def has_any(self, addresses: Iterable[Address]) -> bool:
        """Whether this host answers for one of `addresses`, on whatever interface.

        Raises `OSError`.
        """
        held = {address for _, address in self.host_addresses()}
        return not held.isdisjoint(addresses)

    def close(self) -> None:
        """Stop watching."""
        self._events.close()
        self._kernel.close()


def _as_source(held: HeldAddress) -> LinkAddress:
    return LinkAddress(
        held.address,
        held.prefix,
        secondary=bool(held.flags & _IFA_F_SECONDARY),
        deprecated=bool(held.flags & _IFA_F_DEPRECATED),
    )


def _no_info(error: OSError) -> LinkError:
    return LinkError(
        "Unable to get hardware info about an interface: {why}", why=error.strerror
    )


class Membership:
    """Keeps an interface in a multicast group, so that switches let it through.

    The kernel answers the IGMP or MLD queries for as long as this is open.  Raises
    `LinkError`.
    """

    def __init__(self, group: Address, index: int) -> None:
        self._socket: socket.socket | None = None
        if isinstance(group, IPv4Address):
            option = "IP_ADD_MEMBERSHIP"
            family, level = socket.AF_INET, socket.IPPROTO_IP
            request = group.packed + bytes(4) + pack("=i", index)  # struct ip_mreqn
        else:
            option = "IPV6_JOIN_GROUP"
            family, level = socket.AF_INET6, socket.IPPROTO_IPV6
            request = group.packed + pack("=i", index)  # struct ipv6_mreq
        try:
            self._socket = socket.socket(family, socket.SOCK_DGRAM)
            self._socket.setsockopt(level, getattr(socket, option), request)
        except OSError as error:
            self.close()
            raise LinkError(
                "Can't do {option} errno={why} ({number})",
                option=option,
                why=error.strerror,
                number=error.errno,
            ) from None

    def close(self) -> None:
        """Leave the group."""
        if self._socket is not None:
            self._socket.close()
