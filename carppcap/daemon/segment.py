"""What the groups on one interface share: its frames, its filter and its link.

All frames that have arrived are handled before the loop passes a `Tick`.  So a process
that was stopped does not take a master for dead while the adverts of that master wait
in the buffer.
"""

from collections.abc import Sequence

from carppcap.daemon.group_driver import GroupDriver
from carppcap.daemon.interface import Interface
from carppcap.election.actions import State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.errors import LinkError
from carppcap.filter.flood import FloodGate
from carppcap.filter.prefilter import ForgeryTest
from carppcap.log.segment_journal import SegmentJournal
from carppcap.node.groups import Node, Step
from carppcap.node.ingress import Rejection, SolicitationReceived
from carppcap.node.outcomes import stall_news
from carppcap.node.rivals import rival_of
from carppcap.system.capture import LiveCapture, StampedFrame
from carppcap.system.clock import CaptureClock, now_ns, wall_ns
from carppcap.system.link import LinkMonitor
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_S, Instant, earliest
from carppcap.wire.decode import Defect, decode, decode_claim

LOOK_AGAIN_NS = NS_PER_S
"""The time after which the kernel is asked again if a request has failed."""

READS_PER_TURN_MAX = 256
"""The most batches of frames read in one turn: more than the capture ring holds."""


class Segment:
    """The frames and the link of an interface, for its groups in `node`.

    `configs` are those of the groups.  Put the driver of each into `drivers`, by its
    vhid, before the first turn.  The clocks are compared at `origin` first.  Raises
    `LinkError` if the interface cannot be opened.
    """

    def __init__(
        self,
        configs: Sequence[VirtualHostConfig],
        node: Node,
        log: Log,
        origin: Instant,
    ) -> None:
        self.interface = interface = Interface(configs, log)
        self.drivers: dict[int, GroupDriver] = {}
        self._node = node
        self._log = log
        # The node knows the interface by the name that was given.
        self._name = configs[0].interface
        self._journal = SegmentJournal(log, configs, origin)
        self._flood = FloodGate(
            max(config.interval_ns for config in configs),
            min(config.master_down_interval_ns for config in configs),
        )
        self._forgeries = ForgeryTest(configs)
        self._clock = CaptureClock(origin, wall_ns(), interface.read_delay_ns)
        self._dropped = 0
        self._look_again_at: Instant | None = None

    @property
    def deadline(self) -> Instant | None:
        """The instant at which a turn is needed although nothing has come, or None."""
        return earliest(self._flood.deadline, self._look_again_at)

    def descriptors(self) -> list[LinkMonitor | LiveCapture]:
        """Return what to wait for.  Call this again before each wait."""
        return self.interface.descriptors()

    def discard_frames(self) -> None:
        """Discard what was captured during a slow start.

        Those frames may fill the buffer, so that later adverts of a live master were
        dropped.
        """
        for _ in range(READS_PER_TURN_MAX):
            if not self.interface.read():
                break

    def begin_turn(self, now: Instant, wall: int) -> None:
        """Compare the clocks: see `CaptureClock`."""
        self._clock.begin_turn(now, wall)

    def read_frames(self) -> None:
        """Handle the frames that had arrived when the turn of the loop began.

        Frames that arrive during the turn are left for the next turn.  Otherwise a
        flood could keep the loop here, and our own adverts would be late.
        """
        for _ in range(READS_PER_TURN_MAX):
            frames = self.interface.read()
            useless = sum(not self._handle_frame(stamped) for stamped in frames)
            self._mind_flood(useless)
            if not frames:
                self._clock.buffer_is_empty()
                return
            if self._clock.is_of_next_turn(frames[-1][0]):
                return

    def _handle_frame(self, stamped: StampedFrame) -> bool:
        """Handle one frame; True if it is an accepted message."""
        stamp_ns, frame = stamped
        at = self._clock.instant(stamp_ns)
        if self._flood.sieve.narrow and self._forgeries.is_forged(frame):
            return False
        datagram = decode(frame, self.interface.link_type)
        if datagram is Defect.FOREIGN:
            self._heed_rival(frame, at)
            return False
        outcome = self._node.receive(self._name, datagram, at)
        if outcome is None:
            return False
        if isinstance(outcome, Rejection):
            driver = self.drivers.get(outcome.vhid or 0)
            journal = self._journal if driver is None else driver.journal
            journal.log_rejection(outcome, at)
            if self._node.is_namesake(self._name, outcome):
                self._journal.log_namesake(outcome, at)
            return False
        if not outcome.refused:
            self._note_sender(outcome)
        self.drivers[outcome.vhid].perform_accepted(outcome)
        return not outcome.refused

    def _heed_rival(self, frame: bytes, at: Instant) -> None:
        """Tell each group of which another host claims an address in `frame`."""
        claim = decode_claim(frame, self.interface.link_type)
        for driver in self.drivers.values():
            rival = rival_of(claim, driver.config, self.interface.mac)
            if rival is not None:
                driver.handle(rival, at)

    def _note_sender(self, step: Step) -> None:
        """Let further frames of the sender of a message pass in a flood."""
        match step.event:
            case AdvertReceived(source=source):
                self._flood.note_advert(source, step.at)
            case SolicitationReceived(source=source):
                self._flood.note_sender(source, step.at)

    def _mind_flood(self, useless: int) -> None:
        """Count `useless` frames; narrow or widen the capture filter accordingly."""
        now = now_ns()
        # It matters in a flood only.
        waiting = self._flood.deadline is not None and any(
            driver.state is State.BACKUP for driver in self.drivers.values()
        )
        news = self._flood.count(useless, now, waiting=waiting)
        self.interface.sift(self._flood.sieve)
        if news is not None:
            self._journal.flood(news, now)

    def read_link(self, now: Instant, *, has_news: bool) -> None:
        """Ask the kernel for the state of the interface, if there is a reason to."""
        is_due = self._look_again_at is not None and now >= self._look_again_at
        if not has_news and not is_due:
            return
        refreshed = self.interface.refresh()
        self._look_again_at = now + LOOK_AGAIN_NS if refreshed.needs_retry else None
        for driver in self.drivers.values():
            driver.heed_link(refreshed, now)

    def watch(self) -> None:
        """Watch the interfaces with virtual MACs that our groups have now."""
        own = {driver.vips.own_index for driver in self.drivers.values()} - {0}
        try:
            self.interface.monitor.hear_also(*sorted(own))
        except LinkError as error:
            self._log.warning(str(error))
        self._look_again_at = now_ns()  # One may be gone already.

    def doubt_silence(self, woke_by: Instant | None) -> None:
        """Tell the groups if frames were lost while this process was stopped.

        `woke_by` is the instant at which the loop wanted to wake up.
        """
        # The clock is read again, since this turn itself may have been stopped.  It is
        # compared with the deadline from before the turn: frames read in the turn may
        # have moved that deadline, but not far enough to hear the next advert.
        now, dropped = now_ns(), self.interface.dropped
        event = stall_news(dropped - self._dropped, woke_by, now)
        self._dropped = dropped
        if event is not None:
            self._journal.frames_lost(now)
            for driver in self.drivers.values():
                driver.handle(event, now)
