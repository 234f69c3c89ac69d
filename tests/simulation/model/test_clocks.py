"""Clocks that drift, and clocks that are set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.simulation.model.clocks import Clock
from carppcap.units import NS_PER_S

INSTANTS = st.integers(min_value=0, max_value=10**18)
DRIFTS = st.integers(min_value=-100_000, max_value=100_000)


@pytest.mark.parametrize(
    ("drift_ppm", "expected_s"), [(0, 1000), (100_000, 1100), (-100_000, 900)]
)
def test_drift(drift_ppm: int, expected_s: int) -> None:
    """Clocks with a drift show a true 1000 s as more or less."""
    assert Clock(drift_ppm).monotonic(1000 * NS_PER_S) == expected_s * NS_PER_S


@given(INSTANTS, DRIFTS)
def test_a_deadline_is_reached_and_not_missed(deadline: int, drift_ppm: int) -> None:
    """The true instant of a deadline is the first at which the clock reads it."""
    clock = Clock(drift_ppm)
    true = clock.true(deadline)

    assert clock.monotonic(true) >= deadline
    assert clock.monotonic(true - 1) < deadline


def test_only_the_wall_clock_can_be_set() -> None:
    """A step moves the wall clock, which then goes on from there."""
    clock = Clock()
    clock.step(-5 * NS_PER_S)
    clock.step(2 * NS_PER_S)

    assert clock.monotonic(10 * NS_PER_S) == 10 * NS_PER_S
    assert clock.wall(10 * NS_PER_S) == 7 * NS_PER_S
