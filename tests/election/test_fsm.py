"""The full table: what every event does in every situation.

The situations all begin at 10 s, the events come at 10.25 s, `tick_due` comes at the
deadline.  We send 1/0 from 10.1.1.5, so our master-down interval is 3 s.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, get_args

import pytest

from carppcap.election.actions import State
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
    AdvertReceived,
    DemotionChanged,
    Event,
    FramesLost,
    LinkDown,
    LinkUp,
    ReplayRefused,
    SendFailed,
    SendSucceeded,
    SequenceContested,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.election.fsm import VirtualHost
from tests.builders import HIGHER, LOWER, config, counters, ns, words

EVENTS: dict[str, Event] = {
    "start": Start(),
    "stop": Stop(),
    "tick_early": Tick(),
    "tick_due": Tick(),
    "better": AdvertReceived(HIGHER, 0, 200, 99),
    "tie_lower": AdvertReceived(LOWER, 1, 0, 99),
    "tie_higher": AdvertReceived(HIGHER, 1, 0, 99),
    "worse": AdvertReceived(LOWER, 3, 0, 99),
    "too_slow": AdvertReceived(LOWER, 3, 1, 99),
    "farewell": AdvertReceived(LOWER, 255, 255, 99),
    "better_demoted": AdvertReceived(HIGHER, 0, 200, 99, demotion=1),
    "demotion": DemotionChanged(9),
    "contested": SequenceContested(),
    "refused": ReplayRefused(ns(1)),
    "link_up": LinkUp(),
    "link_down": LinkDown(),
    "frames_lost": FramesLost(),
    "step_down": StepDown(ns(5)),
    "send_failed": SendFailed(),
    "send_succeeded": SendSucceeded(),
    "acquired": AddressesAcquired(True),
    "acquire_failed": AddressesAcquired(False),
    "released": AddressesReleased(True),
    "release_failed": AddressesReleased(False),
    "lost": AddressesLost(),
}

TABLE = {
    "idle": """
BACKUP 13.25 | start          | INIT -> BACKUP startup, release
INIT   -     | stop tick_early tick_due better tie_lower tie_higher worse |
INIT   -     | too_slow farewell link_up link_down frames_lost step_down |
INIT   -     | send_failed send_succeeded acquired acquire_failed released |
INIT   -     | release_failed lost better_demoted demotion contested refused |
    """,
    "listening": """
BACKUP 13    | start tick_early link_up send_failed send_succeeded acquired |
BACKUP 13    | acquire_failed released release_failed lost |
BACKUP 13    | demotion contested refused |
MASTER 11.25 | better_demoted | BACKUP -> MASTER demotion, advert 1/0, acquire
INIT   -     | stop           | BACKUP -> INIT shutdown
MASTER 14    | tick_due       | BACKUP -> MASTER master_down, advert 1/0, acquire
BACKUP 13.25 | better tie_lower tie_higher worse frames_lost |
MASTER 11.25 | too_slow       | BACKUP -> MASTER master_too_slow, advert 1/0, acquire
MASTER 11.25 | farewell       | BACKUP -> MASTER master_too_slow, advert 1/0, acquire
BACKUP -     | link_down |
BACKUP 18.25 | step_down |
    """,
    "paused": """
BACKUP 18    | start tick_early link_up frames_lost send_failed send_succeeded |
BACKUP 18    | acquired acquire_failed released release_failed lost |
BACKUP 18    | demotion contested refused |
INIT   -     | stop           | BACKUP -> INIT shutdown
MASTER 19    | tick_due       | BACKUP -> MASTER master_down, advert 1/0, acquire
BACKUP 15    | better tie_lower tie_higher worse too_slow farewell |
BACKUP 15    | better_demoted |
BACKUP -     | link_down |
BACKUP 18.25 | step_down |
    """,
    "pause_over": """
BACKUP 13    | start tick_early link_up send_failed send_succeeded acquired |
BACKUP 13    | acquire_failed released release_failed lost |
BACKUP 13    | demotion contested refused |
MASTER 11.25 | better_demoted | BACKUP -> MASTER demotion, advert 1/0, acquire
INIT   -     | stop           | BACKUP -> INIT shutdown
MASTER 14    | tick_due       | BACKUP -> MASTER master_down, advert 1/0, acquire
BACKUP 13.25 | better tie_lower tie_higher worse frames_lost |
MASTER 11.25 | too_slow       | BACKUP -> MASTER master_too_slow, advert 1/0, acquire
MASTER 11.25 | farewell       | BACKUP -> MASTER master_too_slow, advert 1/0, acquire
BACKUP -     | link_down |
BACKUP 18.25 | step_down |
    """,
    "deaf": """
