"""Watches an interface as the kernel sees it: existence, carrier, MAC, addresses.

The monitor takes an event of rtnetlink(7) only as a sign that something changed, and
requests the whole status again.  So a burst of events, or a lost event, costs one
request and never leads to a wrong status.  The kernel drops the events of other
interfaces, and a request is about one interface.  So thousands of changing addresses on
other interfaces cost nothing.
"""

import errno
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from struct import Struct, pack
from typing import NamedTuple

from carppcap.addresses import Address
from carppcap.errors import N_, LinkError, link_errors, on_error
from carppcap.system.kernel_addresses import LOAD_TYPE, SKIP_REFRESHES
from carppcap.system.rtnetlink import (
    RECEIVE_BYTES,
    Enquiry,
    attribute,
    family_of,
    find_address,
    held_addresses,
    open_netlink,
)
from carppcap.system.socket_filter import (
    ACCEPT,
    DROP,
    IF_EQUAL,
    LOAD_WORD,
    Instruction,
    attach_filter,
)
from carppcap.system.source_address import LinkAddress

_LINK = Struct("=BxHiII")  # struct ifinfomsg

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK = 16, 17, 18
_RTMGRP_OF_STATUS = 0x1 | 0x10 | 0x100  # RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR
_IFLA_ADDRESS, _IFLA_IFNAME = 1, 3
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_ARPHRD_ETHER = 1
NAME_LENGTH_MAX = 15
"""The longest name of an interface, in bytes: IFNAMSIZ without its zero byte."""

_NO_INFO = N_("Unable to get hardware info about an interface: {why}")

_JUMPS_MAX = 250
"""The most comparisons from which a filter can jump to its end (by 8 bits)."""

_LOAD_INDEX = (LOAD_WORD, 0, 0, 20)  # ifi_index or ifa_index


def device_of(interface: str) -> str:
    """Return `interface` without its alias: `eth0` for `eth0:1` and for `eth0`.

    The kernel cuts names at the colon (`dev_ioctl`), so ucarp accepts an alias.
    """
    return interface.partition(":")[0]


