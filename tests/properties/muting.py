"""A law of groups in which multicast is lost and broadcast passes."""

from dataclasses import replace
from itertools import combinations

from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.parts import (
    Mute,
    Order,
    Quality,
    Scenario,
    Scene,
    Span,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US
from tests.properties import groups
from tests.properties.choices import Choices
from tests.properties.law import on

DELAY_NS = 100 * NS_PER_US
TIE_NS = 20 * DELAY_NS
"""The time of twenty frames."""

_VERBS = (Verb.CRASH, Verb.STOP, Verb.STEP_DOWN, Verb.PULL)


def _muted(choices: Choices) -> Scenario:
    hosts = groups.group(choices, groups.ours(choices), scripts_ms=(0,))
    hosts = tuple(replace(host, shutdown=True) for host in hosts)
    names = [host.name for host in hosts]
    story = []
    for _ in range(choices.between(1, 2)):
        count = choices.one_of((len(names), 1, choices.between(1, len(names))))
        at_ns = choices.one_of((0, choices.between(0, 20_000))) * NS_PER_MS
        lasts_ns = choices.one_of((None, choices.between(1, 70_000) * NS_PER_MS))
        story.append(Scene(Span(at_ns, at_ns), Mute(tuple(names[:count])), lasts_ns))
    for _ in range(choices.between(0, 3)):
        at_ns = choices.between(0, 75_000) * NS_PER_MS
        verb = choices.one_of(_VERBS)
        order = Order(verb, (choices.one_of(names),))
        lasts_ns = None
        if verb is not Verb.STEP_DOWN:
            lasts_ns = choices.between(1, 10_000) * NS_PER_MS
        story.append(Scene(Span(at_ns, at_ns), order, lasts_ns))
    if choices.one_of((False, True)):
        # All start at once, and become master at about the same time.
        hosts = tuple(replace(host, start=Span(0, 0)) for host in hosts)
    return Scenario(hosts, tuple(story), Quality(delay_ns=DELAY_NS), 90 * NS_PER_S)


@on(_muted)
def no_second_holder_while_broadcast_passes(run: Run) -> None:
    """No two hosts hold the address for longer than a tie takes: twenty frames.

    Multicast is lost to and from one host, some or all of them, from the start or
    later, for a while or for ever.

    Preconditions: carppcap only, and no process killed or stalled; a host that is told
    to end gives up its address (-z); no frame but multicast is lost, and ten of them
    take less than a twentieth of the shortest master-down interval; scripts take no
    time; no host was cut off from broadcast while it was master.
    """
    for one, other in combinations(run.holders, 2):
        since, until = max(one.since, other.since), min(one.until, other.until)
        assert until - since <= TIE_NS, (
            f"{one.name} and {other.name} both hold the address from "
            f"{since / NS_PER_S:.6f} to {until / NS_PER_S:.6f}"
        )
