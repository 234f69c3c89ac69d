"""How long an address may outlive an advert: never until a peer has taken it over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.election.tenure import (
    GRACE_NS,
    LATENESS_NS,
    LIFETIME_MAX_S,
    REFRESH_NS,
    STALL_ALLOWED_NS,
    WINDOW_MIN_NS,
    Tenure,
    tenure,
)
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.builders import config


@pytest.mark.parametrize(
    ("settings", "expected_ms"),
    [
        pytest.param((1, 0, 3), (2650, 2000, 650, 0), id="default"),
        pytest.param((1, 254, 3), (2650, 2000, 650, 0), id="longest-interval"),
        pytest.param((1, 0, 2), (1650, 1000, 650, 0), id="ratio-2"),
        pytest.param((1, 38, 2), (1650, 1000, 650, 0), id="ratio-2-skew-38"),
        pytest.param((1, 128, 2), (2000, 1000, 1000, 350), id="ratio-2-skew-128"),
        pytest.param((1, 0, 1), (1500, 1000, 500, 850), id="ratio-1"),
        pytest.param((5, 0, 3), (14_650, 3000, 11_650, 0), id="longest-lifetime"),
        pytest.param((0, 64, 3), (750, 1000, 100, 700), id="below-a-second"),
        pytest.param((0, 128, 4), (1650, 1000, 650, 0), id="patient"),
    ],
)
def test_lifetimes(
    settings: tuple[int, int, int], expected_ms: tuple[int, int, int, int]
) -> None:
    """As long as possible under dead_ratio * advbase - 0.35 s, in whole seconds."""
    advbase, advskew, dead_ratio = settings
    kept, lifetime, window, overlap = (each * NS_PER_MS for each in expected_ms)

    times = tenure(config(advbase=advbase, advskew=advskew, dead_ratio=dead_ratio))

    assert times == Tenure(kept, lifetime // NS_PER_S, window, overlap)


@given(st.integers(0, 255), st.integers(1, 255), st.integers(1, 100))
def test_no_address_outlives_its_permission(
    advbase: int, advskew: int, dead_ratio: int
) -> None:
    """Whatever the settings: in time, or with an overlap that is told."""
    host = config(advbase=advbase, advskew=advskew, dead_ratio=dead_ratio)
    times = tenure(host)
    ended_ns = times.window_ns + times.lifetime_s * NS_PER_S + GRACE_NS

    taken_over_ns = host.master_down_interval_ns
    if advbase:
        taken_over_ns = dead_ratio * advbase * NS_PER_S
    assert max(ended_ns, times.kept_ns) <= taken_over_ns + times.overlap_ns
    assert times.kept_ns >= host.interval_ns + STALL_ALLOWED_NS
    assert 1 <= times.lifetime_s <= LIFETIME_MAX_S
    assert times.window_ns >= WINDOW_MIN_NS


@pytest.mark.parametrize(
    ("now_ms", "next_ms"),
    [(0, 600), (10, 600), (599, 600), (600, None), (3000, None)],
)
def test_refreshes_of_the_default(now_ms: int, next_ms: int | None) -> None:
    """At the advert, and once more just before the window closes."""
    expected = None if next_ms is None else 7 * NS_PER_S + next_ms * NS_PER_MS
    at = 7 * NS_PER_S

    found = tenure(config()).next_refresh(at, at + now_ms * NS_PER_MS)

    assert found == expected
    assert LATENESS_NS == 50 * NS_PER_MS


def test_refreshes_of_a_slow_group() -> None:
    """Every second, until the window closes."""
    times = tenure(config(advbase=5))
    instants, now = [], 0
    while (following := times.next_refresh(0, now)) is not None:
        instants.append(following)
        now = following

    assert instants == [
        *range(REFRESH_NS, 12 * NS_PER_S, REFRESH_NS),
        times.window_ns - LATENESS_NS,
    ]