BACKUP -     | start tick_early tick_due better tie_lower tie_higher worse |
BACKUP -     | too_slow farewell link_down frames_lost step_down send_failed |
BACKUP -     | send_succeeded acquired acquire_failed released release_failed |
BACKUP -     | lost better_demoted demotion contested refused |
INIT   -     | stop           | BACKUP -> INIT shutdown
BACKUP 13.25 | link_up |
    """,
    "deaf_in_pause": """
BACKUP -     | start tick_early tick_due better tie_lower tie_higher worse |
BACKUP -     | too_slow farewell link_down frames_lost step_down send_failed |
BACKUP -     | send_succeeded acquired acquire_failed released release_failed |
BACKUP -     | lost better_demoted demotion contested refused |
INIT   -     | stop           | BACKUP -> INIT shutdown
BACKUP 18    | link_up |
    """,
    "deaf_after_pause": """
BACKUP -     | start tick_early tick_due better tie_lower tie_higher worse |
BACKUP -     | too_slow farewell link_down frames_lost step_down send_failed |
BACKUP -     | send_succeeded acquired acquire_failed released release_failed |
BACKUP -     | lost better_demoted demotion contested refused |
INIT   -     | stop           | BACKUP -> INIT shutdown
BACKUP 13.25 | link_up |
    """,
    "claiming": """
MASTER 11    | start tick_early tie_higher worse too_slow farewell link_up |
MASTER 11    | frames_lost send_failed send_succeeded released release_failed |
MASTER 11    | lost better_demoted refused |
MASTER 11    | demotion       | advert 1/9+9
MASTER 11    | contested      | advert 1/0
MASTER 11    | stop           | release
MASTER 11    | step_down      | release
MASTER 12    | tick_due       | advert 1/0
BACKUP 13.25 | better         | advert 1/0, MASTER -> BACKUP better_master, release
BACKUP 13.25 | tie_lower      | advert 1/0, MASTER -> BACKUP better_master, release
BACKUP -     | link_down      | MASTER -> BACKUP link_down, release
MASTER 11    | acquired       | announce
BACKUP 16.25 | acquire_failed | advert 255/255, MASTER -> BACKUP address_failed, release
    """,
    "holding": """
MASTER 11    | start tick_early link_up frames_lost send_failed send_succeeded |
MASTER 11    | released release_failed refused |
MASTER 11    | demotion       | advert 1/9+9
MASTER 11    | contested      | advert 1/0
MASTER 11    | better_demoted | announce
MASTER 11    | lost           | acquire
MASTER 11    | stop           | release
MASTER 11    | step_down      | release
MASTER 12    | tick_due       | advert 1/0
BACKUP 13.25 | better         | advert 1/0, MASTER -> BACKUP better_master, release
BACKUP 13.25 | tie_lower      | advert 1/0, MASTER -> BACKUP better_master, release
MASTER 11    | tie_higher     | announce
MASTER 11    | worse          | announce
MASTER 11    | too_slow       | announce
MASTER 11    | farewell       | announce
MASTER 11    | acquired       | announce
BACKUP -     | link_down      | MASTER -> BACKUP link_down, release
BACKUP 16.25 | acquire_failed | advert 255/255, MASTER -> BACKUP address_failed, release
    """,
    "claiming_again": """
MASTER 11    | start tick_early tie_higher worse too_slow farewell link_up |
MASTER 11    | frames_lost send_failed send_succeeded released release_failed |
MASTER 11    | lost better_demoted refused |
MASTER 11    | demotion       | advert 1/9+9
MASTER 11    | contested      | advert 1/0
MASTER 11    | stop           | release
MASTER 11    | step_down      | release
MASTER 12    | tick_due       | advert 1/0
BACKUP 13.25 | better         | advert 1/0, MASTER -> BACKUP better_master, release
BACKUP 13.25 | tie_lower      | advert 1/0, MASTER -> BACKUP better_master, release
BACKUP -     | link_down      | MASTER -> BACKUP link_down, release
MASTER 11    | acquired       | announce
BACKUP 16.25 | acquire_failed | advert 255/255, MASTER -> BACKUP address_failed, release
    """,
    "stepping_down": """
MASTER 11    | start stop tick_early tie_higher worse too_slow farewell link_up |
MASTER 11    | frames_lost step_down send_failed send_succeeded acquired |
MASTER 11    | acquire_failed lost better_demoted refused |
MASTER 11    | demotion       | advert 1/9+9
MASTER 11    | contested      | advert 1/0
MASTER 12    | tick_due       | advert 1/0
BACKUP 18.25 | better         | advert 1/0, MASTER -> BACKUP better_master
BACKUP 18.25 | tie_lower      | advert 1/0, MASTER -> BACKUP better_master
BACKUP -     | link_down      | MASTER -> BACKUP link_down
BACKUP 18.25 | released       | advert 255/255, MASTER -> BACKUP step_down
BACKUP 18.25 | release_failed | MASTER -> BACKUP step_down
    """,
    "shutting_down": """
