"""When each host held the address, and for how long it was not available."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil

from carppcap.election.actions import SendAdvert, StateChanged
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.model.happenings import Entry, Holding
from carppcap.simulation.scenario.parts import Member, Scenario
from carppcap.units import Instant, Interval


@dataclass(frozen=True, slots=True)
class Tenure:
    """A host held the address from `since` to `until`."""

    name: str
    since: Instant
    until: Instant


@dataclass(slots=True)
class HostReport:
    """What one host did; `rejected` counts the frames it rejected, by reason."""

    name: str
    kind: str
    held_ns: Interval = 0
    adverts: int = 0
    transitions: int = 0
    rejected: dict[str, int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the address in one run.

    Counting begins when it is first held, at `first_held_ns` (None: never).
    `nobody_ns` and `several_ns` are the times without a holder and with more than
    one.  `fail_overs_ns` has an item for each holder that was lost: the time until
    the next one, 0 if there was another already.  A holder that was lost for good
    has no item; `nobody_at_end` is then true.
    """

    seed: int
    duration_ns: Interval
    first_held_ns: Instant | None
    nobody_ns: Interval
    several_ns: Interval
    fail_overs_ns: tuple[Interval, ...]
    nobody_at_end: bool
    hosts: tuple[HostReport, ...]

    @property
    def availability(self) -> float:
        """The share of the time with a holder since there was one first, 0 to 1."""
        if self.first_held_ns is None:
            return 0.0
        return 1.0 - self.nobody_ns / (self.duration_ns - self.first_held_ns)

    @property
    def harm_ns(self) -> Interval:
        """The time without exactly one holder; the worst run is that with the most."""
        if self.first_held_ns is None:
            return self.duration_ns
        return self.nobody_ns + self.several_ns


@dataclass(frozen=True, slots=True)
class Run:
    """All that happened in one run, in its order, and its report."""

    scenario: Scenario
    seed: int
    entries: Sequence[Entry]
    holders: Sequence[Tenure]
    report: Report


@dataclass(frozen=True, slots=True)
class Distribution:
    """The distribution of many numbers: their count and four of them."""

    count: int
    least: float
    median: float
    p99: float
    most: float


def distribution(values: Sequence[float]) -> Distribution | None:
    """Return the distribution of `values`, by nearest rank; None without values."""
    if not values:
        return None
    ranked = sorted(values)

    def rank(share: float) -> float:
        return ranked[max(ceil(share * len(ranked)), 1) - 1]

    return Distribution(len(ranked), ranked[0], rank(0.5), rank(0.99), ranked[-1])


def count_holders(
    tenures: Sequence[Tenure], end: Instant
) -> Iterator[tuple[int, Instant, Instant]]:
    """Yield how many hosts hold the address, from when to when; first 1, last at `end`.

    `tenures` are those of a run, and nothing is yielded without any.
    """
    changes = [(held.since, 1) for held in tenures]
    changes += [(held.until, -1) for held in tenures]
    count = 0
    for (since, change), (until, _) in pairwise([*sorted(changes), (end, 0)]):
        count += change
        if since < until:
            yield count, since, until


class Ledger:
    """Adds up a run, entry by entry, to its report."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.tenures: list[Tenure] = []
        self._hosts = {m.name: HostReport(m.name, m.kind.value) for m in members}
        self._since: dict[str, Instant] = {}
        self._fail_overs_ns: list[Interval] = []
        self._lost_at: Instant | None = None

    def note(self, entry: Entry) -> None:
        """Count what happened; the entries of a run come in their order."""
        match entry.what:
            case Step(actions=actions, refusal=refusal):
                host = self._hosts[entry.name]
                if refusal is not None:
                    host.rejected[refusal.reason.value] += 1
                for action in actions:
                    if isinstance(action, SendAdvert):
                        host.adverts += 1
                    elif isinstance(action, StateChanged):
                        host.transitions += 1
            case Rejection(reason):
                self._hosts[entry.name].rejected[reason.value] += 1
            case Holding(holds):
                self._note_holding(entry.name, holds, entry.at)

    def close(self, seed: int, end: Instant) -> Report:
        """Return the report of the run, which ended at `end`."""
        self.tenures += [Tenure(name, at, end) for name, at in self._since.items()]
        for tenure in self.tenures:
            self._hosts[tenure.name].held_ns += tenure.until - tenure.since
        for host in self._hosts.values():
            host.rejected = dict(sorted(host.rejected.items()))
        periods = list(count_holders(self.tenures, end))
        return Report(
            seed=seed,
            duration_ns=end,
            first_held_ns=min((held.since for held in self.tenures), default=None),
            nobody_ns=sum(until - since for n, since, until in periods if n == 0),
            several_ns=sum(until - since for n, since, until in periods if n > 1),
            fail_overs_ns=tuple(self._fail_overs_ns),
            nobody_at_end=not self._since,
            hosts=tuple(self._hosts.values()),
        )

    def _note_holding(self, name: str, holds: bool, at: Instant) -> None:
        if holds:
            self._since[name] = at
            if self._lost_at is not None:
                self._fail_overs_ns.append(at - self._lost_at)
                self._lost_at = None
            return
        self.tenures.append(Tenure(name, self._since.pop(name), at))
        if self._since:
            self._fail_overs_ns.append(0)
        else:
            self._lost_at = at
