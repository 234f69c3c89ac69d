"""A group that is run again from its events takes the same steps.

Every test of `tests/daemon/test_loop.py` checks this for the group of the daemon.
"""

from collections import Counter
from random import Random

import pytest

from carppcap.election.events import AdvertReceived
from carppcap.node.ingress import HintReceived
from carppcap.simulation.run import run
from carppcap.simulation.scenario.parts import Kind
from tests.node.rerun import RecordedGroup, record, run_again
from tests.properties.choices import Seeded
from tests.properties.laws import LAWS
from tests.simulation.groups import play
from tests.timelines import CASES, actual

SEEDS = 3

# A host whose clock was set back over a restart is told so by a hint, and a third sends
# again what it has captured of another one.
STORY = """
at 15s for 10s replay node1 every 300ms
at 30s step clock of node1 by -1h
at 31s for 1s crash node1
at 50s step down node1
"""


def kinds(recorded: list[RecordedGroup]) -> Counter[str]:
    """Return how many steps of each kind there are."""
    found: Counter[str] = Counter()
    for group in recorded:
        for step in group.steps:
            found[type(step.event).__name__] += 1
            found.update(type(action).__name__ for action in step.actions)
            if step.refusal is not None:
                found[step.refusal.reason.value] += 1
    return found


def test_a_group_with_steps_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are refused adverts, hints sent and received, and changes of state."""
    recorded = record(monkeypatch)
    play("carppcap", "carppcap", story=STORY, group={"flags": "-P -z"})

    for group in recorded:
        run_again(group)
    assert len(recorded) == 3  # one of the two was started twice
    found = kinds(recorded)
    assert found.keys() >= {
        "AdvertReceived", "HintReceived", "SendHint", "StateChanged", "StepDown",
        "replay", "stale",
    }  # fmt: skip


@pytest.mark.parametrize("kind", [AdvertReceived, HintReceived])
def test_without_events_of_one_kind_the_steps_differ(
    monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    """The steps depend on these events, so that `run_again` proves something."""
    recorded = record(monkeypatch)
    play("carppcap", "carppcap", story=STORY, group={"flags": "-P -z"})
    for group in recorded:
        group.steps = [s for s in group.steps if not isinstance(s.event, kind)]

    with pytest.raises(AssertionError):  # noqa: PT012 - one of them is enough
        for group in recorded:
            run_again(group)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("law", LAWS)
def test_simulated_groups(monkeypatch: pytest.MonkeyPatch, law: str, seed: int) -> None:
    """Every carppcap host of random clusters with random faults is run again."""
    recorded = record(monkeypatch)
    scenario, run_seed = LAWS[law].trial(Seeded(Random(f"again {law} {seed}")))
    run(scenario, run_seed)

    for group in recorded:
        run_again(group)
    kinds_started = {host.kind for host in scenario.members if host.start is not None}
    assert bool(recorded) is (Kind.CARPPCAP in kinds_started)


@pytest.mark.parametrize("case", CASES)
def test_captures(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """The groups of a replay are run again for each capture in fixtures."""
    recorded = record(monkeypatch)
    actual(case)

    for group in recorded:
        run_again(group)
    assert recorded
