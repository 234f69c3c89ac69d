"""Capture stamps on the monotonic clock, whatever happens to the wall clock."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.system.clock import CaptureClock, now_ns, wall_ns
from carppcap.units import NS_PER_MS, NS_PER_S

DELAY_NS = 20 * NS_PER_MS
WALL_AT_0 = 1_700_000_000 * NS_PER_S
HOUR = 3600 * NS_PER_S


def started(now: int = 0) -> CaptureClock:
    """Return a clock made a second ago, whose buffer was empty at `now`."""
    made = now - NS_PER_S
    clock = CaptureClock(made, WALL_AT_0 + made, DELAY_NS)
    clock.begin_turn(now, WALL_AT_0 + now)
    clock.buffer_is_empty()
    return clock


@dataclass(frozen=True)
class Case:
    """A turn at 100 ms after an empty buffer at 0; a frame stamped `at` by the wall.

    `step` is by how much the wall clock was set in between; the kernel
    stamps by the new time if `stamped_after` it, else by the old.
    """

    at: int
    expected: int
    step: int = 0
    stamped_after: bool = False


MS = NS_PER_MS
CASES = {
    "as it arrived": Case(at=70 * MS, expected=70 * MS),
    "just now": Case(at=100 * MS, expected=100 * MS),
    "while the turn ran": Case(at=101 * MS, expected=100 * MS),
    "held back since before the last turn": Case(at=-19 * MS, expected=-19 * MS),
    "too old to have been held back": Case(at=-21 * MS, expected=100 * MS),
    "from far away": Case(at=-HOUR, expected=100 * MS),
    "from the future": Case(at=HOUR, expected=100 * MS),
    "slewed by NTP": Case(at=70 * MS, expected=70 * MS - 50_000, step=50_000),
    "stepped forward, stamped before": Case(70 * MS, 100 * MS, step=HOUR),
    "stepped forward, stamped after": Case(70 * MS, 100 * MS, HOUR, True),
    "stepped back, stamped before": Case(70 * MS, 100 * MS, step=-HOUR),
    "stepped back, stamped after": Case(70 * MS, 100 * MS, -HOUR, True),
    "stepped by 5 ms": Case(70 * MS, 100 * MS, step=5 * MS),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_instant(case: Case) -> None:
    """A stamp counts if it is plausible; otherwise the frame counts as of now."""
    clock = started()

    clock.begin_turn(100 * MS, WALL_AT_0 + 100 * MS + case.step)
    stamp = WALL_AT_0 + case.at + (case.step if case.stamped_after else 0)

    assert clock.instant(stamp) == case.expected


def test_trust_returns_a_turn_after_a_step() -> None:
    """Stamps count again one turn after the wall clock was set."""
    clock = started()
    clock.begin_turn(100 * MS, WALL_AT_0 + HOUR + 100 * MS)
    clock.buffer_is_empty()
    clock.begin_turn(200 * MS, WALL_AT_0 + HOUR + 200 * MS)

    assert clock.instant(WALL_AT_0 + HOUR + 150 * MS) == 150 * MS


def test_a_stall_does_not_shift_what_waited() -> None:
    """Stopped for an hour: each frame counts from when it came, not from now."""
    clock = started()
    clock.begin_turn(HOUR, WALL_AT_0 + HOUR)

    stamps = [WALL_AT_0 + second * NS_PER_S for second in (1, 2, 3599)]

    assert [clock.instant(stamp) for stamp in stamps] == [
        1 * NS_PER_S,
        2 * NS_PER_S,
        3599 * NS_PER_S,
    ]


def test_what_arrives_while_we_read_is_of_the_next_turn() -> None:
    """Reading ends there in a flood; around a step of the clock it cannot be told."""
    clock = started()
    clock.begin_turn(100 * MS, WALL_AT_0 + 100 * MS)

    assert clock.is_of_next_turn(WALL_AT_0 + 100 * MS + 1)
    assert not clock.is_of_next_turn(WALL_AT_0 + 100 * MS)

    clock.begin_turn(200 * MS, WALL_AT_0 + HOUR + 200 * MS)

    assert not clock.is_of_next_turn(WALL_AT_0 + 2 * HOUR)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 10 * NS_PER_S),  # until the next turn
            st.sampled_from([0, 0, 0, 300, MS, -5 * NS_PER_S, HOUR, -HOUR]),  # step
            st.lists(st.integers(-2 * HOUR, 2 * HOUR), max_size=4),  # stamps
            st.booleans(),  # was the buffer emptied?
        ),
        max_size=12,
    )
)
def test_instants_never_decrease_nor_run_ahead(
    turns: list[tuple[int, int, list[int], bool]],
) -> None:
    """Whatever the clocks and stamps are, instants are in order and never after now."""
    now, wall = 0, WALL_AT_0
    clock = started()
    before = -NS_PER_S
    for passed, step, stamps, emptied in turns:
        now += passed
        wall += passed + step
        clock.begin_turn(now, wall)
        for offset in stamps:
            at = clock.instant(wall + offset)
            assert before <= at <= now
            before = at
        if emptied:
            clock.buffer_is_empty()


def test_the_clocks_are_those_of_the_machine() -> None:
    """They are those of Python: one cannot be set, the other counts from 1970."""
    first, second = now_ns(), now_ns()

    assert first <= second
    assert wall_ns() > WALL_AT_0
