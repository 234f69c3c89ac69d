"""One live process: interface, scripts and signals around one group.

    signals, link, scripts, frames ──> Group.handle ──> actions ──> frames, log, scripts

One loop waits for all inputs.  It has no timers: it sleeps until the earliest deadline
of the group, the scripts and `filter.flood`.  In each turn it handles all frames that
have arrived before it passes a `Tick` to the group.  So a process that was stopped does
not take a master for dead while the adverts of that master wait in the buffer.
"""

import gc
import os
import signal
import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from carppcap.daemon.interface import Interface
from carppcap.daemon.vips import Vips
from carppcap.election.actions import AnnounceAddresses, SendAdvert, State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import (
    STEP_DOWN_PAUSE_NS,
    AddressesLost,
    AdvertReceived,
    Event,
    FormChanged,
    LinkDown,
    Start,
    StepDown,
    Stop,
)
from carppcap.errors import LinkError
from carppcap.filter.flood import FloodGate
from carppcap.filter.prefilter import ForgeryTest
from carppcap.log.journal import Journal
from carppcap.node import counter
from carppcap.node.egress import Egress, Sending
from carppcap.node.groups import Node, Step
from carppcap.node.ingress import Rejection
from carppcap.node.outcomes import stall_news
from carppcap.node.performer import Performer
from carppcap.options.settings import Settings
from carppcap.system import realtime
from carppcap.system.capture import LiveCapture, SendError, StampedFrame
from carppcap.system.clock import CaptureClock, now_ns, wall_ns
from carppcap.system.link import Held, LinkMonitor
from carppcap.system.process import SignalPipe
from carppcap.system.syslog import Log
from carppcap.system.waiting import readable
from carppcap.units import NS_PER_S, Instant, earliest
from carppcap.wire.decode import decode

LOOK_AGAIN_NS = NS_PER_S
"""The time after which the daemon asks the kernel again if a request has failed."""

MEMORY_RESERVE_BYTES = 1 << 20
"""Address space that is set aside.  It is freed when the daemon fails, so that the down
script can start even if memory has run out."""

READS_PER_TURN_MAX = 256
"""The most batches of frames read in one turn: more than the capture ring holds."""

