"""The daemon's side of the keeper: starts it, sends orders to it, reads its reports.

Nothing here waits for the keeper.  If the keeper ends or does not answer, another one
is started and gets the last order again.
"""

import gc
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

from carppcap.election.config import VirtualHostConfig
from carppcap.election.tenure import Tenure
from carppcap.errors import link_errors
from carppcap.system.clock import now_ns
from carppcap.system.keeper import Charge, Keeper
from carppcap.system.keeper_messages import Kind, Order, Report, receive
from carppcap.system.kernel_addresses import (
    ONLY_REMOVALS,
    ROUTE_METRIC,
    KernelAddresses,
    Place,
    check_permission,
)
from carppcap.system.process import set_process_name
from carppcap.system.realtime import enter, given_back
from carppcap.system.rtnetlink import open_netlink
from carppcap.system.socket_filter import attach_filter
from carppcap.units import NS_PER_S, Instant, Interval, earliest

NAME = "carppcap-keeper"
"""What ps(1) shows; no program that looks for the daemon by its name finds it."""

PATIENCE_NS = 5 * NS_PER_S
"""How long an order may take.  Another program may hold the kernel's lock meanwhile,
for 1.6 s while it removes 1500 interfaces."""

RETRY_NS = NS_PER_S
"""The shortest time between two starts of a keeper."""

ASK_NS = NS_PER_S // 2
"""The shortest time between two permissions that the keeper has to answer."""

LEAVE_S = 2.0
"""How long the end of the daemon waits for that of its keeper."""

_REMOVAL_GROUPS = 0x110  # RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR
_POLL_S = 0.002
_SO_SNDBUFFORCE = 32
_ROOM_BYTES = 16_384  # for a few messages of each group, which the kernel rounds up
_IGNORED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGPIPE,
)


def start_keeper(
    groups: Iterable[tuple[VirtualHostConfig, Tenure]], *, realtime: bool
) -> "KeeperProcess":
    """Start a keeper of the addresses of these groups.  Raises `LinkError`.

    An address without a prefix length gets the full one (/32, /128).  With `realtime`
    the keeper runs in real time, if that is permitted.
    """
    charges = [
        Charge(
            tuple(
                Place(vip, vip.max_prefixlen if prefix is None else prefix)
                for vip, prefix in config.prefixed_vips
            ),
            tenure,
            ROUTE_METRIC if config.vmac else 0,
        )
        for config, tenure in groups
    ]
    check_permission(charges[0].places[0])
    with link_errors("Unable to start the keeper of addresses: {why}"):
        return KeeperProcess(charges, realtime=realtime)


