"""The full table: what every event does in every situation.

The situations all begin at 10 s, the events come at 10.5 s; but `tick_due` comes at
`due`, and `tie_again` after a `tie_lower` at 10.25 s.  We send 1/0 from
10.1.1.5, so our master-down interval is 3 s.
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
    FormChanged,
    FramesLost,
    LinkDown,
    LinkUp,
    MacChanged,
    ReplayRefused,
    RivalHeard,
    SendFailed,
    SendSucceeded,
    SequenceContested,
    Solicited,
    Start,
    StepDown,
    Stop,
    Tick,
    TwinReceived,
)
from carppcap.election.fsm import VirtualHost
from carppcap.election.situations import Deaf, Leaving, Situation
from tests.builders import HIGHER, LOWER, VIP, config, counters, due, ns, words

EVENTS: dict[str, Event] = {
    "start": Start(),
    "stop": Stop(),
    "tick_early": Tick(),
    "tick_due": Tick(),
    "better": AdvertReceived(HIGHER, 0, 200, 99),
    "tie_lower": AdvertReceived(LOWER, 1, 0, 99),
    "tie_again": AdvertReceived(LOWER, 1, 0, 100),
    "tie_higher": AdvertReceived(HIGHER, 1, 0, 99),
    "worse": AdvertReceived(LOWER, 3, 0, 99),
    "too_slow": AdvertReceived(LOWER, 3, 1, 99),
    "farewell": AdvertReceived(LOWER, 255, 255, 99),
    "better_demoted": AdvertReceived(HIGHER, 0, 200, 99, demotion=1),
    "demotion": DemotionChanged(9),
    "contested": SequenceContested(),
    "solicited": Solicited(),
    "form": FormChanged(),
    "refused": ReplayRefused(ns(1)),
    "twin": TwinReceived(AdvertReceived(LOWER, 255, 255, 99)),
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
    "mac_changed": MacChanged(),
    "rival": RivalHeard(VIP, b"\2\0\0\0\0\x09"),
}

TABLE = {
    "idle": """
listening 13.5| start          | INIT -> BACKUP startup, release
idle -         | stop tick_early tick_due better tie_lower tie_again tie_higher worse |
idle -         | too_slow farewell link_up link_down frames_lost step_down |
idle -         | send_failed send_succeeded acquired acquire_failed released |
idle -         | release_failed lost better_demoted demotion contested form solicited |
idle -         | refused twin |
idle -         | mac_changed rival |
    """,
    "listening": """
listening 13   | start tick_early link_up send_failed send_succeeded acquired |
listening 13   | acquire_failed released release_failed lost |
listening 13   | demotion contested solicited form refused twin |
claiming 11.5 | better_demoted | BACKUP -> MASTER demotion, advert 1/0, solicit, acquire
idle -         | stop           | BACKUP -> INIT shutdown
claiming 14 | tick_due | BACKUP -> MASTER master_down, advert 1/0, solicit, acquire
listening 13.5| better tie_lower tie_again tie_higher worse frames_lost |
claiming 11.5| too_slow | BACKUP -> MASTER master_too_slow, advert 1/0, solicit, acquire
claiming 11.5| farewell | BACKUP -> MASTER master_too_slow, advert 1/0, solicit, acquire
deaf -         | link_down      |
paused 18.5   | step_down      |
listening 13   | mac_changed rival |
    """,
    "paused": """
paused 18      | start tick_early link_up frames_lost send_failed send_succeeded |
paused 18      | acquired acquire_failed released release_failed lost |
paused 18      | demotion contested solicited form refused twin |
idle -         | stop           | BACKUP -> INIT shutdown
claiming 19 | tick_due | BACKUP -> MASTER master_down, advert 1/0, solicit, acquire
paused 15      | better tie_lower tie_again tie_higher worse too_slow farewell |
paused 15      | better_demoted |
deaf_in_pause -| link_down      |
paused 18.5   | step_down      |
paused 18      | mac_changed rival |
    """,
    "pause_over": """
listening 13   | start tick_early link_up send_failed send_succeeded acquired |
listening 13   | acquire_failed released release_failed lost |
listening 13   | demotion contested solicited form refused twin |
claiming 11.5 | better_demoted | BACKUP -> MASTER demotion, advert 1/0, solicit, acquire
idle -         | stop           | BACKUP -> INIT shutdown
claiming 14 | tick_due | BACKUP -> MASTER master_down, advert 1/0, solicit, acquire
listening 13.5| better tie_lower tie_again tie_higher worse frames_lost |
claiming 11.5| too_slow | BACKUP -> MASTER master_too_slow, advert 1/0, solicit, acquire
claiming 11.5| farewell | BACKUP -> MASTER master_too_slow, advert 1/0, solicit, acquire
deaf -         | link_down      |
paused 18.5   | step_down      |
listening 13   | mac_changed rival |
    """,
    "deaf": """
