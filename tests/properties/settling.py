"""Laws of how an election ends."""

from collections.abc import Sequence
from dataclasses import replace

from carppcap.election.actions import State
from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.parts import (
    Cut,
    Kind,
    Member,
    Order,
    Scenario,
    Scene,
    Span,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.properties import faults, groups
from tests.properties.choices import Choices
from tests.properties.faults import lasting, settled_at, until_quiet
from tests.properties.groups import KINDS, NAMES, QUICK_SCRIPTS_MS, with_config
from tests.properties.law import Law, on
from tests.properties.reading import (
    at_end,
    changes,
    holders_at_end,
    longest_gap_ns,
    masters_at,
    members,
    most_holders,
)

CALM_S = 20
"""By then, a group that started within five seconds has settled."""


def _ours_and_any_fault(choices: Choices) -> Scenario:
    hosts = groups.group(choices, groups.ours(choices))
    story = faults.random_faults(choices, hosts)
    scenario = until_quiet(Scenario(hosts, story, faults.wire(choices, hosts)))
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_ours_and_any_fault)
def one_master_after_faults(run: Run) -> None:
    """One running host is master, it alone holds the address, and this stays so.

    Within the longest master-down interval and two of the longest intervals after the
    faults end, whatever they were: loss, delay, jitter, repeated, reordered and damaged
    frames, cuts both ways and one way, crashes, kills, stops, hand-overs, stalls,
    pulled cables, set clocks.

    Preconditions: carppcap only; a dead ratio of at least 2; a wire that, after the
    faults, is faster than the shortest interval and loses nothing; scripts that
    succeed, and end before a killed daemon is started again; clocks that agree to 1 in
    1000.
    """
    expect_one_master(run, "one master after the faults")
    running = at_end(run)
    masters = {name for name, state in running.items() if state is State.MASTER}
    assert holders_at_end(run) & running.keys() == masters, (
        f"{masters} should hold the address"
    )


def expect_one_master(run: Run, claim: str) -> str | None:
    """Return the only master by the bound; None if no host runs."""
    bound = settled_at(run.scenario)
    running = at_end(run)
    masters = masters_at(run, bound) & running.keys()
    assert len(masters) == 1 or not running, (
        f"{claim} by {bound / NS_PER_S:.3f}: {sorted(masters)}"
    )
    late = [change for change in changes(run) if change.at > bound]
    assert not late, f"{claim}: still changing after {bound / NS_PER_S:.3f}"
    return next(iter(masters), None)


def _any_kinds_that_preempt(choices: Choices) -> Scenario:
    kinds = _kinds(choices)
    hosts = groups.group(
        choices,
        kinds,
        preempt=True,
        scripts_ms=QUICK_SCRIPTS_MS,
        subsecond=False,
        mixed_bases=False,
    )
    hosts = _as_ucarp_needs(hosts)
    story = faults.random_faults(choices, hosts, most=3)
    return until_quiet(Scenario(hosts, story, faults.wire(choices, hosts)))


@on(_any_kinds_that_preempt)
def preemption_ends_at_the_shortest_interval(run: Run) -> None:
    """The master has the shortest interval of the running hosts.

    Preconditions: all hosts preempt; those of `mixed_groups_settle`.
    """
    name = expect_one_master(run, "one master where all preempt")
    intervals = {name: members(run)[name].config.interval_ns for name in at_end(run)}
    assert name is None or intervals[name] == min(intervals.values()), (
        f"{name} is not the best of {intervals}"
    )


def _kinds(choices: Choices) -> list[Kind]:
    """Return carppcap, ucarp, a kernel, and perhaps two more."""
    kinds = [Kind.CARPPCAP, Kind.UCARP, choices.one_of(groups.KERNELS)]
    return kinds + [choices.one_of(KINDS) for _ in range(choices.between(0, 2))]


def _as_ucarp_needs(
    hosts: tuple[Member, ...],
) -> tuple[Member, ...]:
    """ucarp hears adverts up to a second late, so a dead ratio of 2 is too little."""
    return tuple(
        with_config(host, dead_ratio=max(3, host.config.dead_ratio)) for host in hosts
    )


def _mixed(choices: Choices) -> Scenario:
    hosts = groups.group(
        choices,
        _kinds(choices),
        scripts_ms=QUICK_SCRIPTS_MS,
        subsecond=False,
        mixed_bases=False,
    )
    hosts = _as_ucarp_needs(hosts)
    story = faults.random_faults(choices, hosts, most=3)
    scenario = until_quiet(Scenario(hosts, story, faults.wire(choices, hosts)))
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_mixed)
def mixed_groups_settle(run: Run) -> None:
    """carppcap, ucarp and a kernel have one master after the faults.

    Preconditions: the same advbase, of at least 1; a dead ratio of at least 3 next to
    ucarp, which hears everything up to a second late; short scripts, during which ucarp
    neither sends nor receives; the clock of ucarp is not set; only carppcap has the
    same interval as another (see `a_tie_settles`).
    """
    expect_one_master(run, "one master of a mixed group")


