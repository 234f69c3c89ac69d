"""The instants that a situation derives from what it remembers."""

import pytest

from carppcap.election.situations import Listening, Paused
from tests.builders import ns


@pytest.mark.parametrize(
    ("asked_at", "next_at"),
    [
        (0, 57),
        (56.9, 57),
        pytest.param(57, 58.5, id="asked-once"),
        pytest.param(58, 58.5, id="asked-late"),
        pytest.param(58.5, 60, id="asked-twice"),
        pytest.param(59, 60, id="asked-too-late-to-ask-again"),
    ],
)
def test_a_backup_asks_twice_before_it_takes_over(
    asked_at: float, next_at: float
) -> None:
    """A tenth and a twentieth of its master-down interval of 30 s before."""
    listening = Listening(ns(60), ns(30), ns(asked_at))

    assert listening.deadline == ns(next_at)


def test_a_takeover_that_is_put_off_is_asked_about_again() -> None:
    """Nothing has to be reset for that."""
    listening = Listening(ns(60), ns(30), asked_at=ns(58.5))
    listening.extend_once(ns(80))

    assert listening.deadline == ns(77)


@pytest.mark.parametrize(("master_down_at", "next_at"), [(60, 57), (50.5, 50)])
def test_a_host_that_pauses_asks_nothing(master_down_at: float, next_at: float) -> None:
    """A deadline in the pause would wake it up again and again."""
    paused = Paused(ns(50), Listening(ns(master_down_at), ns(30)))

    assert paused.deadline == ns(next_at)
