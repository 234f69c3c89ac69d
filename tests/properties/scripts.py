"""The law of up and down scripts."""

from dataclasses import replace
from itertools import pairwise

from carppcap.election.actions import AcquireAddresses, ReleaseAddresses
from carppcap.election.events import AddressesAcquired, AddressesReleased
from carppcap.simulation.model.happenings import Entry
from carppcap.simulation.output.report import Run
from carppcap.simulation.scenario.parts import Order, Scenario, Script, Verb
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.properties import faults, groups
from tests.properties.choices import Choices
from tests.properties.faults import lasting
from tests.properties.law import on
from tests.properties.reading import lives, steps

DURATION_NS = 30 * NS_PER_S


def _bad_scripts(choices: Choices) -> Scenario:
    hosts = tuple(
        replace(
            host,
            up=_any_script(choices, host.up),
            down=_any_script(choices, host.down),
            script_timeout_ns=choices.one_of((0, 0, NS_PER_S)),
            config=replace(host.config, neutral=choices.one_of((False, True))),
        )
        for host in groups.group(choices, groups.ours(choices, 3))
    )
    story = faults.random_faults(choices, hosts, most=6)
    if choices.one_of((False, True)):  # told to step down, and again while it does
        order = Order(Verb.STEP_DOWN, tuple(host.name for host in hosts))
        at_ns = choices.between(8_000, 20_000) * NS_PER_MS
        story += tuple(lasting(order, at_ns + n * 200 * NS_PER_MS) for n in range(3))
    return Scenario(hosts, story, faults.wire(choices, hosts), DURATION_NS)


def _any_script(choices: Choices, script: Script) -> Script:
    length_ns = choices.one_of((1, 1, 20)) * script.duration_ns
    exit_code = choices.one_of((0, 0, 0, 1, None))
    return replace(script, duration_ns=length_ns, exit_code=exit_code)


@on(_bad_scripts)
def acquire_and_release_alternate(run: Run) -> None:
    """Requests of the core alternate, and so do the scripts that run.

    The first request is the release at the start, or with -n an acquisition.  A request
    is not run if the opposite one follows in time; all others are, in their order.

    Preconditions: carppcap only; scripts may fail, hang, be killed or be missing.
    """
    for member, life in lives(run):
        asked = [
            isinstance(action, AcquireAddresses)
            for step in steps(life)
            for action in step.actions
            if isinstance(action, AcquireAddresses | ReleaseAddresses)
        ]
        ran = [
            isinstance(step.event, AddressesAcquired)
            for step in steps(life)
            if isinstance(step.event, AddressesAcquired | AddressesReleased)
        ]
        where = f"{member.name}: asked {asked}, ran {ran}"
        assert asked[:1] in ([], [member.config.neutral]), where
        assert all(before is not after for before, after in pairwise(asked)), where
        assert all(before is not after for before, after in pairwise(ran)), where
        assert len(ran) <= len(asked), where
        assert ran[:1] in ([], asked[:1]), where
        _check_pairs(life, where)


def _check_pairs(life: list[Entry], where: str) -> None:
    """Check that at most one request runs and one waits."""
    running: bool | None = None
    waiting: bool | None = None
    for step in steps(life):
        match step.event:
            case AddressesAcquired() | AddressesReleased():
                acquired = isinstance(step.event, AddressesAcquired)
                assert running is acquired, f"a script ran without a request: {where}"
                running, waiting = waiting, None
        for action in step.actions:
            if not isinstance(action, AcquireAddresses | ReleaseAddresses):
                continue
            wanted = isinstance(action, AcquireAddresses)
            if running is None:
                running = wanted
            else:
                waiting = None if waiting is not None else wanted
