"""Addresses with a lifetime: set, refreshed, found and removed through rtnetlink.

Every change of an address waits for a lock of the kernel (RTNL), which another program
may hold for seconds, so the daemon leaves all this to its keeper.
"""

import errno
import os
import socket
from collections.abc import Collection
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from carppcap.addresses import Address
from carppcap.errors import LinkError
from carppcap.system.rtnetlink import (
    ACKNOWLEDGE,
    CREATE,
    DUMP,
    Enquiry,
    address_of,
    attribute,
    family_of,
)

MARK = 112
"""IFA_PROTO of our addresses, the number of CARP in /etc/protocols (Linux 5.18; older
kernels ignore it)."""

ROUTE_METRIC = 65_535
"""Metric of the route to the network of an address on a virtual MAC: any other route to
the network is preferred."""

_ADDRESS = Struct("=BBBBI")  # struct ifaddrmsg
_CACHE_INFO = Struct("=IIII")  # struct ifa_cacheinfo
_NUMBER = Struct("=I")
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 6, 8
_IFA_RT_PRIORITY, _IFA_PROTO = 9, 11
_IFA_F_NODAD, _IFA_F_DADFAILED, _IFA_F_PERMANENT = 0x02, 0x08, 0x80
_REPLACE = 0x100
_FOREVER = 0xFFFF_FFFF

_LOAD_HALF, _LOAD_BYTE, _LOAD_NUMBER, _LOAD_ANCILLARY = 0x28, 0x50, 0x00, 0x20
_TO_X, _IF_EQUAL, _RETURN = 0x07, 0x15, 0x06
_FIND_ATTRIBUTE = 0xFFFF_F000 + 12  # SKF_AD_OFF + SKF_AD_NLATTR


def _event(kind: int) -> int:
    # BPF reads the type of a message in network order.
    return socket.htons(kind)


SKIP_REFRESHES = (
    (_LOAD_HALF, 0, 0, 4),
    (_IF_EQUAL, 0, 8, _event(_RTM_NEWADDR)),
    (_LOAD_NUMBER, 0, 0, 16 + _ADDRESS.size),
    (0x01, 0, 0, _IFA_PROTO),  # X is the attribute to find, A where to begin
    (_LOAD_ANCILLARY, 0, 0, _FIND_ATTRIBUTE),
    (_IF_EQUAL, 4, 0, 0),
    (_TO_X, 0, 0, 0),
    (_LOAD_BYTE, 0, 0, 4),
    (_IF_EQUAL, 0, 1, MARK),
    (_RETURN, 0, 0, 0),
)
"""The beginning of a filter for events: none of a refresh passes.  The rest decides
about all others."""

PASS = (_RETURN, 0, 0, 0xFFFF_FFFF)
"""The end of a filter that lets everything pass."""

ONLY_REMOVALS = (
    (_LOAD_HALF, 0, 0, 4),
    (_IF_EQUAL, 0, 1, _event(_RTM_DELADDR)),
    PASS,
    (_RETURN, 0, 0, 0),
)
"""A filter for events: only those of addresses that were removed pass."""


class Place(NamedTuple):
    """An address and the length of its prefix."""

    address: Address
    prefix: int

    def __str__(self) -> str:
        return f"{self.address}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Instance:
    """An address that is set on this host.

    `ours` is True if a carppcap has set it: then it is marked as ours, or it has a
    lifetime, which addresses set by scripts do not have.  `is_duplicate` is True if the
    kernel does not use the address, as it has found the address on another host.
    """

    index: int
    place: Place
    ours: bool
    is_duplicate: bool = False

    @property
    def interface(self) -> str:
        """The name of the interface, or its index if the interface is gone."""
        try:
            return socket.if_indextoname(self.index)
        except OSError:
            return f"interface {self.index}"


class KernelAddresses:
    """Sets, finds and removes addresses of this host.  Raises `OSError`."""

    def __init__(self) -> None:
        self._kernel = Enquiry()

    def find(self, wanted: Collection[Address]) -> list[Instance]:
        """Return every instance of these addresses.  Raises `OSError`."""
        request = _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        found: dict[tuple[int, Place], Instance] = {}
        for fields, given in self._kernel.records(
            _RTM_GETADDR, DUMP, request, _ADDRESS
        ):
            address = address_of(given.get(_IFA_LOCAL) or given.get(_IFA_ADDRESS, b""))
            if address is None or address not in wanted:
                continue
            place = Place(address, fields[1])
            mark = given.get(_IFA_PROTO, b"\0")[0]
            is_permanent = fields[2] & _IFA_F_PERMANENT
            ours = mark == MARK or not is_permanent
            is_duplicate = bool(fields[2] & _IFA_F_DADFAILED)
            found[fields[4], place] = Instance(fields[4], place, ours, is_duplicate)
        return list(found.values())

    def hold(self, index: int, place: Place, lifetime_s: int, metric: int = 0) -> None:
        """Set an address for `lifetime_s` from now, or give it this lifetime again.

        `metric` is that of the route to its network, 0 for the kernel's default.  A
        single IPv6 address is not chosen as a source.  Raises `OSError`.
        """
        address, prefix = place
        is_single6 = address.version == 6 and prefix == 128
        lifetimes = _CACHE_INFO.pack(0 if is_single6 else lifetime_s, lifetime_s, 0, 0)
        # Duplicate address detection would take a second.
        flags = _IFA_F_NODAD if address.version == 6 else 0
        body = _head(index, place) + attribute(_IFA_FLAGS, _NUMBER.pack(flags))
        body += attribute(_IFA_CACHEINFO, lifetimes)
        if metric:
            body += attribute(_IFA_RT_PRIORITY, _NUMBER.pack(metric))
        body += attribute(_IFA_PROTO, bytes((MARK,)))
        self._kernel.ask(_RTM_NEWADDR, CREATE | _REPLACE | ACKNOWLEDGE, body)

    def remove(self, index: int, place: Place) -> None:
        """Remove an address, unless it is gone already.  Raises `OSError`."""
        try:
            self._kernel.ask(_RTM_DELADDR, ACKNOWLEDGE, _head(index, place))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.ENODEV):
                raise

    def close(self) -> None:
        """Close the socket."""
        self._kernel.close()


def _head(index: int, place: Place) -> bytes:
    address, prefix = place
    head = _ADDRESS.pack(family_of(address), prefix, 0, 0, index)
    head += attribute(_IFA_LOCAL, address.packed)
    return head + attribute(_IFA_ADDRESS, address.packed)


def check_permission(place: Place) -> None:
    """Raise `LinkError` unless this process may change addresses."""
    try:
        kernel = KernelAddresses()
        try:
            # The kernel checks that first, and there is no interface of this number.
            kernel.remove(0, place)
        finally:
            kernel.close()
    except OSError as error:
        raise LinkError(
            "Unable to set addresses: {why} (--own-addresses needs CAP_NET_ADMIN)",
            why=os.strerror(error.errno or 0),
        ) from None
