"""Asks the kernel over which interface it would reach an address."""

import errno
import os
import socket
from struct import Struct
from typing import NamedTuple

from carppcap.addresses import Address
from carppcap.errors import LinkError
from carppcap.system.rtnetlink import (
    ROUTE,
    RTA_DST,
    RTM_GETROUTE,
    Enquiry,
    attribute,
    family_of,
)

_INDEX = Struct("=i")
_RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 4, 5, 18
_RTN_UNICAST, _RTN_LOCAL = 1, 2


class Route(NamedTuple):
    """The way to an address.

    `is_local` is True if the address is one of this host, and `is_direct` if it is in a
    network of `interface`.
    """

    interface: str
    is_direct: bool
    is_local: bool


def route_to(address: Address) -> Route | None:
    """Return the way to `address`, or None if there is none.  Raises `LinkError`."""
    try:
        kernel = Enquiry()
    except OSError as error:
        raise LinkError(
            "Unable to get hardware info about an interface: {why}",
            why=os.strerror(error.errno or 0),
        ) from None
    head = ROUTE.pack(family_of(address), address.max_prefixlen, *[0] * 7)
    request = head + attribute(RTA_DST, address.packed)
    try:
        found = kernel.record(RTM_GETROUTE, request, ROUTE, errno.ENETUNREACH)
        return None if found is None else _route(*found)
    except OSError:  # Such as a route that forbids to go there.
        return None
    finally:
        kernel.close()


def _route(fields: tuple[int, ...], found: dict[int, bytes]) -> Route | None:
    if fields[7] not in (_RTN_UNICAST, _RTN_LOCAL):
        return None
    return Route(
        socket.if_indextoname(*_INDEX.unpack(found[_RTA_OIF])),
        is_direct=not found.keys() & {_RTA_GATEWAY, _RTA_VIA},
        is_local=fields[7] == _RTN_LOCAL,
    )
