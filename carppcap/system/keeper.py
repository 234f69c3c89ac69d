"""The keeper: a small process that sets, refreshes and removes the addresses.

Changing an address may block for seconds.  The daemon must not block, because it has to
send adverts.  So it forks the keeper at its start.  With every advert the daemon
permits the keeper to refresh the lifetimes of the addresses.  If these permissions
stop, the keeper removes the addresses.  Each permission contains the frames of a
farewell, the *last will*.  If the daemon ends, the keeper removes the addresses and
sends the last will, so that a peer takes over at once.  If the keeper ends as well, the
lifetimes end, and the kernel removes the addresses.
"""

import socket
from collections.abc import Callable, Container, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple, Protocol

from carppcap.addresses import Address
from carppcap.election.permission import Permission
from carppcap.election.tenure import Tenure
from carppcap.system.clock import now_ns
from carppcap.system.keeper_messages import (
    MESSAGE_BYTES,
    Kind,
    Order,
    Report,
    receive,
)
from carppcap.system.kernel_addresses import Instance, Place
from carppcap.system.waiting import readable
from carppcap.units import Instant


class Kernel(Protocol):
    """The methods of `KernelAddresses` that the keeper uses."""

    def find(self, wanted: frozenset[Address]) -> list[Instance]:
        """Return every instance of these addresses.  Raises `OSError`."""

    def hold(self, index: int, place: Place, lifetime_s: int, metric: int = 0) -> None:
        """Set or refresh an address.  Raises `OSError`."""

    def remove(self, index: int, place: Place) -> None:
        """Remove an address.  Raises `OSError`."""


class Charge(NamedTuple):
    """The addresses of one group, and how long the keeper may keep them.

    `metric` is that of the routes to their networks, 0 for the kernel's default.
    """

    places: Sequence[Place]
    tenure: Tenure
    metric: int = 0


class Survey:
    """The kernel as the groups of one keeper see it: they look at it together.

    To find the addresses of one group takes as long as to find those of all.
    """

    def __init__(self, kernel: Kernel, addresses: frozenset[Address]) -> None:
        self._kernel = kernel
        self._addresses = addresses
        self._fresh: dict[Address, list[Instance]] = {}
        self.hold = kernel.hold
        self.remove = kernel.remove

    def begin(self) -> None:
        """Forget what was found before."""
        self._fresh.clear()

    def find(self, wanted: frozenset[Address]) -> list[Instance]:
        """Return every instance of these addresses.  Raises `OSError`.

        What was found for all is used once for each address, as it may change then.
        """
        if not wanted <= self._fresh.keys():
            self._fresh = {address: [] for address in self._addresses}
            for each in self._kernel.find(self._addresses):
                self._fresh[each.place.address].append(each)
        found = [self._fresh.pop(address) for address in sorted(wanted, key=int)]
        return [each for instances in found for each in instances]


class Keeper:
    """Holds the addresses of groups, as it is ordered to.  `charges` has one for each.

    `channel` leads to the daemon.  `removals` has an event when an address was removed
    from this host.  `inject` sends a frame by the interface of that name.
    """

    def __init__(
        self,
        charges: Sequence[Charge],
        kernel: Kernel,
        channel: socket.socket,
        removals: socket.socket,
        inject: Callable[[bytes, str], object],
    ) -> None:
        every = frozenset(p.address for charge in charges for p in charge.places)
        self._survey = Survey(kernel, every)
        self._holders = [
            Holder(charge, self._survey, partial(self._send, number))
            for number, charge in enumerate(charges)
        ]
        self._deadlines: dict[int, Instant] = {}
        self._channel = channel
        self._removals = removals
        self._inject = inject

    def run(self) -> None:
        """Do what is ordered until the daemon ends; then carry out its last will."""
        inputs = [self._channel, self._removals]
        while True:
            ready = readable(inputs, self.deadline)
            if self._removals in ready:
                self.look_for_losses()
            if self._channel in ready and not self.obey():
                break
            self.meet_deadline(now_ns())
        self.carry_out_will()

    @property
    def deadline(self) -> Instant | None:
        """The instant at which `meet_deadline` has something to do; None if never."""
        return min(self._deadlines.values(), default=None)

    def _note_deadline(self, charge: int) -> None:
        deadline = self._holders[charge].deadline
        if deadline is None:
            self._deadlines.pop(charge, None)
        else:
            self._deadlines[charge] = deadline

    def obey(self) -> bool:
        """Carry out the orders that have come; False if no more can come."""
        orders: list[Order] = []
        is_open = True
        with suppress(BlockingIOError):
            while message := receive(self._channel):
                orders.append(Order.decode(message))
            is_open = False
        self._survey.begin()
        last = {order.charge: order for order in orders}
        for order in orders:
            # A permission before a later order is of use only for its instant.
            is_old = order.kind is Kind.KEEP and order is not last[order.charge]
            self._holders[order.charge].carry_out(order, is_old=is_old)
        for charge in last:
            self._note_deadline(charge)
        return is_open

    def meet_deadline(self, now: Instant) -> None:
        """Refresh, or remove what may not be kept any longer."""
        due = [charge for charge, at in self._deadlines.items() if at <= now]
        for charge in due:
            self._holders[charge].meet_deadline(now)
            self._note_deadline(charge)

    def look_for_losses(self) -> None:
        """Tell the daemon which held addresses another program has removed."""
        with suppress(OSError):  # Until no event is left, or some were lost.
            while True:
                self._removals.recv(MESSAGE_BYTES)
        held = frozenset[Address]().union(*(each.held for each in self._holders))
        self._survey.begin()
        with suppress(OSError):
            found = self._survey.find(held) if held else []
            here = {(each.index, each.place) for each in found}
            for charge, holder in enumerate(self._holders):
                holder.note_losses(here)
                self._note_deadline(charge)

    def carry_out_will(self) -> None:
        """Remove the addresses wherever they are, and say farewell for each group."""
        self._survey.begin()
        for holder in self._holders:
            holder.carry_out_will(self._inject)

    def _send(self, charge: int, report: Report) -> None:
        with suppress(OSError):  # A daemon that is stopped reads nothing.
            self._channel.send(report._replace(charge=charge).encode())


