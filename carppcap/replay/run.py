"""The replay of one capture to one virtual host.

    file ──> decode ──> node ──> actions ──> report, file

The stamps of the frames are the clock: the first frame is instant 0, and between two
frames time passes from deadline to deadline.  A frame at instant t is handled before a
deadline at t and after every earlier one.  No script is run and no frame is sent; all
actions succeed at once.
"""

from collections.abc import Iterable
from itertools import cycle
from typing import Protocol

from carppcap.addresses import Address
from carppcap.election import events
from carppcap.election.config import VirtualHostConfig
from carppcap.errors import LinkError
from carppcap.node.counter import CounterSequence
from carppcap.node.egress import Egress, Sending
from carppcap.node.groups import Node, Step
from carppcap.node.ingress import Rejection
from carppcap.node.performer import Performer
from carppcap.node.timeline import is_quiet
from carppcap.replay.report import Report
from carppcap.replay.statistics import Statistics
from carppcap.replay.vlans import VlanFilter
from carppcap.system.capture import StampedFrame
from carppcap.system.inject import Injector
from carppcap.units import Instant, format_seconds
from carppcap.wire.decode import (
    UNTAGGED,
    Datagram,
    Defect,
    LinkType,
    Vlan,
    decode,
    decode_announcement,
)

TICKS_PER_GAP_MAX = 1_000_000
"""Our adverts between two frames; if there were more, a stamp must be wrong."""


class FrameSource(Protocol):
    """Where frames come from."""

    link_type: LinkType

    def read(self) -> list[StampedFrame]:
        """Return the next frames, oldest first; empty at the end."""


class Replay:
    """Replays a capture to one virtual host.

    `injector` takes the frames that the host would have sent, with stamps on the clock
    of the capture.  Frames of other VLANs than `vlan` make time pass, no more.
    `verbose` reports quiet steps, too.
    """

    def __init__(
        self,
        config: VirtualHostConfig,
        capture: FrameSource,
        report: Report,
        injector: Injector | None = None,
        *,
        vlan: Vlan = UNTAGGED,
        verbose: bool = False,
    ) -> None:
        self.statistics = Statistics()
        self.vlans = VlanFilter(vlan)
        self._config = config
        self._capture = capture
        self._report = report
        self._injector = injector
        self._verbose = verbose
        # Our own clock is not set, so that no advert is older than our start: a sender
        # that lags behind could not be told so here.
        self._node = Node([config], lambda: CounterSequence(0, 0, lambda: 0))
        self._group = self._node.group(config.interface, config.vhid)
        self._performer = Performer(self._group, self)
        source = config.source or config.source6
        assert source is not None  # `command` has chosen one
        self._egress = Egress(
            config,
            invented_mac(source),
            draw_ip_id=cycle(range(1, 1 << 16)).__next__,
            mac_of=invented_mac,
        )
        self._now: Instant = 0
        self._first_ns = 0

    def run(self) -> LinkError | None:
        """Replay the capture; return the error that ended it early, or None."""
        broken_off = None
        self._performer.handle(events.Start(), self._now)
        try:
            while frames := self._capture.read():
                if self.statistics.frames == 0:
                    self._first_ns = frames[0][0]
                self.statistics.frames += len(frames)
                for stamp_ns, frame in frames:
                    self._receive(stamp_ns, frame)
        except LinkError as error:
            broken_off = error
        self._pass_time(self._now + 1)
        self._report.write_summary(self._now, self._group, self.statistics)
        return broken_off

    def _pass_time(self, until: Instant) -> None:
        """Meet every deadline before `until`.  Raises `LinkError` for an absurd gap."""
        gap_ns = until - self._now
        if gap_ns > TICKS_PER_GAP_MAX * self._group.interval_ns:
            raise LinkError(
                "No frame for {gap} s, {last} s after the first: too long a gap",
                gap=format_seconds(gap_ns),
                last=format_seconds(self._now),
            )
        while (deadline := self._group.deadline) is not None and deadline < until:
            self._now = deadline
            for step in self._node.tick(deadline):
                self._performer.perform(step)

    def _receive(self, stamp_ns: int, frame: bytes) -> None:
        at = stamp_ns - self._first_ns
        if at > self._now:  # a stamp that runs backwards stops time, no more
            self._pass_time(at)
            self._now = at
        link_type = self._capture.link_type
        untagged = self.vlans.take(frame, link_type)
        if untagged is None:
            return
        datagram = decode(untagged, link_type)
        if datagram is Defect.FOREIGN:
            announcement = decode_announcement(untagged, link_type)
            if announcement is not None:
                self.statistics.note_announcement(announcement)
            return
        outcome = self._node.receive(self._config.interface, datagram, self._now)
        if isinstance(outcome, Rejection):
            self.statistics.count_rejection(outcome)
            self._report.write_rejection(outcome, self._now)
        elif outcome is not None:
            if isinstance(outcome.event, events.AdvertReceived) and not outcome.refused:
                assert isinstance(datagram, Datagram)
                self.statistics.count_advert(outcome.vhid, outcome.event, datagram)
            self._performer.perform(outcome)

    # What the performer asks for (`performer.Driver`).

    def transmit(self, action: Sending, at: Instant) -> bool:
        """Write the frames of `action` if there is an injector; return True."""
        if self._injector is not None:
            for frame in self._egress.frames(action):
                self._injector.send(frame, self._first_ns + at)
        return True

    def record(self, step: Step) -> None:
        """Count a step, and report it unless it is quiet."""
        # Even a verbose report does not say that an advert could be sent.
        is_told = self._verbose and step.event != events.SendSucceeded()
        if is_told or not is_quiet(step):
            self._report.write_step(step)
        self.statistics.count_step(step)

    def acquire(self, step: Step) -> Iterable[events.Event]:
        """Return that the addresses were acquired."""
        return (events.AddressesAcquired(ok=True),)

    def release(self, step: Step) -> Iterable[events.Event]:
        """Return that the addresses were released."""
        return (events.AddressesReleased(ok=True),)


def invented_mac(address: Address) -> bytes:
    """Return 02:00 and the last four bytes of `address`: a locally administered MAC.

    A capture does not tell which MAC a host would have sent from, or has.
    """
    return b"\x02\x00" + address.packed[-4:]
