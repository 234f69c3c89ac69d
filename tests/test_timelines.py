"""Captures of real hosts and simulated groups of hosts, line by line."""

from pathlib import Path

import pytest

from tests.timelines import CASES, SIMULATIONS, actual, expected_path, simulated


@pytest.mark.parametrize("case", CASES)
def test_timeline(case: str) -> None:
    """`make timelines` rewrites what is expected; its fixture says what happens."""
    assert actual(case) == expected_path(case).read_text("utf-8")


@pytest.mark.parametrize("scenario", SIMULATIONS, ids=lambda path: path.stem)
def test_simulation(scenario: Path) -> None:
    """`make timelines` rewrites what is expected; the scenario says what happens."""
    assert simulated(scenario) == scenario.with_suffix(".txt").read_text("utf-8")


def test_there_are_captures_and_scenarios() -> None:
    """Empty lists would pass every test above."""
    assert len(CASES) >= 10
    assert len(SIMULATIONS) >= 8