class Holder:
    """Holds the addresses of one group; `send` sends a report to the daemon."""

    def __init__(
        self, charge: Charge, kernel: Kernel, send: Callable[[Report], None]
    ) -> None:
        self._places, self._tenure, self._metric = charge
        self._addresses = frozenset(place.address for place in self._places)
        self._kernel = kernel
        self._send = send
        self._index = 0
        self._held: set[Place] = set()
        self._has_held = False
        self._latest = Order(Kind.DROP, 0, 0)
        self._permission = Permission(self._tenure, self._refresh)

    @property
    def held(self) -> frozenset[Address]:
        """The addresses that are held."""
        return frozenset(place.address for place in self._held)

    @property
    def deadline(self) -> Instant | None:
        """The instant at which `meet_deadline` has something to do; None if never."""
        return self._permission.deadline

    def carry_out(self, order: Order, *, is_old: bool) -> None:
        """Carry out `order`; a permission that `is_old` is followed by other orders."""
        self._latest, self._permission.advert = order, order.at
        match order.kind:
            case Kind.KEEP:
                if not is_old:
                    self._permission.renewed(now_ns())
                if order.number:
                    self._send(Report(order.number))
            case Kind.TAKE:
                self._report(order, self._take)
            case Kind.DROP | Kind.CLEAR:
                self._report(order, self._drop)

    def _report(self, order: Order, do: Callable[[Order], Report]) -> None:
        try:
            report = do(order)
        except OSError as error:
            why = f"Unable to change addresses on {order.interface}: "
            why += error.strerror or str(error)
            report = Report(order.number, False, [why])
            with suppress(OSError):
                self._let_go()
        self._send(report)

    def _take(self, order: Order) -> Report:
        now = now_ns()
        if not self._permission.allows_taking(now):
            self._let_go()
            return Report(order.number, ok=False)
        self._index = socket.if_nametoindex(order.interface)
        missing = set(self._places)
        lines = []
        for each in self._find():
            is_wanted = each.index == self._index and each.place in self._places
            if is_wanted and not each.is_duplicate:
                missing.remove(each.place)
                continue
            if not is_wanted:
                [ours] = (p for p in self._places if p.address == each.place.address)
                lines.append(
                    f"Removing {each.place} from {each.interface}: a master has it as "
                    f"{ours} on {order.interface} only"
                )
            # The kernel would not use a duplicate that is only set again.
            self._kernel.remove(each.index, each.place)
        for place in self._places:
            self._hold(place)
            self._held.add(place)
        self._has_held = True
        self._permission.taken(now)
        return Report(order.number, lines=lines, was_lost=bool(missing))

    def _drop(self, order: Order) -> Report:
        is_start, self._has_held = not self._has_held, True
        self._held.clear()
        self._permission.given_up()
        with suppress(OSError):  # If the interface is gone, its addresses are as well.
            self._index = socket.if_nametoindex(order.interface)
        lines, left = [], []
        for each in self._find():
            if not each.ours and order.kind is not Kind.CLEAR:
                left.append(f"{each.place} is on {each.interface}")
                continue
            self._kernel.remove(each.index, each.place)
            if is_start:
                lines.append(
                    f"Removed {each.place} from {each.interface}: an earlier carppcap "
                    "left it there"
                )
        return Report(order.number, not left, lines, left)

    def _find(self) -> list[Instance]:
        """Return every instance of the addresses on this host.

        Of a link-local IPv6 address return only the instance on the ordered
        interface.  On another interface it is a different address, and another carppcap
        may hold it there.  Raises `OSError`.
        """
        return [
            each
            for each in self._kernel.find(self._addresses)
            if each.index == self._index
            or each.place.address.version == 4
            or not each.place.address.is_link_local
        ]

    def _refresh(self) -> None:
        for place in self._held:
            # The interface may be gone, which `look_for_losses` finds.
            with suppress(OSError):
                self._hold(place)

    def _hold(self, place: Place) -> None:
        self._kernel.hold(self._index, place, self._tenure.lifetime_s, self._metric)

    def meet_deadline(self, now: Instant) -> None:
        """Refresh, or remove what may not be kept any longer."""
        if not self._permission.meet_deadline(now):
            with suppress(OSError):
                self._let_go()
            self._send(Report(0))

    def _let_go(self) -> None:
        places, self._held = self._held, set()
        self._permission.given_up()
        for place in places:
            self._kernel.remove(self._index, place)

    def note_losses(self, here: Container[tuple[int, Place]]) -> None:
        """Report if a held address is not among those that this host has."""
        left = {place for place in self._held if (self._index, place) in here}
        if left != self._held:
            self._held = left
            if not left:
                self._permission.given_up()
            self._send(Report(0))

    def carry_out_will(self, inject: Callable[[bytes, str], object]) -> None:
        """Remove the addresses wherever they are, and say farewell.

        There is no farewell if a peer may have taken over, or if an address stays.
        """
        end = self._permission.end
        if end is None:
            return
        with suppress(OSError):
            for each in self._find():
                self._kernel.remove(each.index, each.place)
            for frame in self._latest.will if now_ns() < end else ():
                inject(frame, self._latest.link)
