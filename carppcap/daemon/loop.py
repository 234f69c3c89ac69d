"""One live process: the wire, the scripts and the signals around one node.

    signals, link, scripts, frames ──> node.handle ──> actions ──> wire, scripts, log

One loop waits for all of them at once and owns no timer: it sleeps until the
node's deadline, or until a script has run too long.  In each turn whatever has
arrived is read before time is said to have passed, so that a process that was
stopped does not take a master for dead whose adverts wait in the buffer.
"""

import gc
import os
import select
import signal
from collections import deque
from collections.abc import Callable, Sequence

from carppcap.addresses import Address
from carppcap.daemon.interface import Wire
from carppcap.daemon.vips import Holding
from carppcap.election.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    ReleaseAddresses,
    SendAdvert,
    SendHint,
    State,
)
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import (
    STALL_NS,
    STEP_DOWN_PAUSE_NS,
    AddressesLost,
    AdvertReceived,
    Event,
    FramesLost,
    LinkDown,
    SendFailed,
    SendSucceeded,
    Start,
    StepDown,
    Stop,
)
from carppcap.filter.flood import FloodGate
from carppcap.log.journal import Journal
from carppcap.node import counter as sequence
from carppcap.node.egress import Egress
from carppcap.node.groups import Node, Step
from carppcap.node.ingress import Rejection
from carppcap.options.settings import Settings
from carppcap.system.capture import LiveCapture, SendError, StampedFrame
from carppcap.system.clock import CaptureClock, now_ns, wall_ns
from carppcap.system.link import LinkMonitor
from carppcap.system.process import SignalPipe
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_S, Instant
from carppcap.wire.decode import decode

LOOK_AGAIN_NS = NS_PER_S
"""Until we try again what the kernel had no room for; nothing will tell us when."""

READS_PER_TURN_MAX = 256
"""Batches; more than the ring holds, so all that is older was read by then."""

