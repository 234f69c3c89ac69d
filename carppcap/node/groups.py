"""The groups of this machine: events go in, actions come out.

A `Group` is a virtual host with its counters and its replay guard.  Everything that
happens to it is passed to `Group.handle` as an event.  Everything that it asks for is
an action of the `Step` that `handle` returns.  So a run can be repeated with the same
result from the events, their instants and the start values of the counters.

A `Step` records one event and all its effects.  Timeline, log, replay and simulation
show steps and rejections.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from carppcap.election.actions import (
    Action,
    SendAdvert,
    SendHint,
    State,
    StateChanged,
)
from carppcap.election.config import GuardMode, VirtualHostConfig
from carppcap.election.events import (
    AdvertReceived,
    Event,
    LinkUp,
    ReplayRefused,
    SequenceContested,
    Solicited,
    Tick,
    TwinReceived,
)
from carppcap.election.fsm import VirtualHost
from carppcap.node.bounded_table import BoundedTable
from carppcap.node.counter import CounterSequence
from carppcap.node.findings import REFUSED, Finding
from carppcap.node.ingress import (
    HintReceived,
    Ingress,
    Refusal,
    Rejection,
    RejectReason,
    SolicitationReceived,
)
from carppcap.node.replay_guard import Guard
from carppcap.units import Instant, Interval, earliest
from carppcap.wire.decode import Datagram, Defect
from carppcap.wire.header import BOW_OUT

HEARD_MAX = 256
"""The number of adverts remembered to recognise their copies."""

PARTS_MAX = 64
"""The adverts of many groups are spread over so many parts of the interval.

