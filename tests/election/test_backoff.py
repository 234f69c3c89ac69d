"""The pauses after failures of the up script."""

from carppcap.election.backoff import Backoff
from tests.builders import ns


def pauses(backoff: Backoff, failures: int) -> list[int]:
    """The pause before each of so many failures."""
    found = []
    for _ in range(failures):
        found.append(backoff.pause_ns // ns(1))
        backoff.note_failure()
    return found


def test_each_failure_doubles_the_pause_up_to_a_minute() -> None:
    """Also after a thousand failures."""
    backoff = Backoff()

    assert pauses(backoff, 7) == [3, 6, 12, 24, 48, 60, 60]
    assert pauses(backoff, 1000) == [60] * 1000


def test_a_success_starts_again_at_three_seconds() -> None:
    """However many failures came before."""
    backoff = Backoff()
    pauses(backoff, 5)
    backoff.note_success()

    assert pauses(backoff, 2) == [3, 6]
