"""The events that follow from the end of a script and from a stall."""

import pytest

from carppcap.addresses import Address
from carppcap.election.events import (
    STALL_NS,
    AddressesAcquired,
    AddressesReleased,
    FramesLost,
)
from carppcap.election.script_queue import Job, Outcome
from carppcap.node.outcomes import addresses_news, stall_news
from tests.builders import LOWER, OURS, VIP

BOTH = frozenset({VIP, LOWER})
ALL = BOTH | {OURS}
ONE = frozenset({VIP, OURS})
NONE = frozenset({OURS})


@pytest.mark.parametrize(
    ("exit_code", "held", "acquired", "released"),
    [
        (0, None, True, True),
        (0, ALL, True, True),
        (0, NONE, True, True),
        (None, NONE, True, True),  # there is no script
        (1, None, False, False),
        (1, ALL, True, False),
        (1, ONE, False, False),
        (1, NONE, False, True),
        (-9, ALL, True, False),
    ],
)
def test_a_script_that_failed_may_have_done_its_work(
    exit_code: int | None,
    held: frozenset[Address] | None,
    acquired: bool,
    released: bool,
) -> None:
    """What counts then is whether the addresses are on this host."""
    up = Outcome(Job.ACQUIRE, ("script",), exit_code)
    down = Outcome(Job.RELEASE, ("script",), exit_code)

    assert addresses_news(up, BOTH, held) == AddressesAcquired(acquired)
    assert addresses_news(down, BOTH, held) == AddressesReleased(released)


@pytest.mark.parametrize(
    ("exit_code", "held", "ok"),
    [(0, NONE, False), (0, None, False), (1, NONE, False), (0, ALL, True)],
)
def test_a_duplicate(exit_code: int, held: frozenset[Address] | None, ok: bool) -> None:
    """A script that succeeds is no proof then; but what is of others is not asked."""
    up = Outcome(Job.ACQUIRE, ("script",), exit_code)
    duplicates = frozenset({OURS if ok else VIP})

    news = addresses_news(up, BOTH, held, duplicates=duplicates)

    assert news == AddressesAcquired(ok)


@pytest.mark.parametrize(("held", "ok"), [(None, False), (ONE, False), (NONE, True)])
def test_a_down_script_succeeds_while_the_interface_is_stuck(
    held: frozenset[Address] | None, ok: bool
) -> None:
    """The addresses count as released only if none is on this host."""
    down = Outcome(Job.RELEASE, ("script",), 0)

    assert addresses_news(down, BOTH, held, is_stuck=True) == AddressesReleased(ok)


@pytest.mark.parametrize(
    ("lost", "due", "late_ns", "expected"),
    [
        (1, 5, STALL_NS + 1, FramesLost()),
        (1, 5, STALL_NS, None),
        (0, 5, STALL_NS + 1, None),
        (-3, 5, STALL_NS + 1, None),  # the capture was opened again
        (1, None, STALL_NS + 1, None),
    ],
)
def test_a_stall_is_reported_if_frames_were_lost(
    lost: int, due: int | None, late_ns: int, expected: FramesLost | None
) -> None:
    """There is no event unless the wake-up was late, too."""
    assert stall_news(lost, due, 5 + late_ns) == expected
