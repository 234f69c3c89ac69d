"""Marked counters: their fields, and that a sequence uses none twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import carppcap.node
from carppcap.node.counter import (
    CLOCK_MAX,
    EPOCH_S,
    IDS,
    SIDESTEPS_MAX,
    TIME_MAX,
    UNITS_PER_S,
    CounterSequence,
    join,
    split,
    time_at,
)
from carppcap.units import NS_PER_S
from tests.builders import ns

TIMES = st.integers(0, TIME_MAX)
NUMBERS = st.integers(0, IDS - 1)
WALL_NS = (EPOCH_S + 1000) * NS_PER_S
"""A wall clock that reads 2020-01-01 00:16:40."""


def ids(*numbers: int) -> Iterator[int]:
    """Return ids to draw, instead of random ones."""
    return iter(numbers)


def sequence(*numbers: int, wall_ns: int = WALL_NS) -> CounterSequence:
    return CounterSequence(wall_ns, ns(5), ids(*numbers or (7,)).__next__)


def times(made: CounterSequence, *seconds: float) -> list[int]:
    """Return the times drawn at these seconds, in units since the start."""
    return [stamp_of(made, second)[0] - 1000 * UNITS_PER_S for second in seconds]


def stamp_of(made: CounterSequence, second: float) -> tuple[int, int]:
    stamp = split(made.draw(ns(second)))
    assert stamp is not None
    return stamp


@given(TIMES, NUMBERS)
def test_split_reverses_join(time: int, number: int) -> None:
    """A counter has 64 bits, for every time and id."""
    counter = join(time, number)

    assert 0 <= counter < 1 << 64
    assert split(counter) == (time, number)


@given(TIMES, NUMBERS, st.integers(1, (1 << 20) - 1))
def test_counting_on_loses_the_mark(time: int, number: int, n: int) -> None:
    """ucarp counts on from a counter that it hears.

    No step has the mark again until the low bits overflow into the id.
    """
    counter = join(time, number)
    low = counter % (1 << 20)

    assert split(counter - low + (low + n) % (1 << 20)) is None


def test_worked_example_of_the_document() -> None:
    """Two adverts of a host that started on 2026-11-29 at 07:00:00 UTC, with id 5e."""
    start_ns = 1_795_935_600 * NS_PER_S
    made = CounterSequence(start_ns, ns(0), lambda: 0x5E)
    counters = [f"{made.draw(ns(second)):016x}" for second in (0, 1)]
    counted_on = int(counters[1], 16) + 1

    document = Path(carppcap.node.__file__).with_name("README.rst").read_text("utf-8")
    for counter in counters:
        assert f"    {counter[:-7]} {counter[-7:-5]} {counter[-5:]} " in document
    assert f"{made.start:_}".replace("_", " ") in document
    assert f"\n0x{counted_on:016x}. " in document
    assert split(counted_on) is None


@pytest.mark.parametrize("bit", range(64))
def test_a_counter_with_another_bit_is_another_one(bit: int) -> None:
    """It has another time or id, or is not marked."""
    assert split(join(123_456_789, 77) ^ 1 << bit) != (123_456_789, 77)


def test_few_arbitrary_numbers_look_marked() -> None:
    """It is one in a million, and none of the smallest and greatest."""
    marked = [n for n in range(0, 1 << 64, (1 << 64) // 100_003) if split(n)]

    assert len(marked) < 5
    assert [n for n in range(-1000, 1000) if split(n % (1 << 64))] == []


@pytest.mark.parametrize(
    ("seconds", "time"),
    [
        (EPOCH_S, 0),
        (EPOCH_S + 1, UNITS_PER_S),
        (EPOCH_S + CLOCK_MAX // UNITS_PER_S, CLOCK_MAX // UNITS_PER_S * UNITS_PER_S),
        (EPOCH_S - 1, 0),
        (0, 0),
        (EPOCH_S + CLOCK_MAX // UNITS_PER_S + 1, 0),
    ],
)
def test_a_clock_that_must_be_wrong_counts_as_unset(seconds: int, time: int) -> None:
    """It reads 1970, after a boot without a battery, or a year after 2071."""
    assert time_at(seconds * NS_PER_S) == time


def test_time_has_parts_of_a_second() -> None:
    """A unit is 1/32 s."""
    assert time_at(EPOCH_S * NS_PER_S + NS_PER_S // UNITS_PER_S - 1) == 0
    assert time_at(EPOCH_S * NS_PER_S + NS_PER_S // UNITS_PER_S) == 1


def test_time_continues_from_the_clock_at_the_start() -> None:
    """The instants that are passed in continue it."""
    made = sequence()

    assert made.start == 1000 * UNITS_PER_S
    assert times(made, 5, 6, 6.5, 65) == [0, 32, 48, 60 * 32]


def test_counters_that_are_not_used_up() -> None:
    """They are those that would be drawn next, one after the other."""
    made = sequence()
    made.draw(ns(5))

    peeked = [made.peek(ns(6), ahead) for ahead in (0, 1, 0)]

    assert [made.draw(ns(6)), made.draw(ns(6))] == peeked[:2]
    assert peeked[2] == peeked[0]
    made.raise_beyond(join(TIME_MAX - 1, made.id), ns(7))
    assert made.peek(ns(7), 1) == join(TIME_MAX, made.id)


def test_no_counter_comes_twice() -> None:
    """With more than 32 adverts a second, the time runs ahead of the clock."""
    made = sequence()

    assert times(made, 5, 5, 5.01, 5.125, 5.125, 5.25) == [0, 1, 2, 4, 5, 8]


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
def test_time_always_grows(gaps_ns: list[int]) -> None:
    """Any time may pass between two adverts, also none."""
    made, now, drawn = sequence(), ns(5), []
    for gap_ns in gaps_ns:
        now += gap_ns
        drawn.append(made.draw(now))

    assert drawn == sorted(set(drawn))
    assert all(split(counter) is not None for counter in drawn)


def test_another_id_is_drawn_when_a_peer_has_ours() -> None:
    """The time continues."""
    made = sequence(7, 9)
    first = stamp_of(made, 5)
    for counter in (join(first[0] + 1, 8), join(first[0] + 1, 7) + 1, 7):
        made.avoid(counter)
        assert made.id == 7
    made.avoid(join(first[0] + 1, 7))

    assert made.id == 9
    assert (first[1], stamp_of(made, 5)) == (7, (first[0] + 1, 9))


def test_our_own_counters_do_not_change_our_id() -> None:
    """An attacker can send them back.

    If that made us draw another id, our last adverts under the old one would stay good
    for all peers that have missed them.
    """
    made = sequence(7, *[1] * 1000)
    sent = [made.draw(ns(5 + second)) for second in range(100)]
    for counter in sent * 3:
        made.avoid(counter)

    assert made.id == 7
    # It goes ahead of the clock for a twin, but not further than clocks may differ.
    assert times(made, 105) == [100 * UNITS_PER_S + 3]
    for second in range(106, 306):
        made.avoid(made.draw(ns(second)))
    assert times(made, 306) == [301 * UNITS_PER_S + SIDESTEPS_MAX]


@given(st.lists(st.integers(0, 1), min_size=64, max_size=64), st.integers(0, 9))
def test_twins_part(bits: list[int], phase: int) -> None:
    """They began at one time with one id; the first one behind draws another."""
    ours = sequence(7, *bits[:32], *range(8, 108))
    theirs = sequence(7, *bits[32:], *range(108, 208))
    assume(bits[:32] != bits[32:])
    for second in range(6, 40):
        sent = ours.draw(ns(second)), theirs.draw(ns(second) + phase)
        ours.avoid(sent[1])
        theirs.avoid(sent[0])

    assert ours.id != theirs.id


def raised(made: CounterSequence, heard: int, now: int) -> bool:
    """True if `made` was behind what a peer has heard; then it goes beyond that."""
    is_behind = made.is_behind(heard, now)
    if is_behind:
        made.raise_beyond(heard, now)
    return is_behind


def test_a_sequence_that_is_behind_is_raised() -> None:
    """It goes beyond what a peer has heard, and from there at the pace of the clock."""
    made = sequence()
    heard = made.start + 500

    assert raised(made, join(heard, 7), ns(6))
    assert stamp_of(made, 6) == (heard + 1, 7)
    assert stamp_of(made, 8) == (heard + 1 + 64, 7)


def test_a_sequence_ahead_of_its_clock_is_raised() -> None:
    """It is behind from the next counter on, not from the clock on."""
    made = sequence()
    for _ in range(100):
        made.draw(ns(5))

    assert not raised(made, join(made.start + 99, 7), ns(5))
    assert raised(made, join(made.start + 100, 7), ns(5))
    assert stamp_of(made, 5) == (made.start + 101, 7)


def test_a_sequence_is_raised_twice() -> None:
    """A second peer may have heard a later counter than the first."""
    made = sequence()

    assert raised(made, join(made.start + 500, 7), ns(5))
    assert not raised(made, join(made.start + 500, 7), ns(5))
    assert raised(made, join(made.start + 800, 7), ns(5))
    assert stamp_of(made, 5) == (made.start + 801, 7)


@pytest.mark.parametrize(
    "counter",
    [
        join(1000 * UNITS_PER_S + 31, 7),  # ours will be later
        join(1000 * UNITS_PER_S + 500, 8),  # the id of another sender
        join(1000 * UNITS_PER_S + 500, 7) + 1,  # it is not marked
        join(TIME_MAX, 7),  # there is no later one
    ],
)
def test_counters_that_do_not_raise_a_sequence(counter: int) -> None:
    """The next counter is that of the clock."""
    made = sequence()

    assert not raised(made, counter, ns(6))
    assert times(made, 6) == [32]


def test_a_hint_to_an_earlier_id_raises_a_sequence() -> None:
    """It was on its way when another id was drawn."""
    made = sequence(7, 9)
    made.avoid(join(0, 7))
    assert made.id == 9

    assert raised(made, join(made.start + 500, 7), ns(5))
    assert stamp_of(made, 5) == (made.start + 501, 9)


def test_the_end_of_time() -> None:
    """The last time is repeated; no time has more than 36 bits."""
    made = sequence()

    assert raised(made, join(TIME_MAX - 1, 7), ns(5))
    assert [stamp_of(made, 5)[0] for _ in range(3)] == [TIME_MAX] * 3
