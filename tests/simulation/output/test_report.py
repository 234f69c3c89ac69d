"""Reports of when each host held the address."""

import pytest

from carppcap.election.actions import Cause, SendAdvert, State, StateChanged
from carppcap.election.events import Tick
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.simulation.model.happenings import Entry, Holding
from carppcap.simulation.output.report import (
    Distribution,
    Ledger,
    Report,
    Tenure,
    distribution,
)
from tests.simulation.groups import group

MEMBERS = group("carppcap", "ucarp").members


def report(*changes: tuple[int, str, bool], end: int = 100) -> Report:
    """Return the report of a run in which hosts took and dropped the address."""
    ledger = Ledger(MEMBERS)
    for at, name, holds in changes:
        ledger.note(Entry(at, name, Holding(holds)))
    return ledger.close(7, end)


ONE, TWO = "node1", "node2"


@pytest.mark.parametrize(
    ("changes", "first", "nobody", "several", "fail_overs"),
    [
        ([], None, 0, 0, ()),
        ([(10, ONE, True)], 10, 0, 0, ()),
        ([(0, ONE, True), (40, ONE, False)], 0, 60, 0, ()),
        ([(10, ONE, True), (40, ONE, False), (45, TWO, True)], 10, 5, 0, (5,)),
        ([(10, ONE, True), (40, TWO, True), (45, ONE, False)], 10, 0, 5, (0,)),
        ([(10, ONE, True), (40, ONE, False), (40, TWO, True)], 10, 0, 0, (0,)),
        (
            [
                (10, ONE, True), (20, ONE, False), (30, ONE, True),
                (40, TWO, True), (50, ONE, False), (60, TWO, False),
            ],
            10, 50, 10, (10, 0),
        ),
    ],
)  # fmt: skip
def test_accounts(
    changes: list[tuple[int, str, bool]],
    first: int | None,
    nobody: int,
    several: int,
    fail_overs: tuple[int, ...],
) -> None:
    """All sums of a run of 100 ns are right."""
    found = report(*changes)

    assert found.first_held_ns == first
    assert (found.nobody_ns, found.several_ns) == (nobody, several)
    assert found.fail_overs_ns == fail_overs
    assert found.nobody_at_end is (sum(1 if held else -1 for *_, held in changes) == 0)


def test_what_follows_from_the_accounts() -> None:
    """Availability counts from the first holder; harm is time without exactly one."""
    found = report((20, "node1", True), (60, "node1", False), (70, "node2", True))

    assert found.availability == 1 - 10 / 80
    assert found.harm_ns == 10
    assert [member.held_ns for member in found.hosts] == [40, 30]
    assert [member.kind for member in found.hosts] == ["carppcap", "ucarp"]


def test_nobody_ever() -> None:
    """A run without any holder is the worst there can be."""
    assert report().availability == 0
    assert report().harm_ns == report().duration_ns == 100


def test_tenures() -> None:
    """Tenures that do not end before are closed with the run."""
    ledger = Ledger(MEMBERS)
    for at, name, holds in (
        (1, "node1", True),
        (3, "node1", False),
        (4, "node2", True),
    ):
        ledger.note(Entry(at, name, Holding(holds)))
    ledger.close(1, 9)

    assert ledger.tenures == [Tenure("node1", 1, 3), Tenure("node2", 4, 9)]


def test_counters() -> None:
    """Adverts, changes of state and rejections are counted host by host."""
    ledger = Ledger(MEMBERS)
    advert = SendAdvert(1, 0, 5)
    changed = StateChanged(State.BACKUP, State.MASTER, Cause.MASTER_DOWN)
    for actions in ((changed, advert), (advert,), ()):
        step = Step(5, "eth0", 7, Tick(), actions, State.MASTER, None)
        ledger.note(Entry(5, "node2", step))
    for reason in (RejectReason.OWN, RejectReason.BADSUM, RejectReason.OWN):
        ledger.note(Entry(5, "node1", Rejection(reason)))
    found = ledger.close(1, 9)
    one, two = found.hosts

    assert (one.adverts, one.transitions) == (0, 0)
    assert (two.adverts, two.transitions, two.rejected) == (2, 1, {})
    assert one.rejected == {"badsum": 1, "own": 2}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], None),
        ([5], Distribution(1, 5, 5, 5, 5)),
        ([3, 1, 2], Distribution(3, 1, 2, 3, 3)),
        ([4, 1, 3, 2], Distribution(4, 1, 2, 4, 4)),
        (range(1, 201), Distribution(200, 1, 100, 198, 200)),
    ],
)
def test_distribution(values: list[float], expected: Distribution | None) -> None:
    """Each figure is one of the values (nearest rank)."""
    assert distribution(values) == expected