Each part costs the loop a turn, and the adverts of 1000 groups that are sent in the
same part take less time than a step of skew."""

GroupEvent = Event | HintReceived | SolicitationReceived
"""What can happen to a group."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did to one group.

    `interface` and `vhid` name the group.  `state` and `deadline` are those after the
    event.  The `actions` must be carried out in their order.  `finding` is what the
    replay guard found about an advert; it is None for a fresh advert and for all other
    events.  `refused` is True if the event was not passed to the virtual host.  That
    happens to an advert of our own, to an advert that the replay guard refuses, to a
    hint that our next counter exceeds already, and to a solicitation that is not new.
    """

    at: Instant
    interface: str
    vhid: int
    event: GroupEvent
    actions: tuple[Action, ...]
    state: State
    deadline: Instant | None
    finding: Finding | None = None
    refused: bool = False

    @property
    def change(self) -> StateChanged | None:
        """The change of state, or None if the state stayed.  A step has at most one."""
        return next((a for a in self.actions if isinstance(a, StateChanged)), None)

    @property
    def refusal(self) -> Refusal | None:
        """Why the advert of this step was refused, or None if no advert was refused."""
        advert = self.event
        if not self.refused or not isinstance(advert, AdvertReceived):
            return None
        if self.finding is None:
            return Refusal(RejectReason.OWN, advert.source, None)
        return Refusal(RejectReason(self.finding.value), advert.source, self.vhid)


class Group:
    """One virtual host, its counters and its replay guard.

    Instants must not decrease.
    """

    def __init__(self, config: VirtualHostConfig, counter: CounterSequence) -> None:
        self.config = config
        self._counter = counter
        self._guard: Guard | None = None
        # Without a key anyone can forge an advert, so a guard would be of no use.
        if config.key is not None:
            self._guard = Guard(counter.start)
        self._host = VirtualHost(config, self._draw)
        self._heard: BoundedTable[int, AdvertReceived] = BoundedTable(HEARD_MAX)
        self.deadline: Instant | None = None
        """The instant at which `handle` needs a `Tick`, or None for never."""

    @property
    def state(self) -> State:
        """The state of the virtual host."""
        return self._host.state

    @property
    def interval_ns(self) -> Interval:
        """The time between two of our adverts."""
        return self._host.interval_ns

    def readdress(self, config: VirtualHostConfig) -> None:
        """From now on, send from the source addresses in `config`.

        In everything else `config` must equal the present one.
        """
        self.config = config
        self._host.config = config

    def spread(self, part: int, parts: int) -> None:
        """Advertise in part `part` of `parts` of our interval, see `Advertiser`."""
        self._host.advertiser.place = part, parts

    def has_sent(self, counter: int) -> bool:
        """True if one of our own recent adverts had this counter."""
        return self._host.advertiser.is_own(counter)

    def handle(self, event: GroupEvent, now: Instant) -> Step:
        """Pass `event` to the virtual host; return the step, which says what it did.

        An advert must be authentic.  It is not passed if it is our own or if the replay
        guard refuses it.  A hint is a peer's message that our counters look old.  It is
        passed, as `SequenceContested`, only if our next counter has to be raised.  A
        solicitation is passed, as `Solicited`, only once, whatever the guard's mode is.
        """
        if isinstance(event, AdvertReceived):
            step = self._handle_advert(event, now)
            if not step.refused:
                self._heard.put(event.counter, event)
            return step
        if isinstance(event, SolicitationReceived):
            return self._handle_solicitation(event, now)
        if isinstance(event, LinkUp) and self._guard is not None:
            self._guard.note_deaf_until(self._counter.clock(now))
        if not isinstance(event, HintReceived):
            return self._step(event, now, self._host.handle(event, now))
        if not self._counter.is_behind(event.counter, now):
            return self._step(event, now, [], refused=True)
        self._counter.raise_beyond(event.counter, now)
        actions = self._host.handle(SequenceContested(), now)
        return self._step(event, now, actions)

    def last_will(self, now: Instant) -> list[SendAdvert]:
        """Return a farewell that another process sends if this one ends unawares.

        Nothing has to come of it: the counters are not used up.
        """
        return [
            SendAdvert(
                BOW_OUT,
                BOW_OUT,
                self._counter.peek(now, ahead),
                self._host.advertiser.demotion,
                family,
            )
            for ahead, family in enumerate(self.config.families)
        ]

    def is_copy(self, event: GroupEvent) -> bool:
        """True if `event` is an advert that was heard already, in another way.

        A master sends some of its adverts both to the group and to our own address (see
        `egress`).  The second one to arrive tells nothing.
        """
        if not isinstance(event, AdvertReceived):
            return False
        heard = self._heard.get(event.counter)
        return heard is not None and heard == replace(event, to_us=not event.to_us)

    def _handle_solicitation(
        self, solicitation: SolicitationReceived, now: Instant
    ) -> Step:
        guard, counter, source = self._guard, solicitation.counter, solicitation.source
        assert guard is not None  # or its digest could not have been checked
        self._counter.avoid(counter)
        finding = guard.examine_solicitation(counter)
        if finding is Finding.FRESH:
            actions = self._host.handle(Solicited(), now)
            return self._step(solicitation, now, actions)
        # A peer whose clock went back will solicit again, with a later counter.
        hint = None
        if finding is Finding.STALE:
            hint = guard.hint(counter, source, now)
        hints = [] if hint is None else [SendHint(hint, source)]
        return self._step(solicitation, now, hints, finding, refused=True)

    def _handle_advert(self, advert: AdvertReceived, now: Instant) -> Step:
        self._counter.avoid(advert.counter)
        if self._host.advertiser.is_own(advert.counter):
            return self._step(advert, now, [], refused=True)
        guard = self._guard
        if guard is None or self.config.replay_guard is GuardMode.OFF:
            return self._step(advert, now, self._host.handle(advert, now))
        verdict = guard.examine(advert, now)
        finding = verdict.finding
        if finding is Finding.FRESH:
            return self._step(advert, now, self._host.handle(advert, now))
        if finding is Finding.TWIN:
            actions = self._host.handle(TwinReceived(advert), now)
            return self._step(advert, now, actions)
        event: Event | None = advert
        refused = finding in REFUSED and self.config.replay_guard is GuardMode.ENFORCE
        if refused:
            event = ReplayRefused(advert.interval_ns) if verdict.probe else None
        actions = [] if event is None else self._host.handle(event, now)
        if finding is Finding.STALE:
            counter = guard.hint(advert.counter, advert.source, now)
            if counter is not None:
                actions = [*actions, SendHint(counter, advert.source)]
        return self._step(advert, now, actions, finding, refused=refused)

    def _step(
        self,
        event: GroupEvent,
        now: Instant,
        actions: Iterable[Action],
        finding: Finding | None = None,
        *,
        refused: bool = False,
    ) -> Step:
        self.deadline = self._host.deadline
        return Step(
            at=now,
            interface=self.config.interface,
            vhid=self.config.vhid,
            event=event,
            actions=tuple(actions),
            state=self._host.state,
            deadline=self.deadline,
            finding=finding,
            refused=refused,
        )

    def _draw(self, now: Instant) -> int:
        counter = self._counter.draw(now)
        if self._guard is not None:
            self._guard.note_sent(counter)
        return counter


class Node:
    """The groups of one machine, by interface and vhid.

    Instants must not decrease.  `new_counter` returns a counter sequence for one group,
    which begins at the present time.
    """

    def __init__(
        self,
        configs: Iterable[VirtualHostConfig],
        new_counter: Callable[[], CounterSequence],
    ) -> None:
        self._groups: dict[tuple[str, int], Group] = {}
        by_interface: dict[str, list[VirtualHostConfig]] = {}
        for config in configs:
            key = (config.interface, config.vhid)
            assert key not in self._groups  # the shell has refused that already
            self._groups[key] = Group(config, new_counter())
            by_interface.setdefault(config.interface, []).append(config)
        self._ingress = {name: Ingress(each) for name, each in by_interface.items()}
        parts = min(len(self._groups), PARTS_MAX)
        if parts > 1:  # A single group advertises as ucarp does.
            for number, group in enumerate(self._groups.values()):
                group.spread(number % parts, parts)

    @property
    def deadline(self) -> Instant | None:
        """The earliest instant at which `tick` has work to do, or None for never."""
        return earliest(*[group.deadline for group in self._groups.values()])

    def group(self, interface: str, vhid: int) -> Group:
        """Return the group with this `vhid` on this `interface`."""
        return self._groups[interface, vhid]

    def readdress(self, config: VirtualHostConfig) -> None:
        """Give a group the sources of `config`, which is otherwise the same."""
        self._groups[config.interface, config.vhid].readdress(config)
        self._ingress[config.interface].readdress(config)

    def receive(
        self, interface: str, datagram: Datagram | Defect, now: Instant
    ) -> Step | Rejection | None:
        """Pass a decoded frame to its group; return the step, or why it was rejected.

        Return None for a frame of another protocol or VLAN, for an advert to another
        host, and for the copy of an advert that was heard (see `Group.is_copy`).
        Without a key, also return None for any message that is no advert.
        """
        verdict = self._ingress[interface].check(datagram)
        if verdict is None or isinstance(verdict, Rejection):
            return verdict
        vhid, event = verdict
        group = self._groups[interface, vhid]
        return None if group.is_copy(event) else group.handle(event, now)

    def is_namesake(self, interface: str, rejection: Rejection) -> bool:
        """True for an authentic advert with our source address that we did not send.

        Either another host has our address, or an attacker sends an old advert of ours
        again.  Such an advert is only logged.  If it could make us give way, any
        attacker with an old advert of ours could do so.
        """
        datagram = rejection.datagram
        if rejection.reason is not RejectReason.OWN or datagram is None:
            return False
        verdict = self._ingress[interface].examine(datagram)
        if verdict is None or isinstance(verdict, Rejection):
            return False
        vhid, event = verdict
        return isinstance(event, AdvertReceived) and not self._groups[
            interface, vhid
        ].has_sent(event.counter)

    def tick(self, now: Instant) -> list[Step]:
        """Pass a `Tick` to groups whose deadline has arrived; return the steps.

        These are all masters, and one backup.  It takes a while to carry out the step
        of a backup that takes over, and the adverts of the others come first: call this
        again until `deadline` is later than `now`.
        """
        due = [
            group
            for group in self._groups.values()
            if group.deadline is not None and group.deadline <= now
        ]
        waiting = [group for group in due if group.state is State.BACKUP]
        first = min(waiting, key=lambda group: group.deadline or 0, default=None)
        return [
            group.handle(Tick(), now)
            for group in due
            if group is first or group.state is State.MASTER
        ]
