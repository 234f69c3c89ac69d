"""A virtual host and its own adverts: failures to send, and counters."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.election.actions import (
    AcquireAddresses,
    AnnounceAddresses,
    RivalAnswered,
    SendAdvert,
    SendSolicitation,
)
from carppcap.election.advertiser import OWN_COUNTERS_MAX
from carppcap.election.events import Event, SendFailed, SendSucceeded
from carppcap.election.fsm import VirtualHost
from tests.builders import config, counters, ns, words
from tests.election.test_fsm_conversations import (
    CLAIM,
    MASTER_AT_3,
    PREEMPT,
    START,
    YIELD,
    converse,
    event_named,
)

FAILED, SENT = SendFailed(), SendSucceeded()


@pytest.mark.parametrize(
    ("feedback", "advskew", "expected"),
    [
        pytest.param([FAILED] * 2, 0, 0, id="two-are-bad-luck"),
        pytest.param([FAILED] * 3, 0, 240, id="three-suppress"),
        pytest.param([FAILED] * 9, 0, 240, id="more-do-no-more"),
        pytest.param([FAILED] * 3, 250, 250, id="never-lowered"),
        pytest.param([FAILED, FAILED, SENT, FAILED, FAILED], 0, 0, id="in-a-row"),
        pytest.param([FAILED] * 3 + [SENT] * 2, 0, 240, id="two-are-no-cure"),
        pytest.param([FAILED] * 3 + [SENT] * 3, 0, 0, id="three-cure"),
        pytest.param([FAILED] * 9 + [SENT] * 3, 0, 0, id="three-cure-any-number"),
        pytest.param(
            [FAILED] * 3 + [SENT] * 2 + [FAILED] + [SENT] * 2, 0, 240, id="in-a-row-too"
        ),
        pytest.param(
            [FAILED] * 3 + [SENT] * 3 + [FAILED] * 2, 0, 0, id="cured-counts-from-zero"
        ),
        pytest.param(
            ([FAILED] * 3 + [SENT] * 3) * 2, 0, 0, id="cured-twice"
        ),
        pytest.param(
            [FAILED] * 3 + [SENT] * 3 + [FAILED] * 3 + [SENT] * 2, 0, 240, id="again"
        ),
    ],
)  # fmt: skip
def test_failures_to_send_raise_the_skew(
    feedback: list[Event], advskew: int, expected: int
) -> None:
    """Three failures in a row raise the skew to 240, three successes undo it."""
    host = VirtualHost(config(advskew=advskew), counters())
    for event in feedback:
        assert host.handle(event, 0) == []

    assert host.interval_ns == ns(1 + expected / 256)


def test_a_raised_skew_is_advertised_and_compared() -> None:
    """The next advert carries it, the interval is longer, and others are better."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{MASTER_AT_3}
3.25   send_failed     | MASTER 4      |
3.5    send_failed     | MASTER 4      |
3.75   send_failed     | MASTER 4      |
4      tick            | MASTER 5.9375 | advert 1/240
4.5    hear 1/241 .4   | MASTER 5.9375 | announce
4.75   hear 1/240 .6   | MASTER 5.9375 | advert 1/240, announce
5      hear 1/239 .6   | BACKUP 8      | {YIELD.replace("1/0", "1/240")}
8      tick            | MASTER 9.9375 | {CLAIM.replace("1/0", "1/240")}""",
    )


def test_a_raised_skew_can_tie() -> None:
    """The order of addresses decides between two hosts that cannot send."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{MASTER_AT_3}
3.25   send_failed     | MASTER 4      |
3.25   send_failed     | MASTER 4      |
3.25   send_failed     | MASTER 4      |
3.5    hear 1/240 .6   | MASTER 4      | advert 1/240, announce
3.75   hear 1/240 .4   | MASTER 4      | advert 1/240, announce
3.875  hear 1/240 .4   | BACKUP 6.875  | {YIELD.replace("1/0", "1/240")}""",
    )


def test_a_raised_skew_does_not_preempt() -> None:
    """A host that cannot send does not preempt one that can."""
    host = VirtualHost(config(preempt=True), counters())
    converse(
        host,
        f"""{START}
1      send_failed     | BACKUP 3      |
1      send_failed     | BACKUP 3      |
1      send_failed     | BACKUP 3      |
2      hear 1/240 .6   | BACKUP 5      |
3      hear 1/241 .6   | MASTER 4.9375 | {PREEMPT.replace("1/0", "1/240")}""",
    )


def test_own_counters_are_remembered_for_a_while() -> None:
    """Those of adverts and of farewells; the oldest are forgotten first.

    A claim has one counter for its advert, and another one for its solicitation.
    """
    host = VirtualHost(config(farewell=True), counters())
    converse(
        host,
        f"""{MASTER_AT_3}
