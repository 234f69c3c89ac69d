"""Laws of addresses that carppcap itself holds (--own-addresses)."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import Address, Family
from carppcap.election.actions import State
from carppcap.election.config import SourceMac
from carppcap.election.events import AddressesLost
from carppcap.election.tenure import LATENESS_NS, STALL_ALLOWED_NS, tenure
from carppcap.simulation.output.report import Run, Tenure, count_holders
from carppcap.simulation.scenario.parts import (
    Member,
    Order,
    Quality,
    Scenario,
    Scene,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval
from tests.properties import faults, groups
from tests.properties.choices import Choices
from tests.properties.faults import lasting, until_quiet
from tests.properties.groups import with_config
from tests.properties.law import Law, on
from tests.properties.reading import masters_at
from tests.properties.settling import CALM_S
from tests.simulation.groups import every_step

FAILURES = (Verb.KILL, Verb.KILL_BOTH, Verb.HANG, Verb.STALL, Verb.KILL_KEEPER)
NOBODY: tuple[Address, ...] = (IPv4Address("10.9.0.99"), IPv6Address("fe80::99"))
"""Addresses of peers that have no power, so that their MACs are not known."""

STALL_NS_MAX = STALL_ALLOWED_NS - LATENESS_NS
"""With some settings the last lifetime ends this much before the permission."""


def _with_one_setting(choices: Choices, most: int) -> tuple[Member, ...]:
    """Return carppcaps with own addresses, and with one advbase and dead ratio.

    Their addresses are gone in time, also if nothing but a lifetime ends them.
    """
    kinds = groups.ours(choices, most)
    drawn = groups.group(
        choices, kinds, preempt=False, subsecond=False, mixed_bases=False
    )
    hosts = tuple(map(groups.with_own_addresses, drawn))
    if any(tenure(host.config).overlap_ns for host in hosts):
        hosts = tuple(with_config(host, dead_ratio=3) for host in hosts)
    return hosts


def _some_that_fail(choices: Choices) -> Scenario:
    hosts = _with_one_setting(choices, groups.MAX_NODES)
    story: list[Scene] = []
    since_ms = CALM_S * 1_000
    for _ in range(choices.between(1, 3)):
        failure = _failure(choices, hosts, since_ms)
        story.append(failure)
        over_ns = failure.at.high_ns + (failure.lasts_ns or 0)
        since_ms = (over_ns + 2 * _patience_ns(hosts)) // NS_PER_MS
    return until_quiet(Scenario(hosts, tuple(story), _sound_wire(choices, hosts)))


def _patience_ns(hosts: Sequence[Member]) -> Interval:
    return max(map(groups.patience_ns, hosts))


def _sound_wire(choices: Choices, hosts: Sequence[Member]) -> Quality:
    """Return a medium on which no answer overtakes what it answers."""
    quality = faults.wire(choices, hosts)
    return replace(quality, jitter_ns=min(quality.jitter_ns, quality.delay_ns))


def _failure(choices: Choices, hosts: Sequence[Member], since_ms: int) -> Scene:
    at_ns = (since_ms + choices.between(0, 4_000)) * NS_PER_MS
    verb = choices.one_of(FAILURES)
    lasts_ms = choices.one_of((6_000, 50, 500, 2_500, 3_100, 30_000))
    lasts_ns = None if verb is Verb.KILL_KEEPER else lasts_ms * NS_PER_MS
    if verb in (Verb.HANG, Verb.KILL, Verb.KILL_BOTH):
        lasts_ns = choices.one_of((None, lasts_ns))
    return lasting(Order(verb, (choices.one_of(hosts).name,)), at_ns, lasts_ns)


@on(_some_that_fail)
def a_failed_daemon_leaves_no_second_holder(run: Run) -> None:
    """Never two holders, but while the first adverts of new masters are on the way.

    Daemons are killed, also with their keepers, or hang, or are stopped, and some go on
    or are started again; keepers are killed.

    Preconditions: carppcap with own addresses only, all with one advbase, of at least
    1, and one dead ratio, of at least 2, or 3 if a skew is so large that the start
    warns of an overlap; without preemption (a preempting host may tie with another that
    takes over at the same farewell, until the next advert); scripts that leave the
    addresses alone; a wire without loss, on which no answer overtakes what it answers;
    a group that had settled before each failure (a backup that is stopped may lose the
    adverts of a new master, but not the farewell before them).
    """
    quality = run.scenario.quality
    frame_ns = quality.delay_ns + quality.jitter_ns
    longest_ns = _longest_with_several_ns(run, CALM_S * NS_PER_S)
    assert longest_ns <= 4 * frame_ns, f"two holders for {longest_ns / NS_PER_S:.3f} s"


def _longest_with_several_ns(run: Run, since: Instant) -> Interval:
    longest_ns = together_ns = 0
    for count, begin, end in count_holders(run.holders, run.scenario.duration_ns):
        together_ns += max(0, end - max(begin, since))
        if count < 2:
            together_ns = 0
        longest_ns = max(longest_ns, together_ns)
    return longest_ns


def _one_that_is_killed(choices: Choices) -> Scenario:
    hosts = _with_one_setting(choices, groups.MAX_NODES)
    at_ns = choices.between(CALM_S * 1000, CALM_S * 1000 + 8_000) * NS_PER_MS
    kill = lasting(Order(Verb.KILL, (choices.one_of(hosts).name,)), at_ns)
    return until_quiet(Scenario(hosts, (kill,), _sound_wire(choices, hosts)))


@on(_one_that_is_killed)
def a_killed_daemon_is_succeeded_at_once(run: Run) -> None:
    """A peer holds the address as soon as it hears the last will.

    Preconditions: those of `a_failed_daemon_leaves_no_second_holder`; no script of an
    earlier change runs at a peer any more; without --no-farewell.
    """
    (scene,) = run.scenario.story
    quality = run.scenario.quality
    frame_ns = quality.delay_ns + quality.jitter_ns
    was_master = bool(masters_at(run, scene.at.low_ns - 1) & set(scene.deed.names))
    gaps = [
        end - begin
        for count, begin, end in count_holders(run.holders, run.scenario.duration_ns)
        if count == 0 and begin >= scene.at.low_ns
    ]
    assert len(gaps) == was_master, f"{len(gaps)} times without a holder"
    assert max(gaps, default=0) <= frame_ns, f"no holder for {max(gaps) / NS_PER_S} s"


def _one_that_is_left(choices: Choices) -> Scenario:
    kinds = groups.ours(choices, 3)[choices.between(0, 1) :]
    first, *others = groups.group(choices, kinds)
    survivor = replace(
        groups.with_own_addresses(first),
        ignore_link_state=choices.one_of((False, True)),
    )
    if choices.one_of((False, True)):
        known = Family.IPV4, Family.IPV6
        there = [NOBODY[known.index(family)] for family in first.config.families]
        survivor = with_config(survivor, peers=tuple(there), source_mac=SourceMac.REAL)
    at_ns = choices.between(5_001, 12_000) * NS_PER_MS
    ends = [
        lasting(Order(choices.one_of((Verb.CRASH, Verb.PULL)), (host.name,)), at_ns)
        for host in others
    ]
    hosts = (survivor, *others)
    scenario = until_quiet(Scenario(hosts, tuple(ends), faults.wire(choices, hosts)))
    calm_ms = faults.settled_at(scenario) // NS_PER_MS + 1
    story = [
        _harmless(choices, survivor, calm_ms + 10_000 * number)
        for number in range(choices.between(1, 4))
    ]
    return until_quiet(replace(scenario, story=(*ends, *story)))


def _harmless(choices: Choices, survivor: Member, since_ms: int) -> Scene:
    """Return what costs the last host nothing, at a time from `since_ms` on."""
    verbs = [Verb.KILL_KEEPER, Verb.STALL]
    if survivor.ignore_link_state:
        verbs.append(Verb.PULL)
    verb = choices.one_of(verbs)
    at_ns = (since_ms + choices.between(0, 3_000)) * NS_PER_MS
    lasts_ns = None
    if verb is Verb.STALL:
        lasts_ns = choices.between(1, STALL_NS_MAX // NS_PER_MS) * NS_PER_MS
    elif verb is Verb.PULL:
        lasts_ns = choices.between(1, 6_000) * NS_PER_MS
    return lasting(Order(verb, (survivor.name,)), at_ns, lasts_ns)


@on(_one_that_is_left)
def the_last_living_host_keeps_its_address(run: Run) -> None:
    """An address is not lost because no peer is there.

    The host is alone, or its peers have no power or no cable, or it sends to a `--peer`
    whose MAC is not known, or with -S its own cable is out.  A keeper that is killed
    and a stall of 0.45 s cost nothing either.

    Preconditions: carppcap with own addresses, of any settings; scripts that leave the
    addresses alone; a cable that is out only with -S.
    """
    survivor = run.scenario.members[0].name
    story = run.scenario.story
    since = min(
        (s.at.low_ns for s in story if s.deed.names == (survivor,)),
        default=run.scenario.duration_ns,
    )
    masters = masters_at(run, since - 1)
    assert survivor in masters, f"{survivor} should be master: {sorted(masters)}"
    lost = [
        step.at
        for name, step in every_step(run)
        if name == survivor
        and step.at >= since
        and (step.event == AddressesLost() or step.state is not State.MASTER)
    ]
    assert not lost, f"lost at {lost[0] / NS_PER_S:.3f}"
    pulled = [
        Tenure(survivor, scene.at.low_ns, scene.at.low_ns + scene.lasts_ns)
        for scene in story
        if scene.deed == Order(Verb.PULL, (survivor,)) and scene.lasts_ns is not None
    ]
    held = [tenure for tenure in run.holders if tenure.name == survivor]
    end = run.scenario.duration_ns
    for count, begin, until in count_holders([*held, *pulled], end):
        assert count or until <= since, f"not held from {begin / NS_PER_S:.3f} on"


OWN_ADDRESSES: Sequence[Law] = (
    a_failed_daemon_leaves_no_second_holder,
    a_killed_daemon_is_succeeded_at_once,
    the_last_living_host_keeps_its_address,
)
