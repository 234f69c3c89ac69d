"""The keeper: a small process that sets, refreshes and removes the addresses.

Changing an address may block for seconds.  The daemon must not block, because it has to
send adverts.  So it forks the keeper at its start.  With every advert the daemon
permits the keeper to refresh the lifetimes of the addresses.  If these permissions
stop, the keeper removes the addresses.  Each permission contains the frames of a
farewell, the *last will*.  If the daemon ends, the keeper removes the addresses and
sends the last will, so that a peer takes over at once.  If the keeper ends as well, the
lifetimes end, and the kernel removes the addresses.
"""

import marshal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import NamedTuple, Protocol, Self

from carppcap.addresses import Address
from carppcap.election.permission import Permission
from carppcap.election.tenure import Tenure
from carppcap.system.clock import now_ns
from carppcap.system.kernel_addresses import Instance, Place
from carppcap.system.waiting import readable
from carppcap.units import Instant

MESSAGE_BYTES = 1 << 18
"""More than any order or report takes."""


class Kind(Enum):
    """What an order asks for."""

    TAKE = "take"
    """Set the addresses, and remove other instances of them from this host; report."""

    KEEP = "keep"
    """An advert was sent, so the addresses may be kept for a while longer."""

    DROP = "drop"
    """Remove the addresses that the keeper has set; report other instances of them."""

    CLEAR = "clear"
    """Remove all instances of the addresses, also those set by other programs."""


class Order(NamedTuple):
    """An order of the daemon to the keeper.

    `at` is the instant of the last advert.  The addresses are set on `interface`.
    `will` holds the frames of the last will, which are sent by the interface `link`.
    The report to this order has the same `number`.
    """

    kind: Kind
    number: int
    at: Instant
    interface: str = ""
    link: str = ""
    will: Sequence[bytes] = ()

    def encode(self) -> bytes:
        """Return the order as one message."""
        return marshal.dumps((self.kind.value, *self[1:5], tuple(self.will)))

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Return the order in a message of `encode`."""
        kind, *rest = marshal.loads(message)
        return cls(Kind(kind), *rest)


class Report(NamedTuple):
    """A report of the keeper to the daemon.

    It tells whether the order with the same `number` was carried out (`ok`).  A report
    with the number 0 answers no order: it tells that another program has removed an
    address.  `lines` are for the log.  `left` names each address that could not be
    removed, with the interface that has it.  `was_lost` is True if a held address was
    missing when the order was carried out.
    """

    number: int
    ok: bool = True
    lines: Sequence[str] = ()
    left: Sequence[str] = ()
    was_lost: bool = False

    def encode(self) -> bytes:
        """Return the report as one message."""
        values = (self.number, self.ok, tuple(self.lines), tuple(self.left))
        return marshal.dumps((*values, self.was_lost))

    @classmethod
    def decode(cls, message: bytes) -> Self:
        """Return the report in a message of `encode`."""
        return cls(*marshal.loads(message))


class Kernel(Protocol):
    """The methods of `KernelAddresses` that the keeper uses."""

    def find(self, wanted: frozenset[Address]) -> list[Instance]:
        """Return every instance of these addresses.  Raises `OSError`."""

    def hold(self, index: int, place: Place, lifetime_s: int, metric: int = 0) -> None:
        """Set or refresh an address.  Raises `OSError`."""

    def remove(self, index: int, place: Place) -> None:
        """Remove an address.  Raises `OSError`."""


def receive(channel: socket.socket) -> bytes:
    """Return the next message; return no bytes if the other end was closed.

    Raises `BlockingIOError` if no message has arrived.
    """
    try:
        return channel.recv(MESSAGE_BYTES)
    except ConnectionResetError:
        # It left messages unread.  What it sent before is there still.
        return channel.recv(MESSAGE_BYTES)


class Charge(NamedTuple):
    """What a keeper is for: addresses, and how long it may keep them.

    `metric` is that of the routes to their networks, 0 for the kernel's default.
    """

    places: Sequence[Place]
    tenure: Tenure
    metric: int = 0


class Keeper:
    """Holds the addresses of `charge` as it is ordered to.

    `channel` leads to the daemon.  `removals` has an event when an address was removed
    from this host.  `inject` sends a frame by the interface of that name.
    """

    def __init__(
        self,
        charge: Charge,
        kernel: Kernel,
        channel: socket.socket,
        removals: socket.socket,
        inject: Callable[[bytes, str], object],
    ) -> None:
        self._places, self._tenure, self._metric = charge
        self._addresses = frozenset(place.address for place in self._places)
        self._kernel = kernel
        self._channel = channel
        self._removals = removals
        self._inject = inject
        self._index = 0
        self._held: set[Place] = set()
        self._has_held = False
        self._latest = Order(Kind.DROP, 0, 0)
        self._permission = Permission(self._tenure, self._refresh)

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
        return self._permission.deadline

    def obey(self) -> bool:
        """Carry out the orders that have come; False if no more can come."""
        orders: list[Order] = []
        is_open = True
        with suppress(BlockingIOError):
            while message := receive(self._channel):
                orders.append(Order.decode(message))
            is_open = False
        for order in orders:
            # A permission before a later order is of use only for its instant.
            if order.kind is Kind.KEEP and order is not orders[-1]:
                self._note(order)
            else:
                self._carry_out(order)
        return is_open

    def _note(self, order: Order) -> None:
        self._latest, self._permission.advert = order, order.at

    def _carry_out(self, order: Order) -> None:
        self._note(order)
        match order.kind:
            case Kind.KEEP:
                self._permission.renewed(now_ns())
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

    def _send(self, report: Report) -> None:
        with suppress(OSError):  # A daemon that is stopped reads nothing.
            self._channel.send(report.encode())

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

    def look_for_losses(self) -> None:
        """Tell the daemon which held addresses another program has removed."""
        with suppress(OSError):  # Until no event is left, or some were lost.
            while True:
                self._removals.recv(MESSAGE_BYTES)
        with suppress(OSError):
            found = {each.place for each in self._find() if each.index == self._index}
            if self._held - found:
                self._held &= found
                if not self._held:
                    self._permission.given_up()
                self._send(Report(0))

    def carry_out_will(self) -> None:
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
                self._inject(frame, self._latest.link)
