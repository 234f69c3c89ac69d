"""Laws of all combinations of kinds, in pairs and in threes."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import Family
from carppcap.election.config import VirtualHostConfig
from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.document import PASSWORD_DEFAULT, VHID_DEFAULT
from carppcap.simulation.scenario.parts import (
    INTERFACE,
    Cut,
    Kind,
    Member,
    Order,
    Quality,
    Scenario,
    Scene,
    Span,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S, Interval, advert_interval_ns
from carppcap.wire.auth import Key
from tests.properties import groups
from tests.properties.choices import Choices
from tests.properties.faults import frames_ns, lasting, settled_at, until_quiet, wire
from tests.properties.groups import KINDS, NAMES, VIPS, with_config
from tests.properties.law import Law, on
from tests.properties.reading import changes, masters_at
from tests.properties.settling import expect_one_master

APART_NS = 15 * NS_PER_S
DEMOTED_AT_NS = 20 * NS_PER_S
SKEW_OF_THE_DEMOTED = 240


def company(
    kinds: Sequence[Kind],
    skews: Sequence[int],
    ranks: Sequence[int],
    shared: str,
    *,
    apart: bool,
    delay_ns: Interval,
) -> Scenario:
    """Return a scenario of these hosts, started together or first cut from each other.

    `ranks` order their addresses, those of IPv6 the other way round; `shared` is one of
    `VIPS`.
    """
    vips = VIPS[shared]
    families = {Family.of(vip) for vip in vips}
    members = tuple(
        Member(
            name,
            VirtualHostConfig(
                interface=INTERFACE,
                vhid=VHID_DEFAULT,
                source=(
                    IPv4Address(f"10.9.0.{rank}") if Family.IPV4 in families else None
                ),
                source6=(
                    IPv6Address(f"fe80::{9 - rank}")
                    if Family.IPV6 in families
                    else None
                ),
                vips=vips,
                key=Key(PASSWORD_DEFAULT),
                advskew=skew,
            ),
            kind,
        )
        for name, kind, skew, rank in zip(NAMES, kinds, skews, ranks, strict=False)
    )
    names = [member.name for member in members]
    cuts = tuple(
        lasting(Cut((name,), tuple(names[:number])), 0, APART_NS)
        for number, name in enumerate(names)
        if apart and number
    )
    quality = Quality(delay_ns=delay_ns)
    scenario = Scenario(members, cuts, quality)
    return until_quiet(scenario, later_ns=_encore_ns(scenario))


def _encore_ns(scenario: Scenario) -> Interval:
    """Return the additional wait of two hosts that yield to each other."""
    return max(map(groups.patience_ns, scenario.members))


def ties_end(kinds: Sequence[Kind], skews: Sequence[int]) -> bool:
    """True if all hosts but those of carppcap have different intervals.

    Two equal kernels, or a kernel and ucarp, may yield to each other for ever, and a
    carppcap of lower rank cannot prevent that.
    """
    others = [
        skew
        for kind, skew in zip(kinds, skews, strict=True)
        if kind is not Kind.CARPPCAP
    ]
    return len(set(others)) == len(others) or set(kinds) == {Kind.UCARP}


def _any_company(choices: Choices) -> Scenario:
    while True:
        kinds = [choices.one_of(KINDS) for _ in range(choices.between(2, 3))]
        skews = [choices.one_of((10, 20, 30)) for _ in kinds]
        if ties_end(kinds, skews):
            break
    ranks = [1, 2, 3]
    first = ranks.pop(choices.between(0, 2))
    second = ranks.pop(choices.between(0, 1))
    shared = "ipv4" if Kind.UCARP in kinds else choices.one_of(tuple(VIPS))
    return company(
        kinds,
        skews,
        (first, second, *ranks),
        shared,
        apart=choices.one_of((False, True)),
        delay_ns=choices.one_of((100, 1_000, 20_000)) * NS_PER_MS // 1_000,
    )


@on(_any_company)
def any_combination_settles(run: Run) -> None:
    """Two or three hosts of any kinds have one master, and it stays.

    Settings may be equal or not, any host may have the lower address in either
    family, and hosts start together or meet as masters.  Two equal hosts may yield to
    each other once and wait once more.

    Preconditions: no two hosts other than carppcap are equal (see `ties_end`), or all
    are ucarp; a medium without loss.
    """
    bound = settled_at(run.scenario) + _encore_ns(run.scenario)
    masters = masters_at(run, bound)
    assert len(masters) == 1, f"masters at {bound / NS_PER_S:.3f}: {sorted(masters)}"
    late = [change for change in changes(run) if change.at > bound]
    assert not late, f"still changing after {bound / NS_PER_S:.3f}"


_OF_THE_DEMOTED = (Kind.CARPPCAP, *groups.KERNELS)


def _one_that_is_demoted(choices: Choices) -> Scenario:
    first = choices.one_of(_OF_THE_DEMOTED)
    kinds = [first, *(choices.one_of(KINDS) for _ in range(choices.between(1, 3)))]
    hosts = groups.group(
        choices,
        kinds,
        scripts_ms=groups.QUICK_SCRIPTS_MS,
        subsecond=False,
        mixed_bases=False,
    )
    hosts = tuple(
        with_config(host, dead_ratio=max(3, host.config.dead_ratio)) for host in hosts
    )
    free = list(groups.SKEWS)
    skews = [free.pop(choices.between(0, len(free) - 1)) for _ in hosts]
    # The demoted host has the shortest interval, so it is master.
    best = skews.index(min(skews))
    skews[0], skews[best] = skews[best], skews[0]
    hosts = tuple(
        replace(with_config(host, advskew=skew), start=Span(start, start))
        for number, (host, skew) in enumerate(zip(hosts, skews, strict=True))
        for start in [0 if number == 0 else 10 * NS_PER_S]
    )
    by = choices.one_of((1, 50, 200, 255))
    lasts_ns = choices.one_of((40, 60)) * NS_PER_S
    at_ns = DEMOTED_AT_NS + choices.between(0, 2_000) * NS_PER_MS
    story = (
        Scene(Span(at_ns, at_ns), Order(Verb.DEMOTE, (hosts[0].name,), by), lasts_ns),
    )
    return until_quiet(Scenario(hosts, story, wire(choices, hosts)))


@on(_one_that_is_demoted)
def a_demoted_master_is_replaced(run: Run) -> None:
    """A demoted master is replaced at once if a peer can react, without flapping.

    OpenBSD and carppcap react to the demotion that OpenBSD and carppcap send,
    preempting or not; every preempting host reacts to a skew above its own.  Without
    such a peer nothing changes.  After the demotion there is one master again.

    Preconditions: no two have the same interval; the demoted one had the shortest of
    all and was master; no other is demoted (FreeBSD and NetBSD know no demotion of
    others, and what they show of their own looks to carppcap like a configured skew,
    so several of them do not agree on the better master); those of
    `mixed_groups_settle`.
    """
    (scene,) = run.scenario.story
    assert isinstance(scene.deed, Order)
    hosts = run.scenario.members
    begins, lasts_ns = scene.at.low_ns, scene.lasts_ns or 0
    demoted, *peers = hosts
    before = masters_at(run, begins - 1)
    assert before == {demoted.name}, f"{demoted.name} should have been master"
    longest_ns = max(max(host.config.advbase for host in hosts) + 1, 0) * NS_PER_S
    bound = begins + max(map(groups.patience_ns, hosts)) + 2 * longest_ns
    bound += frames_ns(run.scenario)
    can = {peer.name for peer in peers if _reacts(peer, demoted, scene.deed.by)}
    now = masters_at(run, bound)
    while_demoted = [c for c in changes(run) if begins <= c.at < begins + lasts_ns]
    if can:
        assert len(now) == 1, f"one of {sorted(can)} should be master: {sorted(now)}"
        assert demoted.name not in now, f"{demoted.name} was not replaced"
        late = [change for change in while_demoted if change.at > bound]
        assert not late, "still changing while it is demoted"
    else:
        assert not while_demoted, "no peer could have noticed"
    expect_one_master(run, "one master after the demotion")


def _reacts(peer: Member, demoted: Member, by: int) -> bool:
    """True if `peer`, a backup, takes over from a demoted master."""
    config = demoted.config
    interval_ns = advert_interval_ns(config.advbase, _shown_skew(demoted, by))
    knows = (Kind.CARPPCAP, Kind.OPENBSD)
    if peer.kind in knows and demoted.kind in knows:
        return True
    return peer.config.preempt and peer.config.interval_ns < interval_ns


def _shown_skew(demoted: Member, by: int) -> int:
    skew = demoted.config.advskew
    match demoted.kind:
        case Kind.OPENBSD:
            return skew
        case Kind.NETBSD:
            return max(skew, SKEW_OF_THE_DEMOTED)
        case _:
            return max(skew, min(skew + by, SKEW_OF_THE_DEMOTED))


COMPANY: Sequence[Law] = (any_combination_settles, a_demoted_master_is_replaced)
