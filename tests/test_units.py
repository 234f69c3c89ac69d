"""Instants, intervals and how they are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap import units

SECOND = 1_000_000_000
STEP = 3_906_250


def test_a_skew_step_is_exact() -> None:
    """256 steps are one second to the nanosecond, so equal ranks compare equal."""
    assert 256 * units.NS_PER_SKEW_STEP == units.NS_PER_S
    assert 1_000 * units.NS_PER_MS == 1_000_000 * units.NS_PER_US == units.NS_PER_S


@pytest.mark.parametrize(
    ("advbase", "advskew", "expected"),
    [
        pytest.param(1, 0, SECOND, id="default"),
        pytest.param(0, 1, STEP, id="smallest"),
        pytest.param(1, 100, SECOND + 100 * STEP, id="skewed"),
        pytest.param(255, 255, 255_996_093_750, id="farewell"),
    ],
)
def test_advert_interval(advbase: int, advskew: int, expected: int) -> None:
    """advbase + advskew/256 s."""
    assert units.advert_interval_ns(advbase, advskew) == expected


@pytest.mark.parametrize(
    ("advbase", "advskew", "dead_ratio", "expected"),
    [
        pytest.param(1, 0, 3, 3 * SECOND, id="default"),
        pytest.param(1, 100, 3, 3 * SECOND + 100 * STEP, id="skew-counts-once"),
        pytest.param(2, 100, 5, 10 * SECOND + 100 * STEP, id="other-ratio"),
        pytest.param(0, 20, 3, 60 * STEP, id="no-base-ratio-times-skew"),
        pytest.param(0, 255, 1, 255 * STEP, id="no-base-ratio-1"),
    ],
)
def test_master_down_interval(
    advbase: int, advskew: int, dead_ratio: int, expected: int
) -> None:
    """dead_ratio * advbase + advskew/256 s; without a base the skew is multiplied."""
    assert units.master_down_interval_ns(advbase, advskew, dead_ratio) == expected


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        pytest.param(0, "0.000000", id="zero"),
        pytest.param(3 * SECOND, "3.000000", id="seconds"),
        pytest.param(390_625_000, "0.390625", id="skew-100"),
        pytest.param(1_999_999_999, "1.999999", id="truncated-not-rounded"),
        pytest.param(999, "0.000000", id="below-a-microsecond"),
        pytest.param(-1_500_000_000, "-1.500000", id="negative"),
        pytest.param(100_000_001_000, "100.000001", id="microsecond"),
    ],
)
def test_format_seconds(duration_ns: int, expected: str) -> None:
    """Six decimals, truncated toward zero."""
    assert units.format_seconds(duration_ns) == expected


@given(st.integers(-(10**15), 10**15))
def test_format_seconds_keeps_whole_microseconds(duration_us: int) -> None:
    """A duration of whole microseconds, as capture files have them, loses nothing."""
    text = units.format_seconds(duration_us * units.NS_PER_US)

    assert int(text.replace(".", "")) == duration_us


@pytest.mark.parametrize(
    ("instants", "expected"),
    [((), None), ((None, None), None), ((3, None, -2, 0), -2)],
)
def test_earliest(instants: tuple[int | None, ...], expected: int | None) -> None:
    """None stands for "never"."""
    assert units.earliest(*instants) == expected
