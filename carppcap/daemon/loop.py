"""One live process: interfaces, scripts and signals around its groups.

    signals, link, scripts, frames ──> Group.handle ──> actions ──> frames, log, scripts

One loop waits for all inputs.  It has no timers: it sleeps until the earliest deadline
of the groups, the scripts and `filter.flood`.  In each turn it handles all frames that
have arrived before it passes a `Tick` to a group.
"""

import gc
import signal
import socket
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from carppcap.daemon.group_driver import GroupDriver, draw
from carppcap.daemon.interface import Interface
from carppcap.daemon.segment import Segment
from carppcap.election.config import VirtualHostConfig
from carppcap.node import counter
from carppcap.node.groups import Node
from carppcap.options.settings import Settings
from carppcap.system import realtime, supervision
from carppcap.system.capture import LiveCapture
from carppcap.system.clock import now_ns, wall_ns
from carppcap.system.link import LinkMonitor
from carppcap.system.process import SignalPipe
from carppcap.system.syslog import Log
from carppcap.system.waiting import readable
from carppcap.units import Instant, earliest

MEMORY_RESERVE_BYTES = 1 << 20
"""Address space that is set aside.  It is freed when the daemon fails, so that the down
script can start even if memory has run out."""

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
        self._log = log
        self._signals = signals or SignalPipe(heeded_signals(settings))
        interface = Interface(
            config,
            log,
            ignore_link_state=settings.ignore_link_state,
            any_source6=settings.source6 is None,
        )
        origin = now_ns()
        self._node = Node(
            [config], lambda: counter.CounterSequence(wall_ns(), origin, draw(1))
        )
        segment = Segment(interface, self._node, log, origin)
        driver = segment.driver = GroupDriver(
            settings,
            self._node,
            interface,
            log,
            origin=origin,
            watch=segment.watch,
            keeper=keeper,
        )
        self.segments = [segment]
        self.drivers = {(config.interface, config.vhid): driver}
        self._memory_reserve = bytes(MEMORY_RESERVE_BYTES)
        self._ended_by: signal.Signals | None = None
        self._wake_by: Instant | None = None

    def start(self) -> None:
        """Let every group enter the election as a BACKUP."""
        gc.collect()
        gc.freeze()  # Later collections skip what start-up made, as it stays anyway.
        for segment in self.segments:
            segment.discard_frames()
        for driver in self.drivers.values():
            driver.start(now_ns())

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
            for driver in self.drivers.values():
                driver.vips.abandon()
            raise
        return self._ended_by

    def close(self) -> None:
        """Close everything that was opened."""
        for driver in self.drivers.values():
            driver.vips.close()
        for segment in self.segments:
            segment.interface.close()
        self._signals.close()

    def _is_finished(self) -> bool:
        if self._ended_by is not None:
            return True
        return all(driver.has_stopped for driver in self.drivers.values())

    def _wait(self) -> AbstractSet[_Input]:
        """Sleep until there is input or a deadline; return the inputs with news."""
        self._wake_by = earliest(
            self._node.deadline,
            *(segment.deadline for segment in self.segments),
            *(driver.vips.deadline for driver in self.drivers.values()),
        )
        realtime.breathe()
        inputs: list[_Input] = [self._signals]
        for segment in self.segments:
            inputs += segment.descriptors()
        for driver in self.drivers.values():
            inputs += driver.vips.descriptors()
        until = earliest(self._wake_by, supervision.feed(now_ns()))
        return set(readable(inputs, until))

    def _turn(self, ready: AbstractSet[_Input]) -> None:
        now, wall = now_ns(), wall_ns()
        for segment in self.segments:
            segment.begin_turn(now, wall)
            segment.read_frames()
        for segment in self.segments:
            has_news = segment.interface.monitor in ready
            segment.read_link(now, has_news=has_news)
        self._read_signals(now)
        for segment in self.segments:
            segment.doubt_silence(self._wake_by)
        for step in self._node.tick(now):
            self.drivers[step.interface, step.vhid].perform(step)
        # Last, because a job without a script has ended as soon as it was requested.
        for driver in self.drivers.values():
            driver.tend(now)

    def _read_signals(self, now: Instant) -> None:
        for number in self._signals.read():
            for driver in self.drivers.values():
                if number is signal.SIGUSR1:
                    driver.journal.status(driver.state)
                elif number is signal.SIGUSR2:
                    self._log.debug("Caught signal (USR2) considering going down")
                    driver.step_down(now)
                elif number in ENDING_SIGNALS and self._settings.shutdown:
                    driver.stop(now)
            if number is signal.SIGXCPU:
                self._log.warning(
                    "This process was busy for a second without a pause: going on "
                    "without real-time scheduling"
                )
            elif number in ENDING_SIGNALS and not self._settings.shutdown:
                self._ended_by = number


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
