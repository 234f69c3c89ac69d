"""One group of the daemon: its state, its frames, its addresses and its log.

The driver carries out what the group asks for (`node.performer.Driver`).  It waits for
nothing: the loop passes it frames, news of the interface, signals and instants.
"""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from carppcap.daemon.group_link import GroupLink
from carppcap.daemon.interface import Refreshed
from carppcap.daemon.vips import Vips
from carppcap.election.actions import AnnounceAddresses, SendAdvert, State
from carppcap.election.events import (
    STEP_DOWN_PAUSE_NS,
    AddressesLost,
    Event,
    FormChanged,
    LinkDown,
    Start,
    StepDown,
    Stop,
)
from carppcap.log.journal import Journal
from carppcap.node.egress import Egress, Sending
from carppcap.node.groups import Node, Step
from carppcap.node.performer import Performer
from carppcap.options.settings import Settings
from carppcap.system import supervision
from carppcap.system.capture import SendError
from carppcap.system.link import Held
from carppcap.system.syslog import Log
from carppcap.units import Instant

if TYPE_CHECKING:  # Only with --own-addresses.
    from carppcap.system.keeper_messages import Report
    from carppcap.system.keeper_process import KeeperProcess


class Tools(NamedTuple):
    """What the loop lends to the driver of a group.

    `origin` is the instant from which times in the log count.  `watch` is called after
    our own interface (`--vmac`) was made.  `tend_soon` makes the loop call `tend` at
    the end of its turn, and in each turn until nothing is left to do.  If `keeper` is
    given, it sets the addresses as its `charge`.
    """

    origin: Instant
    watch: Callable[[], None]
    tend_soon: "Callable[[GroupDriver], None]"
    keeper: "KeeperProcess | None" = None
    charge: int = 0