deaf -         | start tick_early tick_due better tie_lower tie_again tie_higher worse |
deaf -         | too_slow farewell link_down frames_lost send_failed |
deaf_in_pause -| step_down      |
deaf -         | send_succeeded acquired acquire_failed released release_failed |
deaf -         | lost better_demoted demotion contested solicited form refused twin |
idle -         | stop           | BACKUP -> INIT shutdown
listening 13.5| link_up        |
deaf -         | mac_changed rival |
    """,
    "deaf_in_pause": """
deaf_in_pause -| start tick_early tick_due better tie_lower tie_again tie_higher worse |
deaf_in_pause -| too_slow farewell link_down frames_lost step_down send_failed |
deaf_in_pause -| send_succeeded acquired acquire_failed released release_failed |
deaf_in_pause -| lost better_demoted demotion contested solicited form refused twin |
idle -         | stop           | BACKUP -> INIT shutdown
paused 18      | link_up        |
deaf_in_pause -| mac_changed rival |
    """,
    "deaf_after_pause": """
deaf_in_pause -| start tick_early tick_due better tie_lower tie_again tie_higher worse |
deaf_in_pause -| too_slow farewell link_down frames_lost step_down send_failed |
deaf_in_pause -| send_succeeded acquired acquire_failed released release_failed |
deaf_in_pause -| lost better_demoted demotion contested solicited form refused twin |
idle -         | stop           | BACKUP -> INIT shutdown
listening 13.5| link_up        |
deaf_in_pause -| mac_changed rival |
    """,
    "claiming": """
claiming 11    | start tick_early worse too_slow farewell link_up |
claiming 11    | send_failed send_succeeded released release_failed |
claiming 11    | frames_lost    | solicit
claiming 11    | lost better_demoted refused twin |
claiming 11    | demotion       | advert 1/9+9
claiming 11    | contested solicited form | advert 1/0
claiming 11    | tie_higher     | advert 1/0
claiming 11    | tie_lower      | advert 1/0
listening 13.5  | tie_again      | advert 1/0, MASTER -> BACKUP better_master, release
shutting_down 11| stop           | release
stepping_down 11| step_down      | release
claiming 12    | tick_due       | advert 1/0
listening 13.5| better         | advert 1/0, MASTER -> BACKUP better_master, release
deaf -         | link_down      | MASTER -> BACKUP link_down, release
holding 11     | acquired       | announce
paused 16.5 | acquire_failed | advert 255/255, MASTER -> BACKUP address_failed, release
claiming 11    | mac_changed rival |
    """,
    "holding": """
holding 11     | start tick_early link_up send_failed send_succeeded |
holding 11     | frames_lost    | solicit
holding 11     | released release_failed refused |
holding 11     | demotion       | advert 1/9+9
holding 11     | contested solicited form | advert 1/0
holding 11     | better_demoted | announce
claiming 11    | lost           | acquire
shutting_down 11| stop           | release
stepping_down 11| step_down      | release
holding 12     | tick_due       | advert 1/0
listening 13.5| better         | advert 1/0, MASTER -> BACKUP better_master, release
holding 11     | tie_higher     | advert 1/0, announce
holding 11     | tie_lower      | advert 1/0, announce
listening 13.5  | tie_again      | advert 1/0, MASTER -> BACKUP better_master, release
holding 11     | worse          | announce
holding 11     | too_slow       | announce
holding 11     | farewell       | announce
holding 11     | twin           | announce
holding 11     | acquired       | announce
deaf -         | link_down      | MASTER -> BACKUP link_down, release
paused 16.5 | acquire_failed | advert 255/255, MASTER -> BACKUP address_failed, release
holding 11     | mac_changed    | announce
holding 10.55  | rival          |
    """,
    "claiming_again": """
