"""The lines about multicast that is lost while broadcast arrives."""

import pytest

from carppcap.election.actions import Action, Cause, SendAdvert, State, StateChanged
from carppcap.election.events import AdvertReceived, Tick
from carppcap.log.deafness import PERIOD_NS, DeafnessLog
from carppcap.node.groups import GroupEvent, Step
from carppcap.node.ingress import SolicitationReceived
from tests.builders import HIGHER, LOWER, config, ns
from tests.shell import MemoryLog

HEARD = AdvertReceived(LOWER, 1, 0, 9, to_us=True)
ASKED = SolicitationReceived(9, HIGHER)
CLAIM = StateChanged(State.BACKUP, State.MASTER, Cause.MASTER_DOWN)
SENT = SendAdvert(1, 0, 9)


def step(
    event: GroupEvent,
    at: int,
    state: State = State.BACKUP,
    *actions: Action,
    refused: bool = False,
) -> Step:
    return Step(at, "eth0", 7, event, actions, state, None, refused=refused)


def said(*steps: Step) -> list[str]:
    log = MemoryLog()
    deafness = DeafnessLog(log, config())
    for each in steps:
        deafness.note(step(Tick(), each.at - ns(0.5), State.MASTER, SENT))
        deafness.note(each)
    assert {level for level, _ in log.lines} <= {"WARNING"}
    return [text.partition(",")[0] for _, text in log.lines]


@pytest.mark.parametrize(
    ("event", "state", "expected"),
    [
        (HEARD, State.BACKUP, ["Adverts of 10.1.1.4 arrive by broadcast only"]),
        (ASKED, State.MASTER, ["10.1.1.6 hears no adverts of this master"]),
        (ASKED, State.BACKUP, []),
        (AdvertReceived(LOWER, 1, 0, 9), State.BACKUP, []),
    ],
    ids=str,
)
def test_each_line_is_written_at_most_every_ten_minutes(
    event: GroupEvent, state: State, expected: list[str]
) -> None:
    """However many messages arrive."""
    moments = ns(100), ns(101), ns(100) + PERIOD_NS - 1, ns(100) + PERIOD_NS

    assert said(*(step(event, at, state) for at in moments)) == expected * 2


def test_cause_and_remedy_are_named() -> None:
    """An administrator may not know the word that the switch has for it."""
    log = MemoryLog()
    DeafnessLog(log, config()).note(step(HEARD, ns(1)))

    [(_, text)] = log.lines
    assert "IGMP or MLD snooping and no querier: enable a querier" in text


def test_a_new_master_is_asked_by_another_one() -> None:
    """Both have heard each other's adverts: nothing is lost."""
    claim = step(Tick(), ns(10), State.MASTER, CLAIM)

    assert said(claim, step(ASKED, ns(10.5), State.MASTER)) == []
    assert len(said(claim, step(ASKED, ns(11), State.MASTER))) == 1


def test_a_master_that_was_stalled_is_asked() -> None:
    """Its adverts were not lost, but not sent."""
    log = MemoryLog()
    deafness = DeafnessLog(log, config())
    deafness.note(step(Tick(), ns(10), State.MASTER, SENT))
    deafness.note(step(ASKED, ns(12.7), State.MASTER, SENT))
    assert log.lines == []

    deafness.note(step(ASKED, ns(13), State.MASTER, SENT))
    assert len(log.lines) == 1


def test_a_refused_message_proves_nothing() -> None:
    """It may be a replay."""
    refused = [step(each, ns(9), State.MASTER, refused=True) for each in (HEARD, ASKED)]

    assert said(*refused) == []