class GroupDriver:
    """Drives the group of `link` in `node`.

    Raises `ConfigError` or `LinkError` if our own interface (`--vmac`) cannot be made.
    """

    def __init__(
        self, settings: Settings, node: Node, link: GroupLink, log: Log, tools: Tools
    ) -> None:
        self._settings = settings
        self._link = link
        self._interface = interface = link.interface
        self._node = node
        self._tools = tools
        self._group = node.group(link.config.interface, link.config.vhid)
        self.config = config = self._group.config
        self._egress = Egress(config, interface.mac, draw(2), interface.next_hop_mac)
        self._follow_source()
        self.journal = Journal(log, self.config, tools.origin)
        self.vips = self._open_vips(log)
        self._performer = Performer(self._group, self)
        self._advert_left = False
        self._stopping = False

    def _open_vips(self, log: Log) -> Vips:
        settings, config, journal = self._settings, self.config, self.journal
        keeper = self._tools.keeper
        if keeper is None:
            log.info(
                "Without --own-addresses a daemon that is killed or hangs leaves its "
                "address on this host, while a peer takes it over"
            )
            return Vips(settings, config, journal, self._held_addresses)
        from carppcap.daemon.own_vips import OwnVips  # noqa: PLC0415 - not for ucarp's way

        return OwnVips(settings, config, journal, keeper, self._tools.charge)

    def _follow_source(self) -> None:
        """Send from the source that the link has chosen, if that is another one."""
        if self._link.config is not self.config:
            self.config = self._link.config
            self._egress.readdress(self.config)
            self._node.readdress(self.config)

    def _held_addresses(self) -> Held | None:
        try:
            return self._link.held()
        except OSError:
            return None

    @property
    def state(self) -> State:
        """The state of the group."""
        return self._group.state

    @property
    def stops_gently(self) -> bool:
        """True if the addresses are released before the process ends (`--shutdown`)."""
        return self._settings.shutdown

    @property
    def has_stopped(self) -> bool:
        """True if the group was told to stop and nothing is left to do for it."""
        return self._stopping and self.state is State.INIT and self.vips.idle

    def start(self, now: Instant) -> None:
        """Enter the election as a BACKUP."""
        self._tools.tend_soon(self)
        self._performer.handle(Start(), now)
        if not self._link.usable:
            self._performer.handle(LinkDown(), now)

    def handle(self, event: Event, now: Instant) -> None:
        """Pass `event` to the group and carry out what it asks for."""
        self._performer.handle(event, now)

    def perform(self, step: Step) -> None:
        """Carry out a step of the group."""
        self._performer.perform(step)

    def perform_accepted(self, step: Step) -> None:
        """Carry out the step of a message that was accepted."""
        has_other_form = self._egress.heed(step)
        self._performer.perform(step)
        if has_other_form:
            self._performer.handle(FormChanged(), step.at)

    def heed_link(self, refreshed: Refreshed, now: Instant) -> None:
        """Pass on what a refresh of the interface means to the group."""
        events = self._link.news(refreshed)
        self._egress.nic_mac = self._interface.mac
        self._follow_source()
        self.vips.rename(self._interface.name)
        for event in events:
            # A keeper says itself what was lost, and knows what it has removed.
            is_told_later = self._settings.own_addresses or self.vips.is_telling
            if not is_told_later or event != AddressesLost():
                self._performer.handle(event, now)
        if self.vips.is_lost and AddressesLost() not in events:
            self._performer.handle(AddressesLost(), now)

    @property
    def is_busy(self) -> bool:
        """True if `tend` has to be called in every turn, and at `deadline`."""
        return not self.vips.idle or self.deadline is not None

    @property
    def deadline(self) -> Instant | None:
        """The instant at which to call `tend` even if nothing has come, or None."""
        return self.vips.deadline

    def take_report(self, report: "Report") -> None:
        """Take what the keeper reports; `tend` heeds it."""
        self.vips.take_report(report)
        self._tools.tend_soon(self)

    def tend(self, now: Instant) -> None:
        """Tend scripts and addresses; pass on the events that follow."""
        # An event may request a job that ends at once, because it has no script.
        while news := self.vips.tend(now):
            for event in news:
                self._performer.handle(event, now)

    def step_down(self, now: Instant) -> None:
        """Hand over, if this host is master, and pause."""
        self._performer.handle(StepDown(STEP_DOWN_PAUSE_NS), now)

    def stop(self, now: Instant) -> None:
        """Begin to stop: run the down script.  At a second call hurry."""
        self._tools.tend_soon(self)
        if self._stopping:
            self.vips.hurry(now)
            return
        self._stopping = True
        self._performer.handle(Stop(), now)
        self.journal.waiting_for(self.vips.scripts.command)

    # What the performer asks for (`performer.Driver`).

    def transmit(self, action: Sending, at: Instant) -> bool | None:
        """Send the frames of `action`; return whether all of them were sent.

        Return None if there were no frames to send.
        """
        if isinstance(action, AnnounceAddresses):
            self._egress.is_router = self._interface.forwards_ipv6
        is_advert = isinstance(action, SendAdvert)
        frames = self._egress.frames(action, at)
        for peer, why in self._interface.unreachable.items():
            if peer in self.config.peers:
                self.journal.unreachable(peer, why, at)
        try:
            for frame in frames:
                self._interface.send(frame)
                self._advert_left |= is_advert
        except SendError as error:
            self.journal.send_failure(error, at)
            return False
        # Also if there was nothing to send: a peer that is switched off has no MAC.
        self._advert_left |= is_advert
        return True if frames else None

    def record(self, step: Step) -> None:
        """Log a step, and tell a service manager of a change of state."""
        left, self._advert_left = self._advert_left, False
        self.vips.note(step, (lambda: self._last_will(step.at)) if left else None)
        if step.change is not None or not self.vips.idle:
            self._tools.tend_soon(self)
        self.journal.log_step(step)
        if (change := step.change) is not None:
            group = f"{step.interface} id {step.vhid}"
            supervision.tell_state(group, change.new.value, change.cause.value)

    def _last_will(self, at: Instant) -> list[bytes]:
        """Return the frames of a farewell that is sent if this process is killed."""
        if self._settings.no_farewell:
            return []
        farewell = self._group.last_will(at)
        return [frame for each in farewell for frame in self._egress.frames(each, at)]

    def acquire(self, step: Step) -> Iterable[Event]:
        """Start to take the addresses; return the events that result immediately."""
        self._tools.tend_soon(self)
        news = self.vips.acquire(step)
        if self.vips.own_index:
            self._tools.watch()
        return news

    def release(self, step: Step) -> Iterable[Event]:
        """Start to release the addresses.  Return no events; these come later."""
        self._tools.tend_soon(self)
        self.vips.release(step)
        return ()


def draw(length: int) -> Callable[[], int]:
    """Return a function that returns a random number of `length` bytes."""
    return lambda: int.from_bytes(os.urandom(length), "big")
