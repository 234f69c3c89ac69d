"""One script at a time, and none for nothing."""

import pytest

from carppcap.election.script_queue import Job, Outcome, ScriptQueue

UP, DOWN, CONFLICT = Job


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([], []),
        ([UP], [UP]),
        ([UP, DOWN], [UP, DOWN]),
        ([UP, DOWN, UP], [UP]),
        ([UP, DOWN, UP, DOWN], [UP, DOWN]),
        ([DOWN, DOWN], [DOWN, DOWN]),
        ([DOWN, DOWN, DOWN], [DOWN, DOWN]),
        ([DOWN, UP, DOWN, UP, DOWN], [DOWN]),
        ([CONFLICT], [CONFLICT]),
        ([CONFLICT, DOWN], [CONFLICT, DOWN]),
        ([CONFLICT, DOWN, UP], [CONFLICT, UP]),
        ([CONFLICT, UP, DOWN], [CONFLICT, DOWN]),
        ([CONFLICT, DOWN, UP, DOWN], [CONFLICT, DOWN]),
    ],
)
def test_what_runs(requests: list[Job], expected: list[Job]) -> None:
    """All requests come while the first script still runs."""
    queue = ScriptQueue()
    ran = [job for job in map(queue.request, requests) if job is not None]
    while (job := queue.finished()) is not None:
        ran.append(job)

    assert ran == expected
    assert (queue.running, queue.waiting) == (None, None)


def test_a_script_that_has_ended_does_not_hold_up_the_next() -> None:
    """Only what still runs makes a request wait."""
    queue = ScriptQueue()

    assert queue.request(UP) is UP
    assert queue.request(DOWN) is None
    assert queue.finished() is DOWN
    assert queue.request(UP) is None
    assert queue.finished() is UP
    assert queue.finished() is None
    assert queue.request(DOWN) is DOWN


@pytest.mark.parametrize(
    ("exit_code", "error", "expected"),
    [
        (0, "", True),
        (1, "", False),
        (-9, "", False),
        (None, "", True),
        (None, "No such file or directory", False),
    ],
)
def test_success(exit_code: int | None, error: str, expected: bool) -> None:
    """It succeeds if none was configured, and fails if it is missing."""
    assert Outcome(UP, (), exit_code, error).succeeded is expected
