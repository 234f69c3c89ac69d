"""The figures of a run: when each host held the virtual address, and what it did."""

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
    """A period in which the host `name` held the address: from `since` to `until`."""

    name: str
    since: Instant
    until: Instant


@dataclass(slots=True)
class HostReport:
    """What one host did in a run.

    `held_ns` is how long it held the address, `adverts` how many it sent, and
    `transitions` how often its state changed.  `rejected` has the number of frames that
    it rejected for each reason.
    """

    name: str
    kind: str
    held_ns: Interval = 0
    adverts: int = 0
    transitions: int = 0
    rejected: dict[str, int] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Report:
    """How available the address was in one run, and what each host did.

    `first_held_ns` is when a host first held the address, or None for never.  After
    that instant, `nobody_ns` is how long no host held it, and `several_ns` how long
    more than one host did.

    `fail_overs_ns` has an item for each time that a host ceased to hold the address:
    the time until a host held it again, or 0 if another host already held it.  If no
    host ever held it again, there is no item, and `nobody_at_end` is True.
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
        """The fraction of the time, 0 to 1, in which some host held the address.

        The time before a host first held the address does not count.  If no host ever
        held it, the fraction is 0.
        """
        if self.first_held_ns is None:
            return 0.0
        return 1.0 - self.nobody_ns / (self.duration_ns - self.first_held_ns)

    @property
    def harm_ns(self) -> Interval:
        """How long the address was held by no host, or by more than one.

        It counts from when a host first held the address.  If none ever did, it is the
        duration of the run.  Of many runs, the worst is the one with the greatest harm.
        """
        if self.first_held_ns is None:
            return self.duration_ns
        return self.nobody_ns + self.several_ns


@dataclass(frozen=True, slots=True)
class Run:
    """All that happened in one run, in order of time, and the report about it."""

    scenario: Scenario
    seed: int
    entries: Sequence[Entry]
    holders: Sequence[Tenure]
    report: Report


@dataclass(frozen=True, slots=True)
class Distribution:
    """A summary of many numbers: count, least, median, 99th percentile and most."""

    count: int
    least: float
    median: float
    p99: float
    most: float


def distribution(values: Sequence[float]) -> Distribution | None:
    """Return the distribution of `values`, or None if there are no values.

    Median and percentile are found by the nearest-rank method, so each is one of the
    values.
    """
    if not values:
        return None
    ranked = sorted(values)

    def rank(share: float) -> float:
        return ranked[max(ceil(share * len(ranked)), 1) - 1]

    return Distribution(len(ranked), ranked[0], rank(0.5), rank(0.99), ranked[-1])


def count_holders(
    tenures: Sequence[Tenure], end: Instant
) -> Iterator[tuple[int, Instant, Instant]]:
    """Yield the periods of a run: number of hosts that held the address, start, end.

    `tenures` are all tenures of the run; if there are none, yield nothing.  The first
    period begins when a host first holds the address, and the last one ends at `end`.
    """
    changes = [(held.since, 1) for held in tenures]
    changes += [(held.until, -1) for held in tenures]
    count = 0
    for (since, change), (until, _) in pairwise([*sorted(changes), (end, 0)]):
        count += change
        if since < until:
            yield count, since, until


class Ledger:
    """Counts what happens in a run, entry by entry, and makes the `Report` of it."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.tenures: list[Tenure] = []
        self._hosts = {m.name: HostReport(m.name, m.kind.value) for m in members}
        self._since: dict[str, Instant] = {}
        self._fail_overs_ns: list[Interval] = []
        self._lost_at: Instant | None = None

    def note(self, entry: Entry) -> None:
        """Count the next entry of the run; entries must come in order of time."""
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
        """Return the report of the run with this `seed`, which ended at `end`."""
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
