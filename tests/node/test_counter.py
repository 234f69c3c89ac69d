"""Counters that tell their order: what is in them, and that none comes twice."""

from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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
"""A clock that reads 2020-01-01 00:16:40."""


def ids(*numbers: int) -> Iterator[int]:
    """What the kernel would draw."""
    return iter(numbers)


def sequence(*numbers: int, wall_ns: int = WALL_NS) -> CounterSequence:
    return CounterSequence(wall_ns, ns(5), ids(*numbers or (7,)).__next__)


def times(made: CounterSequence, *seconds: float) -> list[int]:
    """The times drawn at these instants, in units since the clock it began with."""
    return [stamp_of(made, second)[0] - 1000 * UNITS_PER_S for second in seconds]


def stamp_of(made: CounterSequence, second: float) -> tuple[int, int]:
    stamp = split(made.draw(ns(second)))
    assert stamp is not None
    return stamp


@given(TIMES, NUMBERS)
def test_what_is_joined_can_be_split(time: int, number: int) -> None:
    """For every time and id, in 64 bits."""
    counter = join(time, number)

    assert 0 <= counter < 1 << 64
    assert split(counter) == (time, number)


@given(TIMES, NUMBERS, st.integers(1, (1 << 20) - 1))
def test_who_counts_on_leaves_the_mark_behind(time: int, number: int, n: int) -> None:
    """The original does, from a counter it has heard: no step finds a mark again,
    until the low bits run over, where another number begins."""
    counter = join(time, number)
    low = counter % (1 << 20)

    assert split(counter - low + (low + n) % (1 << 20)) is None


@pytest.mark.parametrize("bit", range(64))
def test_every_bit_counts(bit: int) -> None:
    """Another time, id or mark is another counter."""
    assert split(join(123_456_789, 77) ^ 1 << bit) != (123_456_789, 77)


def test_few_arbitrary_numbers_look_marked() -> None:
    """About one in a million; and neither the first nor the last few of them."""
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
    """1970, after a boot without a battery; or a year that is not yet due."""
    assert time_at(seconds * NS_PER_S) == time


def test_parts_of_a_second_count() -> None:
    """A unit is 1/32 s."""
    assert time_at(EPOCH_S * NS_PER_S + NS_PER_S // UNITS_PER_S - 1) == 0
    assert time_at(EPOCH_S * NS_PER_S + NS_PER_S // UNITS_PER_S) == 1


def test_time_is_carried_on_from_the_clock_at_the_start() -> None:
    """By the instants that are passed in."""
    made = sequence()

    assert made.start == 1000 * UNITS_PER_S
    assert times(made, 5, 6, 6.5, 65) == [0, 32, 48, 60 * 32]


def test_no_number_comes_twice() -> None:
    """More than 32 adverts a second run ahead of the clock."""
    made = sequence()

    assert times(made, 5, 5, 5.01, 5.125, 5.125, 5.25) == [0, 1, 2, 4, 5, 8]


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=20))
def test_time_always_grows(gaps_ns: list[int]) -> None:
    """Whatever time passes in between, none among it."""
    made, now, drawn = sequence(), ns(5), []
    for gap_ns in gaps_ns:
        now += gap_ns
        drawn.append(made.draw(now))

    assert drawn == sorted(set(drawn))
    assert all(split(counter) is not None for counter in drawn)


def test_another_id_is_drawn_when_somebody_else_has_ours() -> None:
    """The time goes on."""
    made = sequence(7, 9)
    first = stamp_of(made, 5)
    for counter in (join(first[0] + 1, 8), join(first[0] + 1, 7) + 1, 7):
        made.avoid(counter)
        assert made.id == 7
    made.avoid(join(first[0] + 1, 7))

    assert made.id == 9
    assert (first[1], stamp_of(made, 5)) == (7, (first[0] + 1, 9))


def test_what_we_have_sent_may_come_back() -> None:
    """From an attacker: who could make us change our id would save what was said
    under the old one for those who have not heard it."""
    made = sequence(7, *[1] * 1000)
    sent = [made.draw(ns(5 + second)) for second in range(100)]
    for counter in sent * 3:
        made.avoid(counter)

    assert made.id == 7
    # As far ahead of the clock as one may be taken for another, and no further.
    assert times(made, 105) == [100 * UNITS_PER_S + 3]
    for second in range(106, 306):
        made.avoid(made.draw(ns(second)))
    assert times(made, 306) == [301 * UNITS_PER_S + SIDESTEPS_MAX]


@given(st.lists(st.integers(0, 1), min_size=64, max_size=64), st.integers(0, 9))
def test_who_began_with_us_under_our_id(bits: list[int], phase: int) -> None:
    """Sends what we send, until chance parts us: then the one behind draws another."""
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


def test_a_lagging_one_is_raised() -> None:
    """Beyond what a peer has heard, and from there on at the pace of the clock."""
    made = sequence()
    heard = made.start + 500

    assert raised(made, join(heard, 7), ns(6))
    assert stamp_of(made, 6) == (heard + 1, 7)
    assert stamp_of(made, 8) == (heard + 1 + 64, 7)


def test_it_is_raised_from_where_it_is() -> None:
    """Also where adverts had run ahead of the clock."""
    made = sequence()
    for _ in range(100):
        made.draw(ns(5))

    assert not raised(made, join(made.start + 99, 7), ns(5))
    assert raised(made, join(made.start + 100, 7), ns(5))
    assert stamp_of(made, 5) == (made.start + 101, 7)


def test_raised_twice() -> None:
    """What a second peer has heard is on top of what the first had."""
    made = sequence()

    assert raised(made, join(made.start + 500, 7), ns(5))
    assert not raised(made, join(made.start + 500, 7), ns(5))
    assert raised(made, join(made.start + 800, 7), ns(5))
    assert stamp_of(made, 5) == (made.start + 801, 7)


@pytest.mark.parametrize(
    "counter",
    [
        join(1000 * UNITS_PER_S + 31, 7),  # we are beyond that anyway
        join(1000 * UNITS_PER_S + 500, 8),  # somebody else's
        join(1000 * UNITS_PER_S + 500, 7) + 1,  # no such number
        join(TIME_MAX, 7),  # there is nothing beyond
    ],
)
def test_what_does_not_raise_it(counter: int) -> None:
    """Nothing changes."""
    made = sequence()

    assert not raised(made, counter, ns(6))
    assert times(made, 6) == [32]


def test_what_was_said_of_an_earlier_id_still_holds() -> None:
    """It was on its way when we drew another one."""
    made = sequence(7, 9)
    made.avoid(join(0, 7))
    assert made.id == 9

    assert raised(made, join(made.start + 500, 7), ns(5))
    assert stamp_of(made, 5) == (made.start + 501, 9)


def test_the_end_of_time() -> None:
    """Nothing beyond 36 bits, nor a number that is not marked."""
    made = sequence()

    assert raised(made, join(TIME_MAX - 1, 7), ns(5))
    assert [stamp_of(made, 5)[0] for _ in range(3)] == [TIME_MAX] * 3
