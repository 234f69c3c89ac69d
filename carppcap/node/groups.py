"""All virtual hosts of this machine: who is meant, and who is due next.

A `Step` is all there is to know about one turn of a virtual host.  Timeline, log,
replay and simulation are folds over steps and rejections; the core calls none of
them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from carppcap.election.actions import Action, SendHint, State
from carppcap.election.config import GuardMode, VirtualHostConfig
from carppcap.election.events import Event, ReplayRefused, SequenceContested, Tick
from carppcap.election.fsm import VirtualHost
from carppcap.node.counter import Sequence
from carppcap.node.ingress import Accepted, Hinted, Ingress, Rejection, RejectReason
from carppcap.node.replay_guard import REFUSED, Finding, Guard
from carppcap.units import Instant
from carppcap.wire.decode import Datagram, Defect
from carppcap.wire.header import decode


@dataclass(frozen=True, slots=True)
class Remark:
    """What the replay guard has to say of an advert that was obeyed.

    `hint` is to be sent.
    """

    finding: Finding
    datagram: Datagram
    hint: SendHint | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did to one virtual host.

    `interface` and `vhid` name the host; `state` and `deadline` are those after the
    event, and `actions` must be performed in their order.  `remark` is for the log.
    """

    at: Instant
    interface: str
    vhid: int
    event: Event
    actions: tuple[Action, ...]
    state: State
    deadline: Instant | None
    remark: Remark | None = None


class Node:
    """The virtual hosts of one machine, by interface and vhid.

    Instants must not decrease.  `number` makes the counters of one host, which begin
    with the clock of this moment.
    """

    def __init__(
        self, configs: Iterable[VirtualHostConfig], number: Callable[[], Sequence]
    ) -> None:
        self._hosts: dict[tuple[str, int], VirtualHost] = {}
        self._sequences: dict[tuple[str, int], Sequence] = {}
        self._guards: dict[tuple[str, int], Guard] = {}
        by_interface: dict[str, list[VirtualHostConfig]] = {}
        for config in configs:
            key = (config.interface, config.vhid)
            assert key not in self._hosts  # the shell has refused that already
            self._sequences[key] = sequence = number()
            # What cannot be authenticated is no replay: anyone can make it.
            if config.replay_guard is not GuardMode.OFF and config.key is not None:
                self._guards[key] = Guard(sequence.start)
            draw = _draw(sequence, self._guards.get(key))
            self._hosts[key] = VirtualHost(config, draw)
            by_interface.setdefault(config.interface, []).append(config)
        self._ingress = {name: Ingress(group) for name, group in by_interface.items()}

    @property
    def deadline(self) -> Instant | None:
        """The earliest instant at which `tick` has something to do."""
        earliest: Instant | None = None
        for host in self._hosts.values():
            due = host.deadline
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    def host(self, interface: str, vhid: int) -> VirtualHost:
        """One virtual host, for those who need no `Step`."""
        return self._hosts[interface, vhid]

    def guard(self, interface: str, vhid: int) -> Guard | None:
        """Its replay guard, for those who need no `Step`; None: it has none."""
        return self._guards.get((interface, vhid))

    def state(self, interface: str, vhid: int) -> State:
        """Where one virtual host stands."""
        return self._hosts[interface, vhid].state

    def handle(self, interface: str, vhid: int, event: Event, now: Instant) -> Step:
        """Pass `event` to one virtual host."""
        host = self._hosts[interface, vhid]
        actions = tuple(host.handle(event, now))
        return Step(now, interface, vhid, event, actions, host.state, host.deadline)

    def receive(
        self, interface: str, datagram: Datagram | Defect, now: Instant
    ) -> Step | Rejection | None:
        """Pass a decoded frame to whom it concerns; None: not our protocol."""
        verdict = self._ingress[interface].judge(datagram)
        if verdict is None or isinstance(verdict, Rejection):
            return verdict
        key = interface, verdict.vhid
        if isinstance(verdict, Hinted):
            # Whatever it says, it moves nobody: the next number is a higher one.
            if self._sequences[key].raise_to(verdict.counter, now):
                return self.handle(*key, SequenceContested(), now)
            return None
        assert isinstance(datagram, Datagram)
        self._sequences[key].avoid(verdict.event.counter)
        if self._hosts[key].is_own(verdict.event.counter):
            return Rejection(RejectReason.OWN, datagram)
        if key not in self._guards:
            return self.handle(*key, verdict.event, now)
        return self._receive_guarded(interface, verdict, datagram, now)

    def _receive_guarded(
        self, interface: str, accepted: Accepted, datagram: Datagram, now: Instant
    ) -> Step | Rejection:
        key = interface, accepted.vhid
        host, guard, event = self._hosts[key], self._guards[key], accepted.event
        finding = guard.judge(event, now)
        if finding is Finding.FRESH:
            return self.handle(*key, event, now)
        hint = None
        if finding is Finding.STALE:
            counter = guard.hint(event.counter, event.source, now)
            hint = None if counter is None else SendHint(counter, event.source)
        if finding not in REFUSED or host.config.replay_guard is GuardMode.DETECT:
            remark = Remark(finding, datagram, hint)
            return replace(self.handle(*key, event, now), remark=remark)
        if guard.is_worth_a_question(event.counter):
            actions = host.handle(ReplayRefused(event.interval_ns), now)
            assert not actions  # it is remembered for the end of the silence
        advert = decode(datagram.payload)
        reason = RejectReason(finding.value)
        return Rejection(reason, datagram, advert, hint=hint)

    def tick(self, now: Instant) -> list[Step]:
        """Pass `Tick` to every virtual host that is due at `now`."""
        return [
            self.handle(interface, vhid, Tick(), now)
            for (interface, vhid), host in self._hosts.items()
            if host.deadline is not None and host.deadline <= now
        ]


def _draw(sequence: Sequence, guard: Guard | None) -> Callable[[Instant], int]:
    if guard is None:
        return sequence.draw
    sent = guard.sent

    def draw(now: Instant) -> int:
        counter = sequence.draw(now)
        sent(counter)
        return counter

    return draw
