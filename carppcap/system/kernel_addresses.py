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
    ADDRESS,
    CREATE,
    IFA_ADDRESS,
    IFA_LOCAL,
    Enquiry,
    address_records,
    attribute,
    family_of,
)
from carppcap.system.socket_filter import (
    ACCEPT,
    CONSTANT_TO_X,
    DROP,
    IF_EQUAL,
    LOAD_BYTE_AT_X,
    LOAD_CONSTANT,
    LOAD_HALF,
    LOAD_WORD,
    TO_X,
)

MARK = 112
"""IFA_PROTO of our addresses, the number of CARP in /etc/protocols (Linux 5.18; older
kernels ignore it)."""

ROUTE_METRIC = 65_535
"""Metric of the route to the network of an address on a virtual MAC: any other route to
the network is preferred."""

_CACHE_INFO = Struct("=IIII")  # struct ifa_cacheinfo
_NUMBER = Struct("=I")
_RTM_NEWADDR, _RTM_DELADDR = 20, 21
_IFA_CACHEINFO, _IFA_FLAGS, _IFA_RT_PRIORITY, _IFA_PROTO = 6, 8, 9, 11
_IFA_F_NODAD, _IFA_F_PERMANENT = 0x02, 0x80
_REPLACE = 0x100

_FIND_ATTRIBUTE = 0xFFFF_F000 + 12  # SKF_AD_OFF + SKF_AD_NLATTR


def _event(kind: int) -> int:
    # BPF reads the type of a message in network order.
    return socket.htons(kind)


LOAD_TYPE = (LOAD_HALF, 0, 0, 4)  # nlmsg_type

SKIP_REFRESHES = (
    LOAD_TYPE,
    (IF_EQUAL, 0, 8, _event(_RTM_NEWADDR)),
    # X is the attribute to find, and A is where to begin.
    (LOAD_CONSTANT, 0, 0, 16 + ADDRESS.size),
    (CONSTANT_TO_X, 0, 0, _IFA_PROTO),
    (LOAD_WORD, 0, 0, _FIND_ATTRIBUTE),
    (IF_EQUAL, 4, 0, 0),
    (TO_X, 0, 0, 0),
    (LOAD_BYTE_AT_X, 0, 0, 4),
    (IF_EQUAL, 0, 1, MARK),
    DROP,
)
"""The beginning of a filter for events: none of a refresh passes.  The rest decides
about all others."""

ONLY_REMOVALS = (LOAD_TYPE, (IF_EQUAL, 0, 1, _event(_RTM_DELADDR)), ACCEPT, DROP)
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
        found: dict[tuple[int, Place], Instance] = {}
        for held, fields, given in address_records(self._kernel):
            if held.address not in wanted:
                continue
            _, _, flags, _, index = fields
            place = Place(held.address, held.prefix)
            mark = given.get(_IFA_PROTO, b"\0")[0]
            ours = mark == MARK or not flags & _IFA_F_PERMANENT
            found[index, place] = Instance(index, place, ours, held.duplicate)
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
    head = ADDRESS.pack(family_of(address), prefix, 0, 0, index)
    head += attribute(IFA_LOCAL, address.packed)
    return head + attribute(IFA_ADDRESS, address.packed)


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
