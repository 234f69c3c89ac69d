"""Captures of real hosts, and what we would have done among them, line by line."""

import pytest

from tests.timelines import CASES, actual, expected_path


@pytest.mark.parametrize("case", CASES)
def test_timeline(case: str) -> None:
    """`make timelines` rewrites what is expected; its fixture says what happens."""
    assert actual(case) == expected_path(case).read_text("utf-8")


def test_there_are_captures() -> None:
    """An empty list would pass every test above."""
    assert len(CASES) >= 10
