"""One live process: interfaces, scripts and signals around its groups.

    signals, link, scripts, frames ──> Group.handle ──> actions ──> frames, log, scripts

One loop waits for all inputs.  It has no timers: it sleeps until the earliest deadline
of the groups, the scripts and `filter.flood`.  In each turn it handles all frames that
have arrived before it passes a `Tick` to a group.
"""

import gc
import signal
import socket
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, NamedTuple

from carppcap.daemon.group_driver import GroupDriver, Tools, draw
from carppcap.daemon.group_link import GroupLink
from carppcap.daemon.segment import Segment
from carppcap.daemon.vips import abandon
from carppcap.election.config import VirtualHostConfig
from carppcap.node import counter
from carppcap.node.groups import Node
from carppcap.options.settings import Settings
from carppcap.system import realtime, supervision
from carppcap.system.capture import LiveCapture
from carppcap.system.clock import now_ns, wall_ns
from carppcap.system.link import LinkMonitor
from carppcap.system.process import SignalPipe
from carppcap.system.scripts import reap_others
from carppcap.system.syslog import Log, NamedLog
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


class NamedGroup(NamedTuple):
    """A group to run.  Each line of its log begins with its `name`, if it has one."""

    name: str
    settings: Settings
    config: VirtualHostConfig


class Daemon:
    """Runs groups in one loop: none of them waits for another one's script or address.

    If `keeper` is given, it sets the addresses of those with `--own-addresses`; its
    charges are in their order.  The constructor opens everything, and raises
    `LinkError` if that fails.  `close` also closes `signals` and `keeper`.
    """

    def __init__(
        self,
        groups: Sequence[NamedGroup],
        log: Log,
        signals: SignalPipe | None = None,
        keeper: "KeeperProcess | None" = None,
    ) -> None:
        self._log = log
        self._keeper = keeper
        settings = [group.settings for group in groups]
        self._signals = signals or SignalPipe(heeded_signals(settings))
        origin = now_ns()
        self.node = Node(
            [group.config for group in groups],
            lambda: counter.CounterSequence(wall_ns(), origin, draw(1)),
        )
        self._busy: dict[GroupDriver, None] = {}
        self.drivers: dict[tuple[str, int], GroupDriver] = {}
        # Those of the keeper's charges.
        self._kept: list[GroupDriver] = []
        by_interface: dict[str, list[NamedGroup]] = {}
        for group in groups:
            by_interface.setdefault(group.config.interface, []).append(group)
        self.segments = {
            name: Segment([group.config for group in there], self.node, log, origin)
            for name, there in by_interface.items()
        }
        for group in groups:
            self._add(group, origin)
        self._memory_reserve = bytes(MEMORY_RESERVE_BYTES)
        self._ended_by: signal.Signals | None = None
        self._stopping = False
        self._wake_by: Instant | None = None

    def _add(self, group: NamedGroup, origin: Instant) -> None:
        name, settings, config = group
        log = NamedLog(self._log, name) if name else self._log
        segment = self.segments[config.interface]
        link = GroupLink(
            segment.interface,
            config,
            log,
            ignore_link_state=settings.ignore_link_state,
            any_source6=settings.source6 is None,
        )
        tools = Tools(
            origin,
            segment.watch,
            self._tend_soon,
            self._keeper if settings.own_addresses else None,
            len(self._kept),
        )
        driver = GroupDriver(settings, self.node, link, log, tools)
        segment.drivers[config.vhid] = driver
        self.drivers[config.interface, config.vhid] = driver
        if tools.keeper is not None:
            self._kept.append(driver)

    def _tend_soon(self, driver: GroupDriver) -> None:
        self._busy[driver] = None

    def start(self) -> None:
        """Let every group enter the election as a BACKUP."""
        gc.collect()
        gc.freeze()  # Later collections skip what start-up made, as it stays anyway.
        for segment in self.segments.values():
            segment.discard_frames()
        for driver in self.drivers.values():
            driver.start(now_ns())

    def run(self) -> signal.Signals | None:
        """Take part in the elections until told to stop.

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
            if self._keeper is not None:
                self._keeper.close()  # It sends the farewells.
            abandon([driver.vips for driver in self.drivers.values()])
            raise
        return self._ended_by

    def close(self) -> None:
        """Close everything that was opened; the keeper removes the addresses."""
        if self._keeper is not None:
            self._keeper.close()
        for driver in self.drivers.values():
            driver.vips.close()
        for segment in self.segments.values():
            segment.interface.close()
        self._signals.close()

    def _is_finished(self) -> bool:
        if self._ended_by is not None:
            return True
        # Those without --shutdown go on until the last of the others has stopped.
        return self._stopping and all(
            driver.has_stopped or not driver.stops_gently
            for driver in self.drivers.values()
        )

    def _wait(self) -> AbstractSet[_Input]:
        """Sleep until there is input or a deadline; return the inputs with news."""
        self._wake_by = earliest(
            self.node.deadline,
            None if self._keeper is None else self._keeper.deadline,
            *[segment.deadline for segment in self.segments.values()],
            *[driver.deadline for driver in self._busy],
        )
        realtime.breathe()
        inputs: list[_Input] = [self._signals]
        for segment in self.segments.values():
            inputs += segment.descriptors()
        if self._keeper is not None:
            inputs += self._keeper.descriptors()
        until = earliest(self._wake_by, supervision.feed(now_ns()))
        return set(readable(inputs, until))

    def _turn(self, ready: AbstractSet[_Input]) -> None:
        now, wall = now_ns(), wall_ns()
        for segment in self.segments.values():
            segment.begin_turn(now, wall)
            segment.read_frames()
        for segment in self.segments.values():
            has_news = segment.interface.monitor in ready
            segment.read_link(now, has_news=has_news)
        self._read_signals(now)
        for segment in self.segments.values():
            segment.doubt_silence(self._wake_by)
        for step in self.node.tick(now):
            self.drivers[step.interface, step.vhid].perform(step)
        # Last, because a job without a script has ended as soon as it was requested.
        if self._keeper is not None:
            self._read_reports(self._keeper, now)
        for driver in tuple(self._busy):
            driver.tend(now)
            if not driver.is_busy:
                del self._busy[driver]
        reap_others()

    def _read_reports(self, keeper: "KeeperProcess", now: Instant) -> None:
        reports = keeper.reports(now)
        while keeper.lines:
            self._log.warning(keeper.lines.popleft())
        for report in reports:
            self._kept[report.charge].take_report(report)

    def _read_signals(self, now: Instant) -> None:
        for number in self._signals.read():
            if number is signal.SIGUSR1:
                for driver in self.drivers.values():
                    driver.journal.status(driver.state)
            elif number is signal.SIGUSR2:
                self._log.debug("Caught signal (USR2) considering going down")
                for driver in self.drivers.values():
                    driver.step_down(now)
            elif number is signal.SIGXCPU:
                self._log.warning(
                    "This process was busy for a second without a pause: going on "
                    "without real-time scheduling"
                )
            elif number in ENDING_SIGNALS:
                self._stop(number, now)

    def _stop(self, number: signal.Signals, now: Instant) -> None:
        gentle = [driver for driver in self.drivers.values() if driver.stops_gently]
        if not gentle:
            self._ended_by = number
        self._stopping = True
        for driver in gentle:
            driver.stop(now)


def heeded_signals(every: Iterable[Settings]) -> list[signal.Signals]:
    """Return the signals that a daemon of groups with these settings handles."""
    # Without -z ucarp does not handle the signals that end it, so `nohup` works.
    is_gentle = any(settings.shutdown for settings in every)
    return [
        number
        for number in _SIGNALS
        if is_gentle
        or number not in ENDING_SIGNALS
        or signal.getsignal(number) is not signal.SIG_IGN
    ]
