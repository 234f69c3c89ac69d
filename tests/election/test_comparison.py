"""Adverts compared with us: reasons to take over, and to give way.

We advertise 1/20 with demotion 2 (1/22), so our master-down interval is 3 20/256 s.
"""

import pytest

from carppcap.election.actions import Cause
from carppcap.election.advertiser import Advertiser
from carppcap.election.comparison import (
    is_too_slow,
    reason_to_give_way,
    reason_to_take_over,
)
from carppcap.election.events import AdvertReceived
from tests.builders import HIGHER, config, counters

PREEMPTION, DEMOTION = Cause.PREEMPTION, Cause.DEMOTION
SLOW, BETTER = Cause.MASTER_TOO_SLOW, Cause.BETTER_MASTER


def theirs(rank: str) -> AdvertReceived:
    """Return the advert of a rank as it stands in timelines: `1/20+2`."""
    interval, _, demotion = rank.partition("+")
    advbase, advskew = map(int, interval.split("/"))
    return AdvertReceived(HIGHER, advbase, advskew, 99, demotion=int(demotion or 0))


@pytest.mark.parametrize(
    ("rank", "without", "with_preemption"),
    [
        ("1/22+2", None, None),
        ("1/23+2", None, PREEMPTION),
        ("1/23+1", None, None),
        ("1/23+3", DEMOTION, PREEMPTION),
        ("1/0+3", DEMOTION, DEMOTION),
        ("3/20+2", None, PREEMPTION),
        ("3/21+2", SLOW, PREEMPTION),
        ("3/21+1", None, None),
        ("255/255", SLOW, SLOW),
    ],
)
def test_reasons_to_take_over(
    rank: str, without: Cause | None, with_preemption: Cause | None
) -> None:
    """A farewell is heeded whoever sends it, a slow master if it is no better."""
    for preempt, expected in ((False, without), (True, with_preemption)):
        settings = config(advskew=20, demotion=2, preempt=preempt)
        ours = Advertiser(settings, counters())
        assert reason_to_take_over(theirs(rank), ours, settings) is expected


@pytest.mark.parametrize(
    ("rank", "expected", "in_a_lost_tie"),
    [
        ("1/22+2", None, BETTER),
        ("1/22+3", None, None),
        ("1/21+2", BETTER, BETTER),
        ("1/21+3", None, None),
        ("1/23+2", None, BETTER),
        ("1/23+1", DEMOTION, BETTER),
        ("255/255", DEMOTION, BETTER),
    ],
)
def test_reasons_to_give_way(
    rank: str, expected: Cause | None, in_a_lost_tie: Cause | None
) -> None:
    """Demotion comes before the interval, and a tie is lost as if it were longer."""
    ours = Advertiser(config(advskew=20, demotion=2), counters())

    assert reason_to_give_way(theirs(rank), ours, is_lost=False) is expected
    assert reason_to_give_way(theirs(rank), ours, is_lost=True) is in_a_lost_tie


@pytest.mark.parametrize(("rank", "expected"), [("3/20", False), ("3/21", True)])
def test_a_master_that_is_too_slow(rank: str, expected: bool) -> None:
    """Its interval is longer than our master-down interval."""
    assert is_too_slow(theirs(rank), config(advskew=20, demotion=2)) is expected