MASTER 11    | start stop tick_early tie_higher worse too_slow farewell link_up |
MASTER 11    | frames_lost step_down send_failed send_succeeded acquired |
MASTER 11    | acquire_failed lost better_demoted refused |
MASTER 11    | demotion       | advert 1/9+9
MASTER 11    | contested      | advert 1/0
MASTER 12    | tick_due       | advert 1/0
INIT   -     | better         | advert 1/0, MASTER -> INIT shutdown
INIT   -     | tie_lower      | advert 1/0, MASTER -> INIT shutdown
INIT   -     | link_down      | MASTER -> INIT shutdown
INIT   -     | release_failed | MASTER -> INIT shutdown
INIT   -     | released       | advert 255/255, MASTER -> INIT shutdown
    """,
}


class Row(NamedTuple):
    situation: str
    event: str
    actions: str
    state: str
    deadline: str


def rows(situation: str) -> Iterator[Row]:
    """One row for each event of each line: `state deadline | events | actions`."""
    for line in TABLE[situation].strip().splitlines():
        after, events, actions = line.split("|")
        state, deadline = after.split()
        for event in events.split():
            yield Row(situation, event, actions.strip(), state, deadline)


ROWS = [row for situation in TABLE for row in rows(situation)]


def host(**changes: object) -> VirtualHost:
    return VirtualHost(config(farewell=True, **changes), counters())


def idle() -> VirtualHost:
    return host()


def listening() -> VirtualHost:
    it = host()
    it.handle(Start(), ns(10))
    return it


def paused() -> VirtualHost:
    """A BACKUP that pauses until 15 s, and then listens until 18 s."""
    it = listening()
    it.handle(StepDown(ns(5)), ns(10))
    return it


def deaf_in_pause() -> VirtualHost:
    """A BACKUP whose link is down while it pauses until 15 s."""
    it = paused()
    it.handle(LinkDown(), ns(10))
    return it


def pause_over() -> VirtualHost:
    """A BACKUP that paused until now, and still has its deadline at 13 s."""
    it = listening()
    it.handle(StepDown(0), ns(10))
    return it


def deaf_after_pause() -> VirtualHost:
    """A BACKUP whose link is down since before its pause ended, at 10.125 s."""
    it = listening()
    it.handle(StepDown(ns(0.125)), ns(10))
    it.handle(LinkDown(), ns(10))
    return it


def deaf() -> VirtualHost:
    """A BACKUP whose link is down."""
    it = listening()
    it.handle(LinkDown(), ns(10))
    return it


def claiming() -> VirtualHost:
    """A MASTER since 10 s whose up script still runs."""
    it = host()
    it.handle(Start(), ns(7))
    it.handle(Tick(), ns(10))
    return it


def holding() -> VirtualHost:
    """A MASTER that has announced its addresses at 10 s."""
    it = claiming()
    it.handle(AddressesAcquired(True), ns(10))
    return it


def claiming_again() -> VirtualHost:
    """A MASTER whose addresses were taken away at 10 s: the up script runs again."""
    it = holding()
    it.handle(AddressesLost(), ns(10))
    return it


def stepping_down() -> VirtualHost:
    """A MASTER that hands over as soon as its down script has ended."""
    it = holding()
    it.handle(StepDown(ns(5)), ns(10))
    return it


def shutting_down() -> VirtualHost:
    """A MASTER that leaves for good as soon as its down script has ended."""
    it = holding()
    it.handle(Stop(), ns(10))
    return it


SITUATIONS: dict[str, Callable[[], VirtualHost]] = {
    make.__name__: make
    for make in (
        idle, listening, paused, pause_over, deaf, deaf_in_pause, deaf_after_pause,
        claiming, holding, claiming_again, stepping_down, shutting_down,
    )
}  # fmt: skip


def test_every_event_stands_in_the_table_for_every_situation() -> None:
    """And every type of event in every state."""
    assert {(row.situation, row.event) for row in ROWS} == {
        (situation, event) for situation in SITUATIONS for event in EVENTS
    }
    assert len(ROWS) == len(SITUATIONS) * len(EVENTS)
    assert {
        (SITUATIONS[row.situation]().state, type(EVENTS[row.event])) for row in ROWS
    } == {(state, kind) for state in State for kind in get_args(Event)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.situation}-{row.event}")
def test_table(row: Row) -> None:
    """Actions in their order, then state and deadline after them."""
    it = SITUATIONS[row.situation]()
    at = ns(10.25) if row.event != "tick_due" else it.deadline or ns(99)

    actions = it.handle(EVENTS[row.event], at)

    assert ", ".join(words(actions)) == row.actions
    assert it.state.value == row.state
    assert it.deadline == (None if row.deadline == "-" else ns(float(row.deadline)))
