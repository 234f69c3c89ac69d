"""The laws of any group of hosts, on clusters that Hypothesis thinks of.

`CARPPCAP_CLUSTERS` says how many in all; `make soak SEEDS=100000` tries many more.
"""

import os
import tomllib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carppcap.simulation.output.report import Run
from carppcap.simulation.run import run
from carppcap.simulation.scenario.document import parse_document
from tests.properties import soak
from tests.properties.choices import Drawn, Seeded
from tests.properties.document import as_toml
from tests.properties.law import Law
from tests.properties.laws import LAWS
from tests.simulation.groups import every_step

CLUSTERS = int(os.environ.get("CARPPCAP_CLUSTERS", "420"))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
@settings(max_examples=max(1, CLUSTERS // len(LAWS)))
@given(data=st.data())
def test_law(law: Law, data: st.DataObject) -> None:
    """What is claimed, and of whom, stands in the docstring of each law."""
    scenario, seed = law.trial(Drawn(data))

    objection = law.objection(scenario, seed)

    assert not objection, f"{objection}\n\n# seed: {seed}\n{as_toml(scenario)}"


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_every_law_states_its_preconditions(law: Law) -> None:
    """An administrator should know what a promise needs."""
    assert "Preconditions: " in (law.check.__doc__ or "")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_a_scenario_can_be_written_down(law: Law, seed: int) -> None:
    """And what is read again runs as what was drawn, line by line."""
    scenario, run_seed = law.trial(Seeded(Random(f"{law.name} {seed}")))

    again = parse_document(tomllib.loads(as_toml(scenario)), "test")

    assert run(again, run_seed).entries == run(scenario, run_seed).entries


def test_a_broken_law_is_printed_as_a_scenario(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A law that no cluster can keep: the least cluster is shown, and its table."""

    def nobody_ever_changes(result: Run) -> None:
        assert not every_step(result), "somebody moved"

    draw = LAWS["one_master_after_faults"].draw
    absurd = Law(draw, nobody_ever_changes)
    monkeypatch.setitem(LAWS, absurd.name, absurd)

    status = soak.soak(4, only=[absurd.name])

    output = capsys.readouterr().out
    assert status == 1
    assert "nobody_ever_changes, seed 0: somebody moved" in output
    _, _, rest = output.partition("# seed: ")
    shown = parse_document(tomllib.loads("# " + rest.split("\n\nnobody")[0]), "test")
    assert len(shown.members) == 2
    assert shown.story == ()
    assert output.splitlines()[-1].split()[:3] == ["all", "4", "4"]
