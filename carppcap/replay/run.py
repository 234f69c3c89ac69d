"""The replay of one capture to one virtual host.

    file ──> decode ──> node ──> actions ──> report, file

The time stamps of the frames drive the clock: the first frame is at instant 0.  Between
two frames, the clock goes from one deadline of the virtual host to the next.  A frame
at instant t is handled before a deadline at t and after every earlier deadline.

No script is run and no frame is sent.  Every action counts as successful at once.
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
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.node.performer import Performer
from carppcap.node.rivals import rival_of
from carppcap.node.timeline import is_quiet
from carppcap.replay.report import Report
from carppcap.replay.statistics import Statistics
from carppcap.replay.vlans import VlanFilter
from carppcap.system.capture import StampedFrame
from carppcap.system.inject import Injector
from carppcap.units import Instant, format_seconds
from carppcap.wire.decode import (
    UNTAGGED,
    Claim,
    Datagram,
    Defect,
    LinkType,
    Vlan,
    decode,
    decode_claim,
)

TICKS_PER_GAP_MAX = 1_000_000
"""The longest gap between two frames, in advert intervals.

A longer gap means that a time stamp is wrong."""


class FrameSource(Protocol):
    """A source of frames with time stamps, such as a capture file."""

    link_type: LinkType

    def read(self) -> list[StampedFrame]:
        """Return the next frames, the oldest first, or an empty list at the end."""


class Replay:
    """Replays a capture to one virtual host.

    `injector`, if there is one, is given the frames that the host would have sent.
    Their time stamps are by the clock of the capture.  Only frames of the VLAN `vlan`
    are replayed; all other frames only advance the clock.  With `verbose`, steps
    without any visible effect are reported, too (see `is_quiet`).
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
        # With our wall clock at 0, no advert can look older than our start.  The guard
        # would refuse such an advert and tell its sender, which a replay cannot do.
        self._node = Node([config], lambda: CounterSequence(0, 0, lambda: 0))
        self._group = self._node.group(config.interface, config.vhid)
        self._performer = Performer(self._group, self)
        source = config.source or config.source6
        assert source is not None  # `command` has chosen one
        # The MAC of the host that we play, once the capture tells it.
        self._nic_mac = b""
        self._egress = Egress(
            config,
            invented_mac(source),
            draw_ip_id=cycle(range(1, 1 << 16)).__next__,
            mac_of=invented_mac,
        )
        self._now: Instant = 0
        self._first_ns = 0

    def run(self) -> LinkError | None:
        """Replay the capture.

        Return the error that ended the replay early, or None.
        """
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
        """Let the virtual host act at every deadline before `until`.

        Raises `LinkError` if `until` is more than `TICKS_PER_GAP_MAX` advert intervals
        away.
        """
        gap_ns = until - self._now
        if gap_ns > TICKS_PER_GAP_MAX * self._group.interval_ns:
            raise LinkError(
                "No frame for {gap} s, {last} s after the first: too long a gap",
                gap=format_seconds(gap_ns),
                last=format_seconds(self._now),
            )
        while (deadline := self._group.deadline) is not None and deadline < until:
            self._now = max(self._now, deadline)
            for step in self._node.tick(self._now):
                self._performer.perform(step)

    def _receive(self, stamp_ns: int, frame: bytes) -> None:
        at = stamp_ns - self._first_ns
        if at > self._now:  # an earlier time stamp counts as the current instant
            self._pass_time(at)
            self._now = at
        link_type = self._capture.link_type
        untagged = self.vlans.take(frame, link_type)
        if untagged is None:
            return
        datagram = decode(untagged, link_type)
        if datagram is Defect.FOREIGN:
            claim = decode_claim(untagged, link_type)
            if claim is not None:
                self._heed_claim(claim)
            return
        outcome = self._node.receive(self._config.interface, datagram, self._now)
        if isinstance(outcome, Rejection):
            self.statistics.count_rejection(outcome)
            self._report.write_rejection(outcome, self._now)
        elif outcome is not None:
            if isinstance(outcome.event, events.AdvertReceived) and not outcome.refused:
                assert isinstance(datagram, Datagram)
                self.statistics.count_advert(outcome.vhid, outcome.event, datagram)
            self._egress.heed(outcome)
            self._performer.perform(outcome)

    def _heed_claim(self, claim: Claim) -> None:
        """Count an announcement; tell the virtual host of another host's claim."""
        if claim.to_all:
            self.statistics.note_announcement(claim.announcement)
        if claim.announcement.address in (self._config.source, self._config.source6):
            self._nic_mac = claim.announcement.mac
        if not self._nic_mac and self.statistics.rejected[RejectReason.OWN]:
            return  # It was captured on the host itself, and may be ours.
        rival = rival_of(claim, self._config, self._nic_mac)
        if rival is not None:
            self._performer.handle(rival, self._now)

    # The methods that the performer calls (`performer.Driver`).

    def transmit(self, action: Sending, at: Instant) -> bool:
        """Pass the frames of `action` to the injector, if there is one; return True."""
        if self._injector is not None:
            for frame in self._egress.frames(action, at):
                self._injector.send(frame, self._first_ns + at)
        return True

    def record(self, step: Step) -> None:
        """Count a step, and report it unless it is quiet (see `is_quiet`)."""
        # Even a verbose report does not tell for each advert that it could be sent.
        is_told = self._verbose and step.event != events.SendSucceeded()
        if is_told or not is_quiet(step):
            self._report.write_step(step)
        self.statistics.count_step(step)

    def acquire(self, step: Step) -> Iterable[events.Event]:
        """Return the event that reports the addresses as acquired."""
        return (events.AddressesAcquired(ok=True),)

    def release(self, step: Step) -> Iterable[events.Event]:
        """Return the event that reports the addresses as released."""
        return (events.AddressesReleased(ok=True),)


def invented_mac(address: Address) -> bytes:
    """Return a made-up MAC for the host with `address`.

    It is locally administered: 02:00 and the last four bytes of `address`.  A capture
    does not tell the MAC of a host that sent nothing.
    """
    return b"\x02\x00" + address.packed[-4:]