def _two_that_tie(choices: Choices) -> Scenario:
    kinds = [Kind.CARPPCAP, choices.one_of(KINDS)]
    if choices.one_of((False, False, False, False, True)):
        kinds = [Kind.UCARP, Kind.UCARP]
    first, second = _as_ucarp_needs(
        groups.group(
            choices,
            kinds,
            scripts_ms=QUICK_SCRIPTS_MS,
            subsecond=kinds[1] in (Kind.CARPPCAP, Kind.OPENBSD),
            mixed_bases=False,
        )
    )
    second = with_config(second, advskew=first.config.advskew)
    patience_ns = max(map(groups.patience_ns, (first, second)))
    apart = Cut((first.name,), (second.name,))
    lasts_ms = 3 * patience_ns // NS_PER_MS + 5_000 + choices.between(0, 2_000)
    pair = (first, second)
    story = (lasting(apart, 0, lasts_ms * NS_PER_MS),)
    return until_quiet(Scenario(pair, story, faults.wire(choices, pair)))


@on(_two_that_tie)
def a_tie_settles(run: Run) -> None:
    """Two masters with one interval become one when they meet, and stay so.

    From the first meeting on there is never no master for more than an interval.

    Preconditions: one of them is carppcap, or both are ucarp (two kernels on a slow
    medium, and a kernel and ucarp on any, may yield to each other for ever:
    see fixtures/simulations/tie-without-carppcap.toml); below a second the other is
    carppcap or OpenBSD (other kernels wait for a single advert there, and flap); those
    of `mixed_groups_settle`.
    """
    assert len(masters_at(run, faults.calm_at(run.scenario))) == 2, "no tie at all"
    expect_one_master(run, "one master after a tie")
    interval_ns = max(host.config.interval_ns for host in run.scenario.members)
    gap_ns = longest_gap_ns(run, faults.calm_at(run.scenario))
    bound_ns = interval_ns + faults.frames_ns(run.scenario)
    assert gap_ns <= bound_ns, f"no master for {gap_ns / NS_PER_S:.3f} s"


def _sudden(choices: Choices) -> Scenario:
    kinds = [
        choices.one_of((Kind.CARPPCAP, Kind.CARPPCAP, *groups.KERNELS))
        for _ in range(choices.between(2, groups.MAX_NODES))
    ]
    kinds[0] = Kind.CARPPCAP
    can_do_less = not {Kind.FREEBSD, Kind.NETBSD, Kind.OPNSENSE} & set(kinds)
    hosts = groups.group(choices, kinds, subsecond=can_do_less)
    story = faults.random_faults(choices, hosts, bad_wire=False)
    slowest_ns = max(host.config.interval_ns for host in hosts)
    if min(map(groups.patience_ns, hosts)) <= slowest_ns:
        story = tuple(scene for scene in story if not _demotes(scene))
    scenario = until_quiet(Scenario(hosts, story, faults.wire(choices, hosts)))
    return groups.perhaps_with_own_addresses(choices, scenario)


def _demotes(scene: Scene) -> bool:
    return isinstance(scene.deed, Order) and scene.deed.verb is Verb.DEMOTE


@on(_sudden)
def no_flapping(run: Run) -> None:
    """Each host changes its state at most twice for each thing that happens.

    What happens: a start, the beginning of a fault, its end.

    Preconditions: carppcap and kernels; below a second no FreeBSD and NetBSD, which
    wait for a single advert there; faults that begin and end at an instant (loss is a
    fault for each frame that is lost); no demotion where a master-down interval is no
    longer than the slowest interval (the demoted host would take over between any two
    adverts of its successor); those of `one_master_after_faults`.
    """
    hosts = run.scenario.members
    happened = len(hosts) + 2 * len(run.scenario.story)
    bound = 2 * len(hosts) * happened
    assert len(changes(run)) <= bound, f"more than {bound} changes"


def _alike(choices: Choices, count: int) -> tuple[Member, ...]:
    """Hosts of ours with one advbase, in separate seconds, the better ones first."""
    hosts = groups.group(choices, [Kind.CARPPCAP] * count, preempt=False)
    base, ratio = hosts[0].config.advbase, hosts[0].config.dead_ratio
    skews = sorted(host.config.advskew for host in hosts)
    if base == 0:  # No interval may come near the master-down interval of another.
        skews = sorted(20 + skew % 21 for skew in skews)
    return tuple(
        replace(
            with_config(
                host,
                advbase=base,
                dead_ratio=ratio if base else max(3, ratio),
                advskew=skew,
            ),
            start=Span(number * 1500 * NS_PER_MS, number * 1500 * NS_PER_MS),
        )
        for number, (host, skew) in enumerate(zip(hosts, skews, strict=True))
    )


