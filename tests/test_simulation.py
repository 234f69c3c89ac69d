"""What must be true of any group of hosts, whatever the wire does to them.

Preconditions, which are documentation for administrators too: a dead ratio of at
least 2, and a wire that is faster than the shortest interval.
"""

from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carppcap.actions import AcquireAddresses, ReleaseAddresses, State
from carppcap.config import VirtualHostConfig
from carppcap.events import StepDown, Stop, Tick
from carppcap.units import Instant, Interval
from tests.builders import config, ns
from tests.cluster import DELAY_NS, NEVER, Cluster, Faults, OurStation


def host(last_octet: int, **changes: object) -> VirtualHostConfig:
    return config(source=IPv4Address(f"10.1.1.{last_octet}"), **changes)


@st.composite
def hosts(draw: st.DrawFn, preempt: bool | None = None) -> list[VirtualHostConfig]:
    """Two to four hosts with settings that have nothing to do with each other."""
    octets = draw(st.lists(st.integers(1, 250), min_size=2, max_size=4, unique=True))
    group = []
    for octet in octets:
        advbase = draw(st.sampled_from([0, 1, 1, 1, 2]))
        skews = [20, 40, 100] if advbase == 0 else [0, 0, 20, 100, 240]
        group.append(
            host(
                octet,
                advbase=advbase,
                advskew=draw(st.sampled_from(skews)),
                dead_ratio=draw(st.integers(2, 4)),
                preempt=draw(st.booleans()) if preempt is None else preempt,
            )
        )
    return group


@dataclass(frozen=True)
class Plan:
    """All there is to know of a run beforehand."""

    seed: int
    faults: Faults
    members: tuple[tuple[VirtualHostConfig, Instant, Interval], ...]

    def build(self) -> Cluster:
        cluster = Cluster(self.seed, self.faults)
        for member, starts_at, script_ns in self.members:
            cluster.join(member, at=starts_at, script_ns=script_ns)
        return cluster


