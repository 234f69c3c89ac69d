"""The law of a change of password."""

from carppcap.node.ingress import Rejection, RejectReason
from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.document import PASSWORD_DEFAULT
from carppcap.simulation.scenario.parts import (
    Order,
    Scenario,
    Scene,
    SetPassword,
    Span,
    Verb,
)
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.properties import faults, groups
from tests.properties.choices import Choices
from tests.properties.faults import lasting
from tests.properties.groups import longest_script_ns
from tests.properties.law import on

NEW_PASSWORD = b"another"
STEPS = (
    (PASSWORD_DEFAULT, NEW_PASSWORD),
    (NEW_PASSWORD, PASSWORD_DEFAULT),
    (NEW_PASSWORD, b""),
)
"""Both lines of each passfile, step by step."""

_RESTARTS = (Verb.STOP, Verb.CRASH, Verb.KILL)


def _changing(choices: Choices) -> Scenario:
    hosts = groups.group(choices, groups.ours(choices))
    story: list[Scene] = []
    at_ns = choices.between(0, 8_000) * NS_PER_MS
    for first, second in STEPS:
        waiting = [host.name for host in hosts]
        while waiting:
            name = waiting.pop(choices.between(0, len(waiting) - 1))
            passfile = SetPassword((name,), first, second)
            # A new process waits for the scripts of the old one.
            off_ns = longest_script_ns(hosts) + choices.between(1, 4_000) * NS_PER_MS
            restart = Order(choices.one_of(_RESTARTS), (name,))
            story.append(Scene(Span(at_ns, at_ns), passfile))
            story.append(lasting(restart, at_ns, off_ns))
            at_ns += off_ns + choices.between(1, 4_000) * NS_PER_MS
    quality = faults.wire(choices, hosts)
    scenario = Scenario(hosts, tuple(story), quality, at_ns + 5 * NS_PER_S)
    return groups.perhaps_with_own_addresses(choices, scenario)


@on(_changing)
def a_change_of_password_loses_no_advert(run: Run) -> None:
    """No advert and no hint is refused for its digest.

    The hosts are started again one by one, in each of three steps: the new password is
    added as second line, the lines are swapped, the old one is removed.

    Preconditions: carppcap only; no step begins before the one before it has ended on
    all hosts; no bit is changed on the way.
    """
    for entry in run.entries:
        what = entry.what
        is_refused = isinstance(what, Rejection) and what.reason is RejectReason.BADAUTH
        assert not is_refused, f"{entry.name} refused an advert"