def _two_that_send_farewells(choices: Choices) -> Scenario:
    pair = tuple(
        replace(with_config(host, farewell=True), shutdown=True)
        for host in _alike(choices, 2)
    )
    orders = [
        Order(Verb.STEP_DOWN, (choices.one_of(pair).name,))
        for _ in range(choices.between(0, 3))
    ]
    orders.append(Order(choices.one_of((Verb.STEP_DOWN, Verb.STOP)), (pair[0].name,)))
    story = tuple(
        lasting(order, choices.between(CALM_S * 1000, 60_000) * NS_PER_MS)
        for order in orders
    )
    scenario = Scenario(pair, story, duration_ns=90 * NS_PER_S)
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_two_that_send_farewells)
def a_farewell_never_leaves_two_holders(run: Run) -> None:
    """There is one holder at a time, however long scripts take.

    Preconditions: two carppcap with -z on a sound wire, told to end only once (told
    again they do not wait for a script that hangs), without preemption (of more than
    two all take over at a farewell, and a preempting host takes over before the other
    one has released the address); scripts that succeed.
    """
    assert most_holders(run) == 1, "two holders"
    running = at_end(run)
    masters = {name for name, state in running.items() if state is State.MASTER}
    assert holders_at_end(run) == masters, f"{masters} should hold the address"
    assert len(masters) == 1 or not running, f"{masters} are masters"


def _one_that_steps_down(choices: Choices) -> Scenario:
    hosts = _alike(choices, choices.between(2, 4))
    at_ms = choices.between(CALM_S * 1000, CALM_S * 1000 + 4_000)
    order = lasting(Order(Verb.STEP_DOWN, (hosts[0].name,)), at_ms * NS_PER_MS)
    scenario = until_quiet(Scenario(hosts, (order,), faults.wire(choices, hosts)))
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_one_that_steps_down)
def stepping_down_hands_over(run: Run) -> None:
    """A peer takes over, at any moment between two adverts, farewell or not.

    Preconditions: carppcap only, without preemption; peers that wait less than three
    seconds longer than the host that steps down.
    """
    first = run.scenario.members[0].name
    before = masters_at(run, run.scenario.story[0].at.low_ns - 1)
    assert before == {first}, f"{first} should have been master"
    name = expect_one_master(run, "one master after a hand-over")
    assert name not in (first, None), f"{first} took it back"


def _one_that_stalls(choices: Choices) -> Scenario:
    hosts = _alike(choices, choices.between(2, 4))
    at_ms = choices.between(CALM_S * 1000, CALM_S * 1000 + 4_000)
    lasts_ms = choices.one_of((5, 50, 500, 2_500, 6_000, 30_000))
    stalled = choices.one_of(hosts).name
    stall = lasting(
        Order(Verb.STALL, (stalled,)), at_ms * NS_PER_MS, lasts_ms * NS_PER_MS
    )
    scenario = until_quiet(Scenario(hosts, (stall,), faults.wire(choices, hosts)))
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_one_that_stalls)
def a_stall_does_no_harm_beyond_itself(run: Run) -> None:
    """A stopped backup changes nothing; a stopped master only while it is stopped.

    After it goes on, two hold the address for an interval and a script at most.

    Preconditions: carppcap only, a sound wire, a group that had settled; its ring may
    overflow and lose adverts.
    """
    (scene,) = run.scenario.story
    assert isinstance(scene.deed, Order)
    begins, lasts_ns = scene.at.low_ns, scene.lasts_ns or 0
    (stalled,) = scene.deed.names
    hosts = run.scenario.members
    after = [change for change in changes(run) if change.at > begins]
    interval_ns = max(host.config.interval_ns for host in hosts)
    patience_ns = min(host.config.master_down_interval_ns for host in hosts)
    slack_ns = faults.settled_at(replace(run.scenario, story=())) // 100
    was_master = stalled in masters_at(run, begins - 1)
    if not was_master or lasts_ns < patience_ns - interval_ns - slack_ns:
        assert not after, "a short stall should change nothing"
        return
    over = begins + lasts_ns + interval_ns + slack_ns
    late = [change for change in after if change.at > over]
    assert not late, "still changing an interval after the stall"
    calm = over + groups.longest_script_ns(hosts) * 2
    assert most_holders(run, calm) == 1, "harm beyond the stall"


SETTLING: Sequence[Law] = (
    one_master_after_faults,
    no_flapping,
    preemption_ends_at_the_shortest_interval,
    a_tie_settles,
    mixed_groups_settle,
    a_farewell_never_leaves_two_holders,
    stepping_down_hands_over,
    a_stall_does_no_harm_beyond_itself,
)
assert len(NAMES) >= groups.MAX_NODES