@st.composite
def plans(draw: st.DrawFn, preempt: bool | None = None) -> Plan:
    """A group that starts within some seconds on a wire that is bad for longer."""
    group = draw(hosts(preempt))
    shortest_ns = min(member.interval_ns for member in group)
    faults = Faults(
        end_ns=ns(draw(st.integers(6, 12))),
        loss=draw(st.sampled_from([0.0, 0.2, 0.8])),
        repeat=draw(st.sampled_from([0.0, 0.3])),
        delay_ns_max=draw(st.sampled_from([DELAY_NS, shortest_ns // 2])),
        splits=draw(st.integers(0, 3)),
        stalls=draw(st.integers(0, 3)),
    )
    starts = st.sampled_from([0, 0, ns(0.5), ns(5)])
    scripts = st.sampled_from([0, ns(0.25), ns(2)])
    return Plan(
        seed=draw(st.integers(0, 2**32)),
        faults=faults,
        members=tuple((member, draw(starts), draw(scripts)) for member in group),
    )


def settle(cluster: Cluster) -> OurStation:
    """Run until the group must have settled; its only master, which then stays."""
    members = [station.config for station in cluster.stations]
    patience_ns = max(member.master_down_interval_ns for member in members)
    interval_ns = max(member.interval_ns for member in members)
    calm = cluster.faults.end_ns + cluster.faults.delay_ns_max
    bound = calm + patience_ns + 2 * interval_ns + 8 * DELAY_NS
    cluster.run(bound)
    masters = cluster.masters()
    assert len(masters) == 1, cluster.story()[-40:]

    cluster.run(bound + 2 * patience_ns + ns(8))

    assert cluster.changed_at <= bound, cluster.story()[-40:]
    assert cluster.masters() == masters
    (master,) = masters
    assert isinstance(master, OurStation)
    return master


@settings(max_examples=150)
@given(plans())
def test_one_master_once_the_wire_is_good(plan: Plan) -> None:
    """Within the longest patience plus two of the longest intervals, and for good."""
    cluster = plan.build()

    master = settle(cluster)

    assert cluster.holders() == [master]


@settings(max_examples=60)
@given(plans(preempt=True))
def test_with_preemption_the_shortest_interval_wins(plan: Plan) -> None:
    """Whatever happened before."""
    cluster = plan.build()

    master = settle(cluster)

    assert master.config.interval_ns == min(
        station.config.interval_ns for station in cluster.stations
    )


@settings(max_examples=40)
@given(plans())
def test_acquire_and_release_alternate(plan: Plan) -> None:
    """Beginning with the release of the start, whatever the wire does."""
    cluster = plan.build()
    cluster.run(plan.faults.end_ns + ns(4))

    for station in cluster.stations:
        assert isinstance(station, OurStation)
        jobs = [
            type(action)
            for step in station.steps
            for action in step.actions
            if isinstance(action, AcquireAddresses | ReleaseAddresses)
        ]
        assert jobs[:1] == [ReleaseAddresses]
        assert all(before is not after for before, after in pairwise(jobs))


@settings(max_examples=25)
@given(plans(), st.lists(st.integers(0, ns(12)), min_size=20, max_size=20))
def test_one_seed_is_one_run(plan: Plan, early: list[Instant]) -> None:
    """And ticks before their time are as good as none."""
    once, again = plan.build(), plan.build()
    for at in early:
        again.call_at(at, None, partial(tick_too_early, again))

    for cluster in (once, again):
        cluster.run(plan.faults.end_ns + ns(2))

    assert once.story() == again.story()


def tick_too_early(cluster: Cluster, now: Instant) -> None:
    """Wake everybody whose time has not come, and insist that nothing comes of it."""
    for station in cluster.stations:
        if isinstance(station, OurStation) and (station.deadline or NEVER) > now:
            before = station.state, station.deadline
            station.handle(Tick(), now)
            step = station.steps.pop()

            assert not step.actions
            assert (station.state, station.deadline) == before


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    skews=st.tuples(*[st.sampled_from([0, 1, 100, 254])] * 2),
    script_ns=st.tuples(*[st.sampled_from([0, ns(0.25), ns(2), ns(7)])] * 2),
    orders=st.lists(st.tuples(st.integers(ns(8), ns(60)), st.booleans()), max_size=8),
    ends_at=st.none() | st.integers(ns(8), ns(60)),
)
def test_a_farewell_never_makes_two_holders(
    seed: int,
    skews: tuple[int, int],
    script_ns: tuple[int, int],
    orders: list[tuple[Instant, bool]],
    ends_at: Instant | None,
) -> None:
    """However long scripts take, and whoever is asked to hand over, and when."""
    cluster = Cluster(seed)
    first, second = (
        cluster.join(
            host(index + 1, advskew=skews[index], farewell=True),
            at=ns(1.5 * index),
            script_ns=script_ns[index],
        )
        for index in range(2)
    )
    for at, to_first in orders:
        station = first if to_first else second
        cluster.call_at(at, station, partial(station.handle, StepDown(ns(3))))
    if ends_at is not None:
        cluster.call_at(ends_at, first, partial(first.handle, Stop()))

    cluster.run(ns(120))

    assert cluster.holders_max == 1
    assert cluster.holders() == cluster.masters()
    assert len(cluster.masters()) == 1
    assert (first.state is State.INIT) == (ends_at is not None)


@pytest.mark.parametrize("skew", [0, 1, 100, 254])
@pytest.mark.parametrize("offset", [0, 0.125, 0.5, 0.875])
@pytest.mark.parametrize("farewell", [True, False])
def test_a_step_down_hands_over(skew: int, offset: float, farewell: bool) -> None:
    """To any peer, at any moment between two adverts, farewell or not."""
    cluster = Cluster(seed=1)
    preferred = cluster.join(host(1, farewell=farewell))
    other = cluster.join(host(2, advskew=skew, farewell=farewell), at=ns(1))
    cluster.run(ns(10 + offset))
    assert cluster.masters() == [preferred]

    preferred.handle(StepDown(ns(3)), cluster.now)
    cluster.run(ns(30))

    assert cluster.masters() == cluster.holders() == [other]
    assert cluster.holders_max == 1


@pytest.mark.parametrize(("ours", "theirs"), [(1, 2), (2, 1)], ids=["lower", "higher"])
@pytest.mark.parametrize("settings_of_both", [{}, {"advbase": 0, "advskew": 40}])
@given(seed=st.integers(0, 2**32), lateness=st.floats(0, 0.9))
@settings(max_examples=25)
def test_a_tie_with_a_kernel_that_always_yields_settles(
    ours: int,
    theirs: int,
    settings_of_both: dict[str, int],
    seed: int,
    lateness: float,
) -> None:
    """Both became masters while they could not hear each other, and now they do."""
    patience_ns = host(1, **settings_of_both).master_down_interval_ns
    cluster = Cluster(seed, Faults(end_ns=2 * patience_ns, loss=1.0))
    cluster.join(host(ours, **settings_of_both))
    cluster.join_kernel(
        host(theirs, **settings_of_both), at=round(lateness * patience_ns)
    )
    cluster.run(2 * patience_ns)
    assert len(cluster.masters()) == 2

    cluster.run(5 * patience_ns)
    settled_at = cluster.changed_at
    cluster.run(15 * patience_ns)

    assert len(cluster.masters()) == 1
    assert cluster.changed_at == settled_at


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("preempt", [False, True], ids=["plain", "preempt"])
def test_intervals_below_a_second_are_stable(seed: int, preempt: bool) -> None:
    """`-b 0 -k 20` against `-k 40`: no flapping, and a quick fail-over."""
    cluster = Cluster(seed)
    quick = cluster.join(host(2, advbase=0, advskew=20, preempt=preempt))
    slow = cluster.join(host(1, advbase=0, advskew=40, preempt=preempt))
    cluster.run(ns(1))
    assert cluster.masters() == [quick]
    settled_at = cluster.changed_at

    cluster.run(ns(20))
    assert cluster.changed_at == settled_at

    cluster.stations.remove(quick)
    cluster.run(ns(21))
    assert cluster.masters() == [slow]
    assert cluster.changed_at - ns(20) <= slow.config.master_down_interval_ns + DELAY_NS


def test_a_dead_master_is_replaced_in_theoretical_time() -> None:
    """The patience of the backup, counted from the last advert; 1/256 s each skew."""
    for skew in (0, 50, 100, 200):
        cluster = Cluster(seed=skew)
        master = cluster.join(host(1))
        backup = cluster.join(host(2, advskew=skew), at=ns(0.5))
        cluster.run(ns(5.5))
        cluster.stations.remove(master)
        cluster.run(ns(20))

        assert cluster.masters() == [backup]
        assert 0 <= cluster.changed_at - ns(5 + 3 + skew / 256) <= DELAY_NS
