"""Who held the address when, and what that means to those who wanted it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from carppcap.election.actions import SendAdvert, StateChanged
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.model.happenings import Entry, Holding
from carppcap.simulation.scenario.parts import Member
from carppcap.units import Instant, Interval


@dataclass(frozen=True, slots=True)
class Tenure:
    """A host held the address from `since` to `until`."""

    name: str
    since: Instant
    until: Instant

    @property
    def length_ns(self) -> Interval:
        """For how long."""
        return self.until - self.since


@dataclass(frozen=True, slots=True)
class MemberReport:
    """What one host did; `rejected` counts frames by reason."""

    name: str
    kind: str
    held_ns: Interval
    adverts_sent: int
    transitions: int
    rejected: dict[str, int]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the address in one run.

    The count begins when it is held for the first time, `first_held_at` (None:
    never).  `nobody_ns` and `several_ns` are the times without a holder and with
    more than one.  `fail_overs_ns` has an item for each holder that was lost: the
    time until there was another, 0 if there was one already.  `nobody_at_end` tells
    of a last one that nobody replaced; it has no item.
    """

    seed: int
    duration_ns: Interval
    first_held_at: Instant | None
    nobody_ns: Interval
    several_ns: Interval
    fail_overs_ns: tuple[Interval, ...]
    nobody_at_end: bool
    members: tuple[MemberReport, ...]

    @property
    def counted_ns(self) -> Interval:
        """The time that is looked at."""
        return self.duration_ns - (self.first_held_at or 0)

    @property
    def availability(self) -> float:
        """In how much of that time somebody held the address, 0 to 1."""
        if self.first_held_at is None:
            return 0.0
        return 1.0 - self.nobody_ns / self.counted_ns

    @property
    def harm_ns(self) -> Interval:
        """How much of the run went wrong: by this runs are compared."""
        if self.first_held_at is None:
            return self.duration_ns
        return self.nobody_ns + self.several_ns

    @property
    def transitions(self) -> int:
        """Changes of state of all hosts."""
        return sum(member.transitions for member in self.members)

    @property
    def adverts_sent(self) -> int:
        """Adverts of all hosts, without those of attackers."""
        return sum(member.adverts_sent for member in self.members)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Many numbers in five."""

    count: int
    least: float
    median: float
    p99: float
    most: float


def distribution(values: Sequence[float]) -> Distribution | None:
    """That of `values`, by nearest rank; None of none."""
    if not values:
        return None
    ranked = sorted(values)

    def rank(share: float) -> float:
        return ranked[max(ceil(share * len(ranked)), 1) - 1]

    return Distribution(len(ranked), ranked[0], rank(0.5), rank(0.99), ranked[-1])


class Ledger:
    """Follows a run and writes its report (a `cluster.Observer`)."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.tenures: list[Tenure] = []
        self._members = members
        self._since: dict[str, Instant] = {}
        self._changed_at: Instant = 0
        self._first_held_at: Instant | None = None
        self._nobody_ns: Interval = 0
        self._several_ns: Interval = 0
        self._fail_overs_ns: list[Interval] = []
        self._lost_at: Instant | None = None
        self._adverts: Counter[str] = Counter()
        self._transitions: Counter[str] = Counter()
        self._rejected: dict[str, Counter[str]] = {m.name: Counter() for m in members}

    def note(self, entry: Entry) -> None:
        """Count what happened; the entries of a run come in their order."""
        match entry.what:
            case Step(actions=actions, refusal=refusal):
                if refusal is not None:
                    self._rejected[entry.name][refusal.reason.value] += 1
                for action in actions:
                    if isinstance(action, SendAdvert):
                        self._adverts[entry.name] += 1
                    elif isinstance(action, StateChanged):
                        self._transitions[entry.name] += 1
            case Rejection(reason):
                self._rejected[entry.name][reason.value] += 1
            case Holding(holds):
                self._note_holding(entry.name, holds, entry.at)

    def _note_holding(self, name: str, holds: bool, at: Instant) -> None:
        self._pass_time(at)
        if holds:
            self._since[name] = at
            if self._first_held_at is None:
                self._first_held_at = at
            if self._lost_at is not None:
                self._fail_overs_ns.append(at - self._lost_at)
                self._lost_at = None
            return
        self.tenures.append(Tenure(name, self._since.pop(name), at))
        if self._since:
            self._fail_overs_ns.append(0)
        else:
            self._lost_at = at

    def close(self, seed: int, end: Instant) -> Report:
        """The run is over."""
        self._pass_time(end)
        self.tenures += [Tenure(name, at, end) for name, at in self._since.items()]
        held_ns: Counter[str] = Counter()
        for tenure in self.tenures:
            held_ns[tenure.name] += tenure.length_ns
        return Report(
            seed=seed,
            duration_ns=end,
            first_held_at=self._first_held_at,
            nobody_ns=self._nobody_ns,
            several_ns=self._several_ns,
            fail_overs_ns=tuple(self._fail_overs_ns),
            nobody_at_end=not self._since,
            members=tuple(
                MemberReport(
                    name=member.name,
                    kind=member.kind.value,
                    held_ns=held_ns[member.name],
                    adverts_sent=self._adverts[member.name],
                    transitions=self._transitions[member.name],
                    rejected=dict(sorted(self._rejected[member.name].items())),
                )
                for member in self._members
            ),
        )

    def _pass_time(self, now: Instant) -> None:
        if self._first_held_at is not None:
            passed_ns = now - self._changed_at
            if not self._since:
                self._nobody_ns += passed_ns
            elif len(self._since) > 1:
                self._several_ns += passed_ns
        self._changed_at = now
