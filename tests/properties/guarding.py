"""Laws of the replay guard: it stops attackers, and no honest host."""

from collections.abc import Sequence
from dataclasses import replace

from carppcap.election.actions import SendAdvert, SendHint, SendSolicitation
from carppcap.election.config import GuardMode
from carppcap.election.events import AdvertReceived
from carppcap.node.counter import split
from carppcap.node.groups import HEARD_MAX, Step
from carppcap.node.ingress import HintReceived, Rejection, SolicitationReceived
from carppcap.simulation.model.happenings import Entry, Happening, Told
from carppcap.simulation.model.medium import REORDER_NS_MAX
from carppcap.simulation.output.report import Run
from carppcap.simulation.run import run as run_again
from carppcap.simulation.scenario.parts import (
    AT_ONCE,
    Disturb,
    Kind,
    Member,
    Order,
    Quality,
    Resend,
    Scenario,
    Scene,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.properties import faults, groups
from tests.properties.choices import Choices
from tests.properties.faults import lasting, until_quiet
from tests.properties.groups import with_config
from tests.properties.law import Law, on
from tests.properties.reading import adverts
from tests.properties.settling import expect_one_master
from tests.simulation.groups import every_step

DURATION_NS = 30 * NS_PER_S
_COUNTING = (Kind.JCARP, Kind.JCARP, Kind.UCARP, Kind.FREEBSD, Kind.NETBSD)


def _honest(choices: Choices) -> Scenario:
    others = [Kind.CARPPCAP, Kind.OPENBSD, choices.one_of(_COUNTING)]
    kinds = [choices.one_of(others[:2]) for _ in range(choices.between(1, 3))]
    if Kind.OPENBSD not in kinds and choices.one_of((False, True)):
        kinds.append(others[2])
    hosts = groups.group(choices, [Kind.CARPPCAP, *kinds])
    # Without the guard, a twin counts as much as the advert before it.
    has_twins = Kind.JCARP in kinds
    story = faults.random_faults(choices, hosts, bad_wire=not has_twins, clocks=False)
    quality = replace(
        faults.wire(choices, hosts),
        duplicate=0.0,
        loss=choices.one_of((0.0, 0.1, 0.4)),
        reorder=choices.one_of((0.0, 0.1)),
    )
    if has_twins:
        quality = replace(quality, jitter_ns=0, reorder=0.0)
    scenario = Scenario(hosts, tuple(map(_slowly, story)), quality, DURATION_NS)
    return groups.perhaps_with_own_addresses(choices, scenario)


def _slowly(scene: Scene) -> Scene:
    """Return a scene that ends later, and duplicates no frame."""
    if scene.deed == Disturb("duplicate", 0.5):
        return replace(scene, deed=Disturb("reorder", 0.2))
    if scene.lasts_ns is None or not isinstance(scene.deed, Order):
        return scene
    return replace(scene, lasts_ns=scene.lasts_ns + 8 * NS_PER_S)


@on(_honest)
def the_guard_never_disturbs_honest_hosts(run: Run) -> None:
    """Everything happens at the same instant, with the guard and without it.

    Preconditions: no frame is sent twice, except copies of adverts that arrive before
    `HEARD_MAX` others; no old counters are sent: no ucarp or FreeBSD that has continued
    the counter of another host, no clock that was set back over a restart (for both see
    `one_master_after_faults` and `mixed_groups_settle`); of masters at one time that
    cannot hear each other no two have drawn the same id, one of 256; OpenBSD is not
    started again within 2.5 intervals of its first advert; what jcarp sends at once in
    both families also arrives at once.
    """
    if _has_twins(run) or _copies_may_be_late(run.scenario):
        return
    without = run_again(_with_guard(run.scenario, GuardMode.OFF), run.seed)

    assert _told(run) == _told(without), "the guard disturbed a host"


def _has_twins(run: Run) -> bool:
    owners: dict[int, str] = {}
    for name, step in every_step(run):
        for advert in adverts(step):
            stamp = split(advert.counter)
            if stamp is not None and owners.setdefault(stamp[1], name) != name:
                return True
    return False


def _copies_may_be_late(scenario: Scenario) -> bool:
    """True if so many adverts may be heard while a frame is reordered."""
    deeds = [scene.deed for scene in scenario.story]
    reorders = any(isinstance(d, Disturb) and d.field == "reorder" for d in deeds)
    if not reorders and not scenario.quality.reorder:
        return False
    shortest_ns = min(member.config.interval_ns for member in scenario.members)
    senders = 2 * len(scenario.members)  # in each of two families
    return senders * REORDER_NS_MAX // shortest_ns > HEARD_MAX


def _told(run: Run) -> list[Entry]:
    """Return all that happened, without the remarks of the guard."""
    return [
        replace(entry, what=replace(entry.what, finding=None))
        if isinstance(entry.what, Step)
        else entry
        for entry in run.entries
    ]


def _with_guard(scenario: Scenario, mode: GuardMode) -> Scenario:
    members = (with_config(host, replay_guard=mode) for host in scenario.members)
    return replace(scenario, members=tuple(members))


def _attacked(choices: Choices) -> Scenario:
    hosts = groups.group(choices, groups.ours(choices), subsecond=False)
    hosts = tuple(replace(host, start=AT_ONCE) for host in hosts)
    verbs = (Verb.CRASH, Verb.STOP, Verb.STEP_DOWN)
    story = [
        lasting(
            Order(choices.one_of(verbs), (choices.one_of(hosts).name,)),
            choices.between(0, 12_000) * NS_PER_MS,
        )
        for _ in range(choices.between(0, 3))
    ]
    story += [_attack(choices, hosts), _attack(choices, hosts)]
    scenario = Scenario(hosts, tuple(story), Quality(), DURATION_NS)
    return groups.perhaps_with_own_addresses(choices, scenario)


def _attack(choices: Choices, hosts: Sequence[Member]) -> Scene:
    """Return an attack that repeats or rewrites messages of one host."""
    forged = choices.one_of((None, (0, 1), (255, 255), (1, 0)))
    every_ns = choices.one_of((100, 333, 1_000)) * NS_PER_MS
    deed = Resend(choices.one_of(hosts).name, every_ns, forged)
    return lasting(deed, choices.between(0, 15_000) * NS_PER_MS)


@on(_attacked)
def an_attacker_changes_nothing(run: Run) -> None:
    """Every host does the same, at the same instant, as without the attacker.

    Preconditions: carppcap only; the attacker does not know the password; every host
    has heard an advert before it is repeated, or started four seconds after it was
    sent.
    """
    scenario = run.scenario
    peaceful = tuple(s for s in scenario.story if not isinstance(s.deed, Resend))
    in_peace = run_again(replace(scenario, story=peaceful), run.seed)

    assert _moves(run) == _moves(in_peace), "the attacker changed something"


def _moves(run: Run) -> list[Entry]:
    """Return what was done, without rejections, refused messages and the story.

    Of each counter only its id is kept.  Two hosts with one id part by going ahead at
    random, which a repeated advert may make them do once more.
    """
    return [
        replace(entry, what=_with_ids(entry.what))
        for entry in run.entries
        if not isinstance(entry.what, Rejection | Told)
        and not (isinstance(entry.what, Step) and entry.what.refused)
    ]


def _with_ids(what: Happening) -> Happening:
    """Return a step with the ids of its counters in their place."""
    if not isinstance(what, Step):
        return what
    event = what.event
    if isinstance(event, AdvertReceived | HintReceived | SolicitationReceived):
        event = replace(event, counter=_id_of(event.counter))
    actions = tuple(
        action._replace(counter=_id_of(action.counter))
        if isinstance(action, SendAdvert | SendSolicitation | SendHint)
        else action
        for action in what.actions
    )
    return replace(what, event=event, actions=actions)


def _id_of(counter: int) -> int:
    stamp = split(counter)
    assert stamp is not None  # all hosts are carppcap
    return stamp[1]


def _attacked_after_any_fault(choices: Choices) -> Scenario:
    hosts = groups.group(choices, groups.ours(choices))
    story = faults.random_faults(choices, hosts)
    quality = replace(faults.wire(choices, hosts), jitter_ns=0)
    scenario = until_quiet(Scenario(hosts, story, quality))
    scenario = replace(scenario, story=(*story, _attack(choices, hosts)))
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_attacked_after_any_fault)
def an_attack_does_not_prevent_settling(run: Run) -> None:
    """There is one master after the faults, in the same time, during an attack.

    Preconditions: those of `one_master_after_faults`; the attacker repeats an advert
    after its sender, and on no faster path.
    """
    expect_one_master(run, "one master in spite of an attacker")


GUARDING: Sequence[Law] = (
    the_guard_never_disturbs_honest_hosts,
    an_attacker_changes_nothing,
    an_attack_does_not_prevent_settling,
)