3.5    step_down 0     | MASTER 4      | release
3.5    released        | BACKUP 6.5    | advert 255/255, MASTER -> BACKUP step_down""",
    )

    assert [host.advertiser.is_own(counter) for counter in range(5)] == [
        False,
        True,
        False,
        True,
        False,
    ]

    converse(host, f"6.5 tick | MASTER 7.5 | {CLAIM}")
    for second in range(OWN_COUNTERS_MAX - 1):
        host.handle(event_named("tick"), ns(7.5 + second))

    newest = 4 + OWN_COUNTERS_MAX
    assert not host.advertiser.is_own(3)
    assert host.advertiser.is_own(4)
    assert all(host.advertiser.is_own(counter) for counter in range(6, newest + 1))
    assert not host.advertiser.is_own(newest + 1)


def test_every_advert_has_a_counter_of_its_own() -> None:
    """Also the last advert to a better master, the farewell, and a solicitation."""
    host = VirtualHost(config(farewell=True), counters())
    said: list[int] = []
    for at, event in [
        (0, "start"), (3, "tick"), (3, "hear 1/0 .4"), (6, "tick"),
        (6, "hear 1/0 .4"), (7, "tick"), (7, "stop"), (7, "released"),
    ]:  # fmt: skip
        said += [
            action.counter
            for action in host.handle(event_named(event), ns(at))
            if isinstance(action, SendAdvert | SendSolicitation)
        ]

    assert said == [1, 2, 3, 4, 5, 6, 7]


EVENTS = st.sampled_from(
    ["hear 0/9 .4", "hear 1/0 .4", "hear 1/1 .4", "released", "lost", "step_down 1"]
)


def lived(
    events: list[tuple[int, str]], config_of: dict[str, Any]
) -> list[tuple[int, Any]]:
    """Return every action of a host with its instant; each event comes in its turn.

    Its scripts succeed at once.
    """
    host = VirtualHost(config(**config_of), counters())
    done: list[tuple[int, Any]] = []

    def happen(name: str, at: int) -> None:
        actions = host.handle(event_named(name), at)
        done.extend((at, action) for action in actions)
        if AcquireAddresses() in actions:
            happen("acquired", at)

    for at, name in [(0, "start"), *events, (ns(20), "rival")]:
        while host.deadline is not None and host.deadline < at:
            happen("tick", host.deadline)
        happen(name, at)
    return done


@given(
    events=st.lists(st.tuples(st.integers(0, ns(20)), EVENTS), max_size=8),
    rivals=st.lists(st.integers(0, ns(20)), max_size=50),
    skew=st.sampled_from([{}, {"advbase": 0, "advskew": 5}, {"advbase": 3}]),
)
def test_rivals_move_nothing_but_answers(
    events: list[tuple[int, str]], rivals: list[int], skew: dict[str, Any]
) -> None:
    """Frames that anyone can send move no advert and no state.

    With them there are more announcements and solicitations, and between two answers
    a second.
    """
    contested = sorted(events + [(at, "rival") for at in rivals])

    quiet, heard = lived(sorted(events), skew), lived(contested, skew)

    def others(done: list[tuple[int, Any]]) -> list[tuple[int, str]]:
        # In words, without the counters, of which an answer takes some.
        told = (AnnounceAddresses, RivalAnswered)
        others = [(at, act) for at, act in done if not isinstance(act, told)]
        return [(at, word) for at, act in others for word in words([act])]

    def unasked(done: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return [(at, word) for at, word in done if word != "solicit"]

    assert unasked(others(heard)) == unasked(others(quiet))
    answers = [at for at, action in heard if isinstance(action, RivalAnswered)]
    if not events:
        assert all(b - a >= ns(1) for a, b in pairwise(answers))


def test_a_backup_asks_for_an_advert_before_it_takes_over() -> None:
    """A tenth and a twentieth of its master-down interval before, and then on time."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{START}
2.6    tick            | BACKUP 3      |
2.7    tick            | BACKUP 3      | solicit
2.7    tick            | BACKUP 3      |
2.85   tick            | BACKUP 3      | solicit
2.9    tick            | BACKUP 3      |
3      tick            | MASTER 4      | {CLAIM}""",
    )


def test_an_advert_in_time_ends_the_questions() -> None:
    """The next ones come before the next takeover."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{START}
2.7    tick            | BACKUP 3      | solicit
2.8    hear 1/0 .4     | BACKUP 5.8    |
2.85   tick            | BACKUP 5.8    |
5.5    tick            | BACKUP 5.8    | solicit""",
    )


def test_a_host_that_wakes_up_late_asks_once_or_not_at_all() -> None:
    """It takes over no later for it."""
    for late, said in [(2.9, "solicit"), (3.1, CLAIM)]:
        host = VirtualHost(config(), counters())
        host.handle(event_named("start"), 0)
        assert ", ".join(words(host.handle(event_named("tick"), ns(late)))) == said


def test_the_sender_of_refused_adverts_is_asked_again_while_it_is_probed() -> None:
    """The probe is for ucarp and kernels, and the question for a carppcap."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{START}
2      refuse 1        | BACKUP 3      |
2.7    tick            | BACKUP 3      | solicit
2.85   tick            | BACKUP 3      | solicit
3      tick            | BACKUP 4.25   | advert 1/1
3.95   tick            | BACKUP 4.25   | solicit
4.1    tick            | BACKUP 4.25   | solicit
4.25   tick            | MASTER 5.25   | {CLAIM}""",
    )


def test_an_answer_does_not_move_the_next_advert() -> None:
    """An attacker that could repeat a question would move it otherwise."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{MASTER_AT_3}
3.5    solicited       | MASTER 4      | advert 1/0
3.5    solicited       | MASTER 4      | advert 1/0
4      tick            | MASTER 5      | advert 1/0""",
    )


def test_an_advert_that_is_due_is_the_answer() -> None:
    """A process that was stopped reads old questions first, and sends one advert."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{MASTER_AT_3}
9      solicited       | MASTER 4      |
9      contested       | MASTER 4      |
9      tick            | MASTER 10     | advert 1/0""",
    )


def test_a_master_that_missed_frames_asks_for_its_successor() -> None:
    """It yields to the answer; without one it goes on."""
    host = VirtualHost(config(), counters())
    converse(
        host,
        f"""{MASTER_AT_3}
9      frames_lost     | MASTER 4      | solicit
9      tick            | MASTER 10     | advert 1/0
9.25   hear 0/9 .4     | BACKUP 12.25  | {YIELD}""",
    )