class KeeperProcess:
    """A keeper process for `charges`; another one is started whenever it ends.

    Call `reports` when a child process has ended, when a report has arrived, and at
    `deadline`.  `lines` are for the log.  Raises `OSError` if no process can be
    started.
    """

    def __init__(self, charges: Sequence[Charge], *, realtime: bool = False) -> None:
        self._charges = charges
        self._realtime = realtime
        self.lines: deque[str] = deque()
        self._told: set[str] = set()
        self._number = 0
        # The number of the last order that the keeper has to answer.
        self._expected = 0
        self._asked_at: Instant = 0
        # The order that each charge would have to get again.
        self._standing: dict[int, Order] = {}
        self._give_up_at: Instant | None = None
        # True if the keeper did not get an order; another one gets it.
        self._has_lost = False
        # When the lifetimes of the addresses have ended, if no keeper works; else None.
        self._expired_at: Instant | None = None
        self._is_closed = False
        self._channel: socket.socket | None = None
        self._children: set[int] = set()
        self._started_at = now_ns()
        self._start(self._started_at)

    def _start(self, now: Instant) -> None:
        """Start the process.  Raises `OSError`."""
        self._started_at = now
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # What the daemon has of real time, another keeper takes for itself again.
        with theirs, given_back():
            try:
                ours.setblocking(False)
                for end in (ours, theirs):
                    _make_room(end, len(self._charges) * _ROOM_BYTES)
                self._pid = os.fork()
            except OSError:
                ours.close()
                raise
            if self._pid == 0:
                try:
                    self._be_keeper(theirs)
                finally:
                    os._exit(0)
        self._children.add(self._pid)
        self._channel = ours

    def _be_keeper(self, channel: socket.socket) -> None:
        """Be the child: keep nothing of the daemon's, then hold addresses."""
        gc.disable()
        signal.set_wakeup_fd(-1)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        os.dup2(channel.fileno(), 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        set_process_name(NAME)
        if self._realtime:
            enter()
        removals = open_netlink(_REMOVAL_GROUPS)
        attach_filter(removals, ONLY_REMOVALS)
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        same = socket.socket(fileno=3)
        same.setblocking(False)
        Keeper(
            self._charges,
            KernelAddresses(),
            same,
            removals,
            lambda frame, interface: packets.sendto(frame, (interface, 0)),
        ).run()

    def descriptors(self) -> list[socket.socket]:
        """Return what to wait for with `select`.  Call this again before each wait."""
        return [] if self._channel is None else [self._channel]

    @property
    def deadline(self) -> Instant | None:
        """Return when to call `reports` even if nothing happens; None if never."""
        if self._is_closed:
            return None
        retry_at = None if self._channel else self._started_at + RETRY_NS
        return earliest(self._give_up_at, retry_at, self._expired_at)

    def order(
        self,
        kind: Kind,
        at: Instant,
        interface: str,
        link: str,
        will: Sequence[bytes],
        *,
        charge: int = 0,
    ) -> int:
        """Send an order; return the number that its report will have.

        A permission (`Kind.KEEP`) is answered only if no other order is, and at most
        once in `ASK_NS`.  Its report only tells that the keeper is alive.  See `Order`.
        """
        now, number = now_ns(), 0
        is_answered = self._give_up_at is None and now - self._asked_at >= ASK_NS
        if kind is not Kind.KEEP or is_answered:
            self._number += 1
            self._expected = number = self._number
            self._asked_at = now
            if self._give_up_at is None:
                self._give_up_at = now + PATIENCE_NS
        order = Order(kind, number, at, interface, link, will, charge)
        if kind is not Kind.KEEP:
            self._standing[charge] = order
        elif charge in self._standing and self._standing[charge].kind is Kind.TAKE:
            # Another keeper has to begin with the latest permission.  The interface may
            # have another name by now.
            self._standing[charge] = self._standing[charge]._replace(
                at=at, interface=interface, link=link, will=will
            )
        self._send(order)
        return number

    def _send(self, order: Order) -> None:
        # One that is full is not read, nor is one whose reader has ended.  Both are
        # found by the report that does not come, but an order that changes what is held
        # must not be lost until then: reports to others would hide that.
        try:
            if self._channel is not None:
                self._channel.send(order.encode())
        except BlockingIOError:
            self._has_lost |= order.kind is not Kind.KEEP
        except OSError:
            pass

    def reports(self, now: Instant) -> list[Report]:
        """Return the new reports; start another keeper if this one ended or hangs.

        If no keeper works, return reports with the number 0 that are not `ok` when the
        lifetimes of the addresses have ended, and again after each further lifetime.
        """
        found: list[Report] = []
        if self._channel is not None:
            with suppress(BlockingIOError):
                while message := receive(self._channel):
                    found.append(Report.decode(message))
                    self._note_success()
                self._give_up("has ended", now)
        if numbers := [report.number for report in found if report.number]:
            is_done = numbers[-1] == self._expected
            self._give_up_at = None if is_done else now + PATIENCE_NS
        is_late = self._give_up_at is not None and now >= self._give_up_at
        if is_late or self._has_lost:
            self._has_lost = False
            self._give_up_at = now + PATIENCE_NS
            self._give_up("does not answer, and was killed", now)
        may_start = not self._is_closed and now - self._started_at >= RETRY_NS
        if self._channel is None and may_start:
            self._start_another(now)
        if self._expired_at is not None and now >= self._expired_at:
            self._expired_at = now + self._lifetime_ns
            charges = range(len(self._charges))
            found += [Report(0, ok=False, charge=charge) for charge in charges]
        self._reap()
        return found

    @property
    def _lifetime_ns(self) -> Interval:
        return max(charge.tenure.lifetime_s for charge in self._charges) * NS_PER_S

    def _start_another(self, now: Instant) -> None:
        """Start a keeper with the last order, if possible."""
        try:
            self._start(now)
        except OSError as error:
            self._tell(
                "Unable to start another keeper of addresses: "
                f"{error.strerror or error}"
            )
            return
        for order in self._standing.values():
            self._expected = order.number
            self._give_up_at = now + PATIENCE_NS
            self._send(order)

    def _give_up(self, why: str, now: Instant) -> None:
        """Kill the keeper."""
        if self._channel is not None:
            with suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
            self._channel.close()
            self._channel = None
            self._tell(f"The keeper of addresses {why}")
            if self._expired_at is None:
                self._expired_at = now + self._lifetime_ns

    def _note_success(self) -> None:
        """Note that the keeper works."""
        if self._expired_at is not None:
            self._expired_at = None
            self._told.clear()
            self.lines.append("Another keeper of addresses has started")

    def _tell(self, line: str) -> None:
        """Log a line, but only once until a keeper works again."""
        if line not in self._told:
            self._told.add(line)
            self.lines.append(line)

    def _reap(self) -> None:
        for pid in tuple(self._children):
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            except ChildProcessError:
                pass  # As process 1 we reap every child.
            self._children.discard(pid)

    def close(self) -> None:
        """Make the keeper remove what it holds and end; wait for that for a moment.

        Safe to call twice.
        """
        self._is_closed = True
        self._expired_at = None
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        until_s = time.monotonic() + LEAVE_S
        self._reap()
        while self._children and time.monotonic() < until_s:
            time.sleep(_POLL_S)
            self._reap()


def _make_room(end: socket.socket, room: int) -> None:
    """Let `end` hold `room` bytes that were not read yet, or as many as permitted."""
    if end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= room:
        return
    try:
        end.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, room)
    except PermissionError:  # as in a container without privileges
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
