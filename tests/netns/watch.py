"""Follows which host has which address since when, as the hosts' kernels report it."""

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

RTMGRP_IPV4_IFADDR = 0x10
RTMGRP_IPV6_IFADDR = 0x100
RTM_NEWADDR = 20
RTM_DELADDR = 21
IFA_ADDRESS = 1
IFA_LOCAL = 2
AF_INET6 = 10

_MESSAGE_HEADER = struct.Struct("=IHHII")
_ADDRESS_HEADER_LENGTH = 8
_ATTRIBUTE_HEADER = struct.Struct("=HH")


@dataclass(frozen=True, slots=True)
class Change:
    """A host added an address (`held` is True) or removed it (False)."""

    time_ns: int
    host: str
    held: bool
    address: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """A time from `start_ns` to `end_ns` in which exactly `holders` had the address."""

    start_ns: int
    end_ns: int
    holders: tuple[str, ...]

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns


def open_address_socket() -> socket.socket:
    """Return a socket that receives the changes of addresses in our namespace."""
    link = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK,
        socket.NETLINK_ROUTE,
    )
    link.bind((0, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
    return link


class AddressWatcher:
    """Follows `addresses` on all hosts; call `read` when a host's socket is readable.

    The argument `address` of a method is by default the first of `addresses`.
    """

    def __init__(
        self, addresses: Sequence[str], sockets: dict[str, socket.socket]
    ) -> None:
        self._names = {ip_address(name).packed: name for name in addresses}
        self.addresses = tuple(addresses)
        self.sockets = sockets
        self._changes: list[Change] = []
        self._held: frozenset[tuple[str, str]] = frozenset()

    def read(self, host: str) -> None:
        """Read the events of one host."""
        try:
            data = self.sockets[host].recv(65536)
        except BlockingIOError:
            return
        now_ns = time.time_ns()
        for held, packed in _address_changes(data):
            name = self._names.get(packed)
            if name is not None and held != ((host, name) in self._held):
                self._changes.append(Change(now_ns, host, held, name))
                self._held = self._held ^ {(host, name)}

    def close(self) -> None:
        for link in self.sockets.values():
            link.close()

    @property
    def holders(self) -> tuple[str, ...]:
        """Return the names of the hosts that have any of the addresses now."""
        return tuple(sorted({host for host, _ in self._held}))

    def held_by(self, host: str) -> frozenset[str]:
        """Return the addresses that a host has now."""
        return frozenset(address for name, address in self._held if name == host)

    @property
    def changes(self) -> list[Change]:
        """Return all changes so far, oldest first."""
        return list(self._changes)

    def periods(
        self,
        since_ns: int = 0,
        until_ns: int | None = None,
        address: str | None = None,
    ) -> list[Period]:
        """Return the periods from `since_ns` to `until_ns`, cut at each change.

        `since_ns` 0 means the first change, `until_ns` None means now.
        """
        end_ns = time.time_ns() if until_ns is None else until_ns
        wanted = address or self.addresses[0]
        changes = [change for change in self.changes if change.address == wanted]
        return periods(changes, since_ns, end_ns)

    def time_with(
        self,
        count: int,
        since_ns: int = 0,
        until_ns: int | None = None,
        address: str | None = None,
    ) -> int:
        """Return for how many nanoseconds exactly `count` hosts had the address.

        Only the time from `since_ns` (0: the first change) to `until_ns` (None: now)
        counts.
        """
        return sum(
            period.duration_ns
            for period in self.periods(since_ns, until_ns, address)
            if len(period.holders) == count
        )


def periods(changes: Iterable[Change], since_ns: int, until_ns: int) -> list[Period]:
    """Return the periods from `since_ns` to `until_ns`, cut at each of `changes`.

    `since_ns` 0 means the first change.
    """
    holders: tuple[str, ...] = ()
    start_ns = since_ns
    found: list[Period] = []
    for change in changes:
        if change.time_ns >= until_ns:
            break
        if start_ns and change.time_ns > start_ns:
            found.append(Period(start_ns, change.time_ns, holders))
        start_ns = max(start_ns, change.time_ns)
        others = [name for name in holders if name != change.host]
        holders = tuple(sorted([*others, change.host] if change.held else others))
    if start_ns:
        found.append(Period(start_ns, until_ns, holders))
    return found


def _address_changes(data: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield (is added, address) for each address message in `data` from netlink."""
    while len(data) >= _MESSAGE_HEADER.size:
        length, kind, _, _, _ = _MESSAGE_HEADER.unpack_from(data)
        if kind in (RTM_NEWADDR, RTM_DELADDR):
            family = data[_MESSAGE_HEADER.size]
            # An IPv6 message has only IFA_ADDRESS.  An IPv4 message has both, and
            # IFA_LOCAL is the address of the host.
            wanted = IFA_ADDRESS if family == AF_INET6 else IFA_LOCAL
            body = data[_MESSAGE_HEADER.size + _ADDRESS_HEADER_LENGTH : length]
            while len(body) >= _ATTRIBUTE_HEADER.size:
                size, attribute = _ATTRIBUTE_HEADER.unpack_from(body)
                if attribute == wanted:
                    yield kind == RTM_NEWADDR, body[_ATTRIBUTE_HEADER.size : size]
                body = body[_aligned(size) :]
        data = data[_aligned(length) :]


def _aligned(length: int) -> int:
    """Return `length` rounded up to a multiple of 4, as netlink pads."""
    return (length + 3) & ~3
