"""Random faults, and when their effects must have ended."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from carppcap.simulation.model.medium import REORDER_NS_MAX
from carppcap.simulation.scenario.parts import (
    Cut,
    Deed,
    Disturb,
    Kind,
    Member,
    Order,
    Quality,
    Resend,
    Scenario,
    Scene,
    Span,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US, Instant, Interval
from tests.properties.choices import Choices
from tests.properties.groups import longest_script_ns, patience_ns

STEP_DOWN_NS = 3 * NS_PER_S
CARRIER_SLEEP_NS = 10 * NS_PER_S
"""The longest time until ucarp polls its carrier again."""

_ORDERS = (Verb.CRASH, Verb.STOP, Verb.STEP_DOWN, Verb.PULL, Verb.KILL, Verb.STALL)
_OF_KERNELS = _ORDERS[:4]
_WIRE = (
    Disturb("loss", 0.3),
    Disturb("loss", 0.8),
    Disturb("duplicate", 0.5),
    Disturb("reorder", 0.2),
    Disturb("delay_ns", 300 * NS_PER_MS),
    Disturb("jitter_ns", 200 * NS_PER_MS),
    Disturb("corrupt", 0.3),
)


def random_faults(
    choices: Choices,
    members: Sequence[Member],
    *,
    most: int = 4,
    verbs: Sequence[Verb] = _ORDERS,
    bad_wire: bool = True,
    clocks: bool = True,
) -> tuple[Scene, ...]:
    """Return up to `most` faults, each of which ends by itself."""
    return tuple(
        _scene(choices, members, verbs, bad_wire=bad_wire, clocks=clocks)
        for _ in range(choices.between(0, most))
    )


def _scene(
    choices: Choices,
    members: Sequence[Member],
    verbs: Sequence[Verb],
    *,
    bad_wire: bool,
    clocks: bool,
) -> Scene:
    at_ns = choices.between(0, 12_000) * NS_PER_MS
    lasts_ns = choices.one_of((500, 50, 3_000, 6_000, 12_000)) * NS_PER_MS
    at = Span(at_ns, at_ns)
    member = choices.one_of(members)
    what = choices.between(0, 10)
    if what == 10 and member.kind is not Kind.UCARP:
        return Scene(
            at, Order(Verb.DEMOTE, (member.name,), choices.one_of((1, 100))), lasts_ns
        )
    if what < 5:
        allowed = [v for v in verbs if v in _OF_KERNELS or not member.kind.is_kernel]
        verb = choices.one_of(allowed)
        if verb is Verb.KILL:  # A new process waits for the scripts of the old one.
            lasts_ns = max(lasts_ns, longest_script_ns(members))
        once = verb is Verb.STEP_DOWN
        return Scene(at, Order(verb, (member.name,)), None if once else lasts_ns)
    # ucarp uses the wall clock: set back, it is silent for as long.
    if what == 5 and clocks and member.kind is not Kind.UCARP:
        by_ns = choices.one_of((-3_600, -5, 5, 3_600)) * NS_PER_S
        return Scene(at, Order(Verb.STEP_CLOCK, (member.name,), by_ns))
    if what < 8 or not bad_wire:
        others = tuple(m.name for m in members if m is not member)
        both = choices.one_of((True, True, False))
        return Scene(at, Cut((member.name,), others, both), lasts_ns)
    return Scene(at, choices.one_of(_WIRE), lasts_ns)


def attacks(choices: Choices, members: Sequence[Member]) -> Iterator[Scene]:
    """Yield an attack without the password, or none."""
    if choices.one_of((False, True)):
        at_ns = choices.between(4_000, 12_000) * NS_PER_MS
        name = choices.one_of(members).name
        forged = choices.one_of((None, (0, 1), (255, 255)))
        deed = Resend(name, choices.one_of((100, 1_000)) * NS_PER_MS, forged)
        yield Scene(Span(at_ns, at_ns), deed, 4 * NS_PER_S)


def wire(choices: Choices, members: Sequence[Member]) -> Quality:
    """Return a medium without loss, far faster than the shortest interval."""
    shortest_ns = min(member.config.interval_ns for member in members)
    delays_us = (100, 1, shortest_ns // NS_PER_US // 10)
    return Quality(
        delay_ns=choices.one_of(delays_us) * NS_PER_US,
        jitter_ns=choices.one_of((0, shortest_ns // NS_PER_US // 20)) * NS_PER_US,
        duplicate=choices.one_of((0.0, 0.0, 0.3)),
    )


def calm_at(scenario: Scenario) -> Instant:
    """Return when the last fault and its aftermath have ended."""
    members = scenario.members
    calm = max(member.start.high_ns for member in members if member.start)
    aftermath_ns = 2 * longest_script_ns(members) + STEP_DOWN_NS
    if any(member.kind is Kind.UCARP for member in members):
        aftermath_ns += CARRIER_SLEEP_NS
    for scene in scenario.story:
        over = scene.at.high_ns + (scene.lasts_ns or 0)
        over += _echo_ns(scene.deed) if isinstance(scene.deed, Disturb) else 0
        is_order = isinstance(scene.deed, Order) and scene.deed.verb in _ORDERS
        over += aftermath_ns if is_order else 0
        calm = max(calm, over)
    return calm


def _echo_ns(deed: Disturb) -> Interval:
    """Return how long a frame may arrive after the disturbance has ended."""
    return REORDER_NS_MAX if deed.field == "reorder" else NS_PER_S


def settled_at(scenario: Scenario) -> Instant:
    """Return when the master must be settled: the bound of most laws.

    This is the longest master-down interval and two of the longest intervals after the
    last fault, and the time of some frames.
    """
    members = scenario.members
    longest_ns = max(member.config.interval_ns for member in members)
    return (
        calm_at(scenario)
        + max(map(patience_ns, members))
        + 2 * longest_ns
        + frames_ns(scenario)
    )


def frames_ns(scenario: Scenario) -> Interval:
    """Return a bound for the time of eight frames."""
    quality = scenario.quality
    return 8 * (quality.delay_ns + quality.jitter_ns) + 10 * NS_PER_MS


def until_quiet(scenario: Scenario, later_ns: Interval = 0) -> Scenario:
    """Return `scenario` with a duration that shows that the result stays.

    `later_ns` is how much later than usual it may settle.
    """
    longest_ns = max(map(patience_ns, scenario.members))
    end = settled_at(scenario) + later_ns + 2 * longest_ns + 8 * NS_PER_S
    return replace(scenario, duration_ns=end // NS_PER_MS * NS_PER_MS)


def lasting(deed: Deed, at_ns: Instant, lasts_ns: Interval | None = None) -> Scene:
    """Return a scene that begins at one instant."""
    return Scene(Span(at_ns, at_ns), deed, lasts_ns)
