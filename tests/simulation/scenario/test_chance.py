"""Random numbers that are the same everywhere."""

import pytest

from carppcap.simulation.scenario.chance import Dice
from carppcap.units import NS_PER_MS


def test_the_row_is_that_of_splitmix64() -> None:
    """Seed 0 gives the first numbers that its authors publish."""
    dice = Dice(0)

    assert [dice.bits(64) for _ in range(3)] == [
        0xE220A8397B1DCDAF,
        0x6E789E6AA1B965F4,
        0x06C45D188009454F,
    ]


def test_a_fork_depends_on_seed_and_name_only() -> None:
    """Numbers drawn from other dice make no difference."""
    one, other = Dice(5), Dice(5)
    expected = one.fork("alpha").bits(64)
    other.fork("beta").bits(64)

    assert other.fork("alpha").bits(64) == expected
    assert len({Dice(n).fork(x).bits(64) for n in (5, 6) for x in ("a", "b", "")}) == 6


@pytest.mark.parametrize("count", [1, 16, 53, 64])
def test_bits(count: int) -> None:
    """Both halves of the range are used."""
    dice = Dice(1)
    drawn = [dice.bits(count) for _ in range(200)]

    assert all(0 <= number < 1 << count for number in drawn)
    assert 60 < sum(number >= 1 << (count - 1) for number in drawn) < 140


@pytest.mark.parametrize(
    ("chance", "least", "most"),
    [(0, 0, 0), (0.01, 2, 40), (0.5, 900, 1100), (1, 2000, 2000)],
)
def test_chances(chance: float, least: int, most: int) -> None:
    """0 never happens, 1 always does, and the rest as often as it should."""
    dice = Dice(2)

    assert least <= sum(dice.happens(chance) for _ in range(2000)) <= most


@pytest.mark.parametrize("most", [0, 1, 9, 10**12])
def test_numbers(most: int) -> None:
    """From 0 to the limit, which is reached where it can be."""
    dice = Dice(3)
    drawn = {dice.number(most) for _ in range(500)}

    assert min(drawn) >= 0
    assert max(drawn) <= most
    assert max(drawn) > 0.9 * most or most == 0


def test_times_are_whole_microseconds() -> None:
    """Times are whole microseconds, as timelines show no more."""
    dice = Dice(4)
    drawn = [dice.up_to(5 * NS_PER_MS) for _ in range(500)]

    assert all(time_ns % 1000 == 0 for time_ns in drawn)
    assert 0 <= min(drawn) < NS_PER_MS
    assert 4 * NS_PER_MS < max(drawn) <= 5 * NS_PER_MS