ENDING_SIGNALS = frozenset(
    (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
)
_SIGNALS = (*ENDING_SIGNALS, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Daemon:
    """One virtual host, alive.

    Construction opens everything and may raise `LinkError`; `run` returns when the
    process should end.
    """

    def __init__(self, settings: Settings, config: VirtualHostConfig, log: Log) -> None:
        self._settings = settings
        self._config = config
        self._log = log
        self._signals = SignalPipe(_heeded_signals(settings))
        self._wire = Wire(
            config,
            log,
            ignore_link_state=settings.ignore_link_state,
            any_source6=settings.source6 is None,
        )
        origin = now_ns()
        self._journal = Journal(log, config, origin)
        self._flood = FloodGate(config.interval_ns, config.master_down_interval_ns)
        self._clock = CaptureClock(origin, wall_ns(), self._wire.read_delay_ns)
        self._node = Node(
            [config], lambda: sequence.Sequence(wall_ns(), origin, _draw(1))
        )
        self._group = self._node.group(config.interface, config.vhid)
        self._egress = Egress(config, self._wire.mac, _draw(2), self._wire.next_hop_mac)
        self._holding = Holding(
            settings, config, self._journal, self._addresses_of_this_machine
        )
        self._feedback: deque[Event] = deque()
        self._ended_by: signal.Signals | None = None
        self._stopping = False
        self._look_again_at: Instant | None = None
        self._wake_by: Instant | None = None

    def start(self) -> None:
        """Enter the election, listening."""
        now = now_ns()
        self._handle(Start(), now)
        if not self._wire.usable:
            self._handle(LinkDown(), now)
        gc.collect()
        gc.freeze()  # What start-up made stays; collections need not look at it.

    def run(self) -> signal.Signals | None:
        """Take part until told to stop; the signal to end by, or None for status 0."""
        while not self._is_finished():
            self._turn(self._wait())
        return self._ended_by

    def close(self) -> None:
        """Give everything back."""
        self._holding.close()
        self._wire.close()
        self._signals.close()

    def _is_finished(self) -> bool:
        if self._ended_by is not None:
            return True
        return self._stopping and self._state() is State.INIT and self._holding.idle

    def _wait(self) -> bool:
        """Sleep until something happens or is due; whether the link has news."""
        deadlines = [
            deadline
            for deadline in (
                self._node.deadline,
                self._flood.deadline,
                self._holding.deadline,
                self._look_again_at,
            )
            if deadline is not None
        ]
        timeout_s = None
        self._wake_by = min(deadlines, default=None)
        if self._wake_by is not None:
            timeout_s = max(0, self._wake_by - now_ns()) / NS_PER_S
        sources = [self._signals, *self._wire.descriptors()]
        return self._wire.monitor in _readable(sources, timeout_s)

    def _turn(self, link_has_news: bool) -> None:
        now = now_ns()
        self._clock.begin_turn(now, wall_ns())
        self._read_frames()
        is_due = self._look_again_at is not None and now >= self._look_again_at
        if link_has_news or is_due:
            self._read_link(now)
        self._read_signals(now)
        self._doubt_silence()
        for step in self._node.tick(now):
            self._perform(step)
        # Last, because where there is no script its outcome is there already.
        self._tend_scripts(now)

    def _doubt_silence(self) -> None:
        """After a stop, the adverts of a live master may be among the frames lost."""
        # The clock is asked anew: it may be this very turn that was held up.  And it is
        # compared with the deadline before the turn: what was read may have put it off,
        # but not for long enough to hear the next advert.
        now = now_ns()
        lost_frames, due = self._wire.lost_frames(), self._wake_by
        if lost_frames and due is not None and now - due > STALL_NS:
            self._journal.frames_lost(now)
            self._handle(FramesLost(), now)

    def _read_frames(self) -> None:
        """Handle what had arrived when the turn began.

        Not what arrives meanwhile: under a flood there would be no end to it, and
        our own adverts would be late.
        """
        for _ in range(READS_PER_TURN_MAX):
            frames = self._wire.read()
            useless = sum(not self._receive(stamped) for stamped in frames)
            self._mind_flood(useless)
            if not frames:
                self._clock.buffer_is_empty()
                return
            if self._clock.is_of_next_turn(frames[-1][0]):
                return

    def _receive(self, stamped: StampedFrame) -> bool:
        """Whether it was an advert to obey."""
        stamp_ns, frame = stamped
        at = self._clock.instant(stamp_ns)
        datagram = decode(frame, self._wire.link_type)
        outcome = self._node.receive(self._config.interface, datagram, at)
        if outcome is None:
            return False
        if isinstance(outcome, Rejection):
            self._journal.log_rejection(outcome, at)
            return False
        if isinstance(outcome.event, AdvertReceived) and not outcome.refused:
            self._flood.note_advert(outcome.event.source, at)
            self._egress.heed(outcome.event)
        self._perform(outcome)
        return not outcome.refused

    def _mind_flood(self, useless: int) -> None:
        """Have the kernel hold back more, or less, if that many frames were no use."""
        now, waiting = now_ns(), self._state() is State.BACKUP
        news = self._flood.count(useless, now, waiting=waiting)
        self._wire.sift(self._flood.sieve)
        if news is not None:
            self._journal.flood(news, now)

    def _read_link(self, now: Instant) -> None:
        event = self._wire.refresh()
        self._look_again_at = now + LOOK_AGAIN_NS if self._wire.needs_retry else None
        self._egress.nic_mac = self._wire.mac
        if event is not None:
            self._handle(event, now)
        if self._wire.vip_lost or self._holding.is_lost:
            self._handle(AddressesLost(), now)

    def _read_signals(self, now: Instant) -> None:
        for number in self._signals.read():
            if number is signal.SIGUSR1:
                self._journal.status(self._state())
            elif number is signal.SIGUSR2:
                self._log.debug("Caught signal (USR2) considering going down")
                self._handle(StepDown(STEP_DOWN_PAUSE_NS), now)
            elif number in ENDING_SIGNALS and self._settings.shutdown:
                self._stop(now)
            elif number in ENDING_SIGNALS:
                self._ended_by = number

    def _stop(self, now: Instant) -> None:
        """Leave gently; asked again, do not wait for a script that hangs."""
        if self._stopping:
            self._holding.kill()
            return
        self._stopping = True
        self._handle(Stop(), now)
        self._journal.waiting_for(self._holding.command)

    def _tend_scripts(self, now: Instant) -> None:
        # An event may ask for a script whose outcome is there at once.
        while news := self._holding.tend(now):
            for event in news:
                self._handle(event, now)

    def _addresses_of_this_machine(self) -> frozenset[Address] | None:
        try:
            return frozenset(
                address for _, address in self._wire.monitor.host_addresses()
            )
        except OSError:
            return None

    def _state(self) -> State:
        return self._group.state

    def _handle(self, event: Event, now: Instant) -> None:
        self._perform(self._group.handle(event, now))

    def _perform(self, step: Step) -> None:
        """Carry out a step, then pass on what came of its sending.

        What goes onto the wire goes first: the log takes its time, and starting a
        script takes more.
        """
        for action in step.actions:
            self._transmit(action, step.at)
        self._journal.log_step(step)
        for action in step.actions:
            self._run_script_for(action, step)
        while self._feedback:
            self._handle(self._feedback.popleft(), step.at)

    def _transmit(self, action: Action, at: Instant) -> None:
        if isinstance(action, SendAdvert):
            sent = self._send(action, at)
            self._feedback.append(SendSucceeded() if sent else SendFailed())
        elif isinstance(action, SendHint):
            self._send(action, at)
        elif isinstance(action, AnnounceAddresses):
            self._egress.is_router = self._wire.forwards_ipv6
            self._send(action, at)

    def _run_script_for(self, action: Action, step: Step) -> None:
        if isinstance(action, AcquireAddresses):
            self._feedback.extend(self._holding.acquire(step))
        elif isinstance(action, ReleaseAddresses):
            self._holding.release(step)

    def _send(
        self, action: SendAdvert | SendHint | AnnounceAddresses, at: Instant
    ) -> bool:
        try:
            for frame in self._egress.frames(action):
                self._wire.send(frame)
        except SendError as error:
            self._journal.send_failure(error, at)
            return False
        return True


def _readable(
    sources: Sequence[SignalPipe | LinkMonitor | LiveCapture], timeout_s: float | None
) -> Sequence[SignalPipe | LinkMonitor | LiveCapture]:
    """Which of `sources` have something to read, after `timeout_s` at the latest."""
    try:
        # To the microsecond, while poll(2) wakes up at a whole millisecond after.
        return select.select(sources, [], [], timeout_s)[0]
    except ValueError:
        # Who started us left more than a thousand descriptors open: ours are beyond
        # what select(2) can take.
        poller = select.poll()
        for source in sources:
            poller.register(source, select.POLLIN)
        ready = poller.poll(None if timeout_s is None else timeout_s * 1000)
        numbers = {number for number, _ in ready}
        return [source for source in sources if source.fileno() in numbers]


def _heeded_signals(settings: Settings) -> list[signal.Signals]:
    # Without -z the original does not touch what ends it, so `nohup` keeps working.
    return [
        number
        for number in _SIGNALS
        if settings.shutdown
        or number not in ENDING_SIGNALS
        or signal.getsignal(number) is not signal.SIG_IGN
    ]


def _draw(length: int) -> Callable[[], int]:
    """A source of random numbers of `length` bytes, from the kernel."""
    return lambda: int.from_bytes(os.urandom(length), "big")