def can_exist(interface: str) -> bool:
    """True if an interface, or an alias, may have this name (`dev_valid_name`)."""
    name = device_of(interface)
    return (
        0 < len(os.fsencode(name)) <= NAME_LENGTH_MAX
        and name not in (".", "..")
        and not any(letter == "/" or letter.isspace() for letter in name)
    )


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The state of an interface; `index` is 0 if the interface does not exist.

    `name` is its present name.  `mac` is empty if the interface is not Ethernet.  A
    tentative address is one that the kernel still checks for duplicates (RFC 4862,
    5.4).  `addresses` includes tentative addresses, but no duplicates, because the
    kernel does not answer for duplicates.  `sources` are the addresses from which
    frames can be sent: those that are neither tentative nor duplicates, in the kernel's
    order.
    """

    index: int = 0
    name: str = ""
    up: bool = False
    carrier: bool = False
    mac: bytes = b""
    addresses: frozenset[Address] = frozenset()
    sources: tuple[LinkAddress, ...] = ()

    @property
    def exists(self) -> bool:
        """True if the interface exists."""
        return self.index != 0


class Held(NamedTuple):
    """The wanted addresses that this host has, found by `LinkMonitor.held`.

    `tentative` are those that the kernel still checks for duplicates (RFC 4862, 5.4);
    they are in `addresses`, too.  `duplicates` are on an interface but not in
    `addresses`, because the kernel does not answer for them.
    """

    addresses: frozenset[Address] = frozenset()
    tentative: frozenset[Address] = frozenset()
    duplicates: frozenset[Address] = frozenset()


class LinkMonitor:
    """Watches one interface by name, even while it is removed and made again.

    If the name is an alias, the interface without the alias is watched.  When `fileno`
    is readable, something has changed: call `drain`, then `status`.  Raises `LinkError`
    if there is no rtnetlink, or if no interface can have that name.  Only `__init__`
    opens descriptors, so the monitor works even when the process has no free descriptor
    left.
    """

    def __init__(self, interface: str) -> None:
        if not can_exist(interface):
            raise LinkError(
                "Unable to open interface [{interface}]: no such interface",
                interface=interface,
            )
        self._name = os.fsencode(device_of(interface)) + b"\0"
        # The indexes of the interfaces whose events are heard: ours (0 if it does not
        # exist) and one other (0 for none).  None before the first filter: all events.
        self._heard: tuple[int, ...] | None = None
        self._others: tuple[int, ...] = ()
        with link_errors(_NO_INFO):
            self._events = open_netlink(_RTMGRP_OF_STATUS)
            self._kernel = Enquiry()

    def fileno(self) -> int:
        """Return the descriptor, which is readable when something has changed."""
        return self._events.fileno()

    def drain(self) -> None:
        """Discard the pending events; call `status` next."""
        # The error is that no event is left, or that some were lost; `status` will
        # notice the changes that those told of.
        with suppress(OSError):
            while True:
                self._events.recv(RECEIVE_BYTES)

    def status(self, index: int = 0) -> LinkStatus:
        """Return the present state of the interface.  Raises `LinkError`.

        The interface is the one with that `index`, whatever its name is now.  If
        `index` is 0 or no interface has it, the interface is the one with our name.
        """
        with link_errors(_NO_INFO):
            found = self._ask_status(index)
            # If the filter was changed, changes before that were not heard: ask again.
            while self._hear(found.index):
                found = self._ask_status(index)
        return found

    def hear_also(self, *indexes: int) -> None:
        """Watch the interfaces with these `indexes`, too, instead of earlier ones.

        Raises `LinkError`.
        """
        self._others = indexes
        with link_errors(_NO_INFO):
            self._hear(0 if self._heard is None else self._heard[0])

    def _hear(self, index: int) -> bool:
        """Hear only events of interface `index` and of those given to `hear_also`.

        Return True if the filter of events had to be changed.
        """
        wanted = (index, *self._others)
        if wanted == self._heard:
            return False
        attach_filter(self._events, _only_about(*wanted))
        self._heard = wanted
        return True

    def _ask_status(self, index: int) -> LinkStatus:
        by_name = (0, attribute(_IFLA_IFNAME, self._name))
        for number, rest in ((index, b""), by_name) if index else (by_name,):
            request = _LINK.pack(socket.AF_UNSPEC, 0, number, 0, 0) + rest
            record = self._kernel.record(_RTM_GETLINK, request, _LINK, errno.ENODEV)
            if record is not None and record[0][2] > 0:
                return self._status_of(*record)
        return LinkStatus()

    def _status_of(
        self, fields: tuple[int, ...], found: dict[int, bytes]
    ) -> LinkStatus:
        _, hardware, index, flags, _ = fields
        # A list that was requested again may have an address twice; the last is valid.
        here = {held.address: held for held in held_addresses(self._kernel, index)}
        answered = [held for held in here.values() if not held.duplicate]
        return LinkStatus(
            index=index,
            name=os.fsdecode(found.get(_IFLA_IFNAME, b"").rstrip(b"\0")),
            up=bool(flags & _IFF_UP),
            carrier=bool(flags & _IFF_RUNNING),
            mac=found.get(_IFLA_ADDRESS, b"") if hardware == _ARPHRD_ETHER else b"",
            addresses=frozenset(held.address for held in answered),
            sources=tuple(held for held in answered if not held.tentative),
        )

    def held(self, index: int, wanted: Iterable[Address]) -> Held:
        """Return which of the `wanted` addresses this host has, on any interface.

        If several interfaces have an address, that with number `index` decides whether
        the address is tentative or a duplicate.  Raises `OSError`.
        """
        here: dict[Address, LinkAddress] = {}
        try:
            ours = held_addresses(self._kernel, index) if index else ()
            here = {held.address: held for held in ours}
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        found = [here.get(one) or find_address(self._kernel, one) for one in wanted]
        there = [one for one in found if one is not None]
        return Held(
            frozenset(one.address for one in there if not one.duplicate),
            frozenset(
                one.address for one in there if one.tentative and not one.duplicate
            ),
            frozenset(one.address for one in there if one.duplicate),
        )

    def close(self) -> None:
        """Close the sockets."""
        self._events.close()
        self._kernel.close()


def _only_about(*indexes: int) -> list[Instruction]:
    """Return a filter that accepts the events about the interfaces with these indexes.

    It drops refreshes of own addresses (`SKIP_REFRESHES`).

    If the first index is 0, our interface does not exist yet, and its index is not
    known: then the filter accepts every event of a link, and no other event.  With more
    indexes than a jump can skip it accepts all events.
    """
    load, operands = _LOAD_INDEX, [socket.htonl(index) for index in indexes if index]
    if not indexes[0]:
        load = LOAD_TYPE
        operands = [socket.htons(kind) for kind in (_RTM_NEWLINK, _RTM_DELLINK)]
    if len(operands) > _JUMPS_MAX:
        return [*SKIP_REFRESHES, ACCEPT]
    jumps = [
        (IF_EQUAL, len(operands) - number, 0, operand)
        for number, operand in enumerate(operands)
    ]
    return [*SKIP_REFRESHES, load, *jumps, DROP, ACCEPT]


class Membership:
    """Keeps interface number `index` a member of a multicast group until `close`.

    A member answers IGMP or MLD queries, so that switches forward the group's frames to
    this host.  Raises `LinkError`.
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