claiming 11    | start tick_early worse too_slow farewell link_up |
claiming 11    | send_failed send_succeeded released release_failed |
claiming 11    | frames_lost    | solicit
claiming 11    | lost better_demoted refused twin |
claiming 11    | demotion       | advert 1/9+9
claiming 11    | contested solicited form | advert 1/0
claiming 11    | tie_higher     | advert 1/0
claiming 11    | tie_lower      | advert 1/0
listening 13.5  | tie_again      | advert 1/0, MASTER -> BACKUP better_master, release
shutting_down 11| stop           | release
stepping_down 11| step_down      | release
claiming 12    | tick_due       | advert 1/0
listening 13.5| better         | advert 1/0, MASTER -> BACKUP better_master, release
deaf -         | link_down      | MASTER -> BACKUP link_down, release
holding 11     | acquired       | announce
paused 16.5 | acquire_failed | advert 255/255, MASTER -> BACKUP address_failed, release
claiming 11    | mac_changed rival |
    """,
    "stepping_down": """
stepping_down 11| start tick_early worse too_slow farewell link_up |
shutting_down 11| stop           |
stepping_down 11| step_down send_failed send_succeeded acquired |
stepping_down 11| frames_lost    | solicit
stepping_down 11| acquire_failed lost better_demoted refused twin |
stepping_down 11| demotion       | advert 1/9+9
stepping_down 11| contested solicited form | advert 1/0
stepping_down 11| tie_higher     | advert 1/0
stepping_down 11| tie_lower      | advert 1/0
paused 18.5    | tie_again      | advert 1/0, MASTER -> BACKUP better_master
stepping_down 12| tick_due       | advert 1/0
paused 18.5   | better         | advert 1/0, MASTER -> BACKUP better_master
deaf_in_pause -| link_down      | MASTER -> BACKUP link_down
paused 18.5   | released       | advert 255/255, MASTER -> BACKUP step_down
paused 18.5   | release_failed | MASTER -> BACKUP step_down
stepping_down 11| mac_changed rival |
    """,
    "shutting_down": """
shutting_down 11| start stop tick_early worse too_slow farewell link_up |
shutting_down 11| step_down send_failed send_succeeded acquired |
shutting_down 11| frames_lost    | solicit
shutting_down 11| acquire_failed lost better_demoted refused twin |
shutting_down 11| demotion       | advert 1/9+9
shutting_down 11| contested solicited form | advert 1/0
shutting_down 11| tie_higher     | advert 1/0
shutting_down 11| tie_lower      | advert 1/0
idle -         | tie_again      | advert 1/0, MASTER -> INIT shutdown
shutting_down 12| tick_due       | advert 1/0
idle -         | better         | advert 1/0, MASTER -> INIT shutdown
idle -         | link_down      | MASTER -> INIT shutdown
idle -         | release_failed | MASTER -> INIT shutdown
idle -         | released       | advert 255/255, MASTER -> INIT shutdown
shutting_down 11| mac_changed rival |
    """,
}


STATES = {
    "idle": State.INIT,
    "listening": State.BACKUP,
    "paused": State.BACKUP,
    "deaf": State.BACKUP,
    "deaf_in_pause": State.BACKUP,
    "claiming": State.MASTER,
    "holding": State.MASTER,
    "stepping_down": State.MASTER,
    "shutting_down": State.MASTER,
}


class Row(NamedTuple):
    situation: str
    event: str
    actions: str
    after: str
    deadline: str


def rows(situation: str) -> Iterator[Row]:
    """One row for each event of each line: `after deadline | events | actions`."""
    for line in TABLE[situation].strip().splitlines():
        result, events, actions = line.split("|")
        after, deadline = result.split()
        for event in events.split():
            yield Row(situation, event, actions.strip(), after, deadline)


ROWS = [row for situation in TABLE for row in rows(situation)]


def name_of(situation: Situation) -> str:
    """Return the name that the table has for `situation`."""
    match situation:
        case Deaf(paused_until) if paused_until > 0:
            return "deaf_in_pause"
        case Leaving(to=State.INIT):
            return "shutting_down"
        case Leaving():
            return "stepping_down"
        case _:
            return type(situation).__name__.lower()


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
    """Actions in their order, then situation, state and deadline after them."""
    it = SITUATIONS[row.situation]()
    if row.event == "tie_again":
        it.handle(EVENTS["tie_lower"], ns(10.25))
    at = ns(10.5) if row.event != "tick_due" else due(it) or ns(99)

    actions = it.handle(EVENTS[row.event], at)

    assert ", ".join(words(actions)) == row.actions
    assert name_of(it.situation) == row.after
    assert it.state is STATES[row.after]
    assert due(it) == (None if row.deadline == "-" else ns(float(row.deadline)))