ENDING_SIGNALS = frozenset(
    (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
)
if TYPE_CHECKING:  # Only with --own-addresses.
    from carppcap.system.keeper_process import KeeperProcess

_Input = SignalPipe | LinkMonitor | LiveCapture | socket.socket
_SIGNALS = (*ENDING_SIGNALS, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Daemon:
    """Runs one virtual host.

    If `keeper` is given, it sets the addresses (`--own-addresses`).  The constructor
    opens everything, and raises `LinkError` if that fails.  `close` also closes
    `signals`.
    """

    def __init__(
        self,
        settings: Settings,
        config: VirtualHostConfig,
        log: Log,
        signals: SignalPipe | None = None,
        keeper: "KeeperProcess | None" = None,
    ) -> None:
        self._settings = settings
        self._config = config
        self._log = log
        self._signals = signals or SignalPipe(heeded_signals(settings))
        self._interface = Interface(
            config,
            log,
            ignore_link_state=settings.ignore_link_state,
            any_source6=settings.source6 is None,
        )
        origin = now_ns()
        self._journal = Journal(log, config, origin)
        self._flood = FloodGate(config.interval_ns, config.master_down_interval_ns)
        self._forgeries = ForgeryTest(config)
        self._clock = CaptureClock(origin, wall_ns(), self._interface.read_delay_ns)
        self._node = Node(
            [config], lambda: counter.CounterSequence(wall_ns(), origin, _draw(1))
        )
        self._group = self._node.group(config.interface, config.vhid)
        self._egress = Egress(
            config, self._interface.mac, _draw(2), self._interface.next_hop_mac
        )
        self._vips = self._open_vips(keeper)
        self._performer = Performer(self._group, self)
        self._memory_reserve = bytes(MEMORY_RESERVE_BYTES)
        self._ended_by: signal.Signals | None = None
        self._stopping = False
        self._dropped = 0
        self._look_again_at: Instant | None = None
        self._wake_by: Instant | None = None
        self._advert_left = False

    def _open_vips(self, keeper: "KeeperProcess | None") -> Vips:
        settings, config, journal = self._settings, self._config, self._journal
        if keeper is None:
            self._log.info(
                "Without --own-addresses a daemon that is killed or hangs leaves its "
                "address on this host, while a peer takes it over"
            )
            return Vips(settings, config, journal, self._held_addresses)
        from carppcap.daemon.own_vips import OwnVips  # noqa: PLC0415 - not for ucarp's way

        return OwnVips(settings, config, journal, keeper)

    def start(self) -> None:
        """Enter the election as a BACKUP."""
        gc.collect()
        gc.freeze()  # Later collections skip what start-up made, as it stays anyway.
        # Discard what was captured during a slow start.  Those frames may fill the
        # buffer, so that later adverts of a live master were dropped.
        for _ in range(READS_PER_TURN_MAX):
            if not self._interface.read():
                break
        now = now_ns()
        self._performer.handle(Start(), now)
        if not self._interface.usable:
            self._performer.handle(LinkDown(), now)

    def run(self) -> signal.Signals | None:
        """Take part in the election until told to stop.

        Return the signal by which the process has to end, or None to exit with status
        0.  After an unexpected exception, release the addresses and raise the exception
        again.
        """
        try:
            while not self._is_finished():
                self._turn(self._wait())
        except Exception:
            # We send no more adverts, so a peer will take the addresses.
            self._memory_reserve = b""
            self._vips.abandon()
            raise
        return self._ended_by

    def close(self) -> None:
        """Close everything that was opened."""
        self._vips.close()
        self._interface.close()
        self._signals.close()

    def _is_finished(self) -> bool:
        if self._ended_by is not None:
            return True
        is_init = self._group.state is State.INIT
        return self._stopping and is_init and self._vips.idle

    def _wait(self) -> bool:
        """Sleep until there is input or a deadline; True if the link has news."""
        self._wake_by = earliest(
            self._node.deadline,
            self._flood.deadline,
            self._vips.deadline,
            self._look_again_at,
        )
        realtime.breathe()
        inputs = [
            self._signals,
            *self._interface.descriptors(),
            *self._vips.descriptors(),
        ]
        return self._interface.monitor in readable(inputs, self._wake_by)

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
            self._performer.perform(step)
        # Last, because a job without a script has ended as soon as it was requested.
        self._tend_scripts(now)

    def _doubt_silence(self) -> None:
        """Tell the group if frames were lost while this process was stopped."""
        # The clock is read again, since this turn itself may have been stopped.  It is
        # compared with the deadline from before the turn: frames read in the turn may
        # have moved that deadline, but not far enough to hear the next advert.
        now, dropped = now_ns(), self._interface.dropped
        event = stall_news(dropped - self._dropped, self._wake_by, now)
        self._dropped = dropped
        if event is not None:
            self._journal.frames_lost(now)
            self._performer.handle(event, now)

    def _read_frames(self) -> None:
        """Handle the frames that had arrived when the turn of the loop began.

        Frames that arrive during the turn are left for the next turn.  Otherwise a
        flood could keep the loop here, and our own adverts would be late.
        """
        for _ in range(READS_PER_TURN_MAX):
            frames = self._interface.read()
            useless = sum(not self._handle_frame(stamped) for stamped in frames)
            self._mind_flood(useless)
            if not frames:
                self._clock.buffer_is_empty()
                return
            if self._clock.is_of_next_turn(frames[-1][0]):
                return

    def _handle_frame(self, stamped: StampedFrame) -> bool:
        """Handle one frame; True if it is an accepted advert or hint."""
        stamp_ns, frame = stamped
        at = self._clock.instant(stamp_ns)
        if self._flood.sieve.narrow and self._forgeries.is_forged(frame):
            return False
        datagram = decode(frame, self._interface.link_type)
        outcome = self._node.receive(self._config.interface, datagram, at)
        if outcome is None:
            return False
        if isinstance(outcome, Rejection):
            self._journal.log_rejection(outcome, at)
            if self._node.is_namesake(self._config.interface, outcome):
                self._journal.log_namesake(outcome, at)
            return False
        has_other_form = False
        if isinstance(outcome.event, AdvertReceived) and not outcome.refused:
            self._flood.note_advert(outcome.event.source, at)
            has_other_form = self._egress.heed(outcome.event)
        self._performer.perform(outcome)
        if has_other_form:
            self._performer.handle(FormChanged(), at)
        return not outcome.refused

    def _mind_flood(self, useless: int) -> None:
        """Count `useless` frames; narrow or widen the capture filter accordingly."""
        now, waiting = now_ns(), self._group.state is State.BACKUP
        news = self._flood.count(useless, now, waiting=waiting)
        self._interface.sift(self._flood.sieve)
        if news is not None:
            self._journal.flood(news, now)

    def _read_link(self, now: Instant) -> None:
        news = self._interface.refresh()
        self._look_again_at = now + LOOK_AGAIN_NS if news.needs_retry else None
        self._egress.nic_mac = self._interface.mac
        if self._interface.config is not self._config:
            self._config = self._interface.config
            self._egress.readdress(self._config)
            self._node.readdress(self._config)
        self._vips.rename(self._interface.name)
        for event in news.events:
            # A keeper says itself what was lost, and knows what it has removed.
            if not self._settings.own_addresses or event != AddressesLost():
                self._performer.handle(event, now)
        if self._vips.is_lost and AddressesLost() not in news.events:
            self._performer.handle(AddressesLost(), now)

    def _read_signals(self, now: Instant) -> None:
        for number in self._signals.read():
            if number is signal.SIGUSR1:
                self._journal.status(self._group.state)
            elif number is signal.SIGUSR2:
                self._log.debug("Caught signal (USR2) considering going down")
                self._performer.handle(StepDown(STEP_DOWN_PAUSE_NS), now)
            elif number is signal.SIGXCPU:
                self._journal.too_busy()
            elif number in ENDING_SIGNALS and self._settings.shutdown:
                self._stop(now)
            elif number in ENDING_SIGNALS:
                self._ended_by = number

    def _stop(self, now: Instant) -> None:
        """Begin to stop: run the down script.  At a second call hurry."""
        if self._stopping:
            self._vips.hurry(now)
            return
        self._stopping = True
        self._performer.handle(Stop(), now)
        self._journal.waiting_for(self._vips.scripts.command)

    def _tend_scripts(self, now: Instant) -> None:
        # An event may request a job that ends at once, because it has no script.
        while news := self._vips.tend(now):
            for event in news:
                self._performer.handle(event, now)

    def _held_addresses(self) -> Held | None:
        try:
            return self._interface.held()
        except OSError:
            return None

    # What the performer asks for (`performer.Driver`).

    def transmit(self, action: Sending, at: Instant) -> bool | None:
        """Send the frames of `action`; return whether all of them were sent.

        Return None if there were no frames to send.
        """
        if isinstance(action, AnnounceAddresses):
            self._egress.is_router = self._interface.forwards_ipv6
        is_advert = isinstance(action, SendAdvert)
        frames = self._egress.frames(action)
        for peer, why in self._interface.unreachable.items():
            self._journal.unreachable(peer, why, at)
        try:
            for frame in frames:
                self._interface.send(frame)
                self._advert_left |= is_advert
        except SendError as error:
            self._journal.send_failure(error, at)
            return False
        # Also if there was nothing to send: a peer that is switched off has no MAC.
        self._advert_left |= is_advert
        return True if frames else None

    def record(self, step: Step) -> None:
        """Log a step."""
        left, self._advert_left = self._advert_left, False
        self._vips.note(step, (lambda: self._last_will(step.at)) if left else None)
        self._journal.log_step(step)

    def _last_will(self, at: Instant) -> list[bytes]:
        """Return the frames of a farewell that is sent if this process is killed."""
        if self._settings.no_farewell:
            return []
        farewell = self._group.last_will(at)
        return [frame for each in farewell for frame in self._egress.frames(each)]

    def acquire(self, step: Step) -> Iterable[Event]:
        """Start to take the addresses; return the events that result immediately."""
        news = self._vips.acquire(step)
        if self._vips.own_index:
            try:
                self._interface.monitor.hear_also(self._vips.own_index)
            except LinkError as error:
                self._log.warning(str(error))
            self._look_again_at = now_ns()  # The new interface may be gone already.
        return news

    def release(self, step: Step) -> Iterable[Event]:
        """Start to release the addresses.  Return no events; these come later."""
        self._vips.release(step)
        return ()


def heeded_signals(settings: Settings) -> list[signal.Signals]:
    """Return the signals that a daemon with these settings handles."""
    # Without -z ucarp does not handle the signals that end it, so `nohup` works.
    return [
        number
        for number in _SIGNALS
        if settings.shutdown
        or number not in ENDING_SIGNALS
        or signal.getsignal(number) is not signal.SIG_IGN
    ]


def _draw(length: int) -> Callable[[], int]:
    """Return a function that returns a random number of `length` bytes."""
    return lambda: int.from_bytes(os.urandom(length), "big")
