"""The lines of a timeline."""

from dataclasses import replace
from ipaddress import IPv6Address
from typing import get_args

import pytest

from carppcap.addresses import Family
from carppcap.election.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    Cause,
    FamilySilent,
    ReleaseAddresses,
    RivalAnswered,
    SendAdvert,
    SendHint,
    SendSolicitation,
    State,
    StateChanged,
)
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
from carppcap.node import timeline
from carppcap.node.findings import Finding
from carppcap.node.groups import GroupEvent, Step
from carppcap.node.ingress import (
    HintReceived,
    Ingress,
    Rejection,
    RejectReason,
    SolicitationReceived,
)
from carppcap.wire.decode import Datagram
from tests.builders import GROUP, LOWER, config, ns, payload

MAC = b"\2\0\0\0\0\x09"

EVENTS: list[tuple[GroupEvent, str]] = [
    (Start(), "start"),
    (Stop(), "stop"),
    (Tick(), "tick"),
    (AdvertReceived(LOWER, 1, 100, 9), "advert 1/100 from 10.1.1.4"),
    (AdvertReceived(LOWER, 1, 0, 9, False), "advert 1/0 from 10.1.1.4 unverified"),
    (LinkUp(), "link_up"),
    (LinkDown(), "link_down"),
    (FramesLost(), "frames_lost"),
    (StepDown(ns(3)), "step_down 3.000000"),
    (SendFailed(), "send_failed"),
    (SendSucceeded(), "send_succeeded"),
    (AddressesAcquired(True), "acquired"),
    (AddressesAcquired(False), "acquire_failed"),
    (AddressesReleased(True), "released"),
    (AddressesReleased(False), "release_failed"),
    (AddressesLost(), "addresses_lost"),
    (MacChanged(), "mac_changed"),
    (DemotionChanged(7), "demotion 7"),
    (RivalHeard(LOWER, MAC), "heard rival 02:00:00:00:00:09 of 10.1.1.4"),
    (SequenceContested(), "sequence_contested"),
    (HintReceived(5), "sequence_contested"),
    (Solicited(), "solicited"),
    (SolicitationReceived(5, LOWER), "solicited from 10.1.1.4"),
    (FormChanged(), "form_changed"),
    (ReplayRefused(ns(1)), "replay_refused"),
    (TwinReceived(AdvertReceived(LOWER, 1, 5, 9)), "twin_received"),
    (AdvertReceived(LOWER, 1, 5, 9, demotion=2), "advert 1/5+2 from 10.1.1.4"),
    (AdvertReceived(IPv6Address("fd00::4"), 1, 0, 9), "advert 1/0 from fd00::4"),
]

TO_MASTER = StateChanged(State.BACKUP, State.MASTER, Cause.MASTER_DOWN)

ACTIONS: list[tuple[Action, str]] = [
    (SendAdvert(1, 100, 5), "advert 1/100"),
    (SendAdvert(255, 255, 5), "advert 255/255"),
    (AcquireAddresses(), "acquire"),
    (ReleaseAddresses(), "release"),
    (AnnounceAddresses(), "announce"),
    (SendAdvert(1, 240, 5, 240), "advert 1/240+240"),
    (SendAdvert(1, 0, 5, 0, Family.IPV6), "advert6 1/0"),
    (FamilySilent(Family.IPV6), "silent_ipv6"),
    (SendSolicitation(5), "solicit"),
    (SendSolicitation(5, Family.IPV6), "solicit6"),
    (SendHint(5, LOWER), ""),
    (RivalAnswered(LOWER, MAC), "rival 02:00:00:00:00:09 of 10.1.1.4"),
    (TO_MASTER, ""),
]


def test_every_event_and_action_has_a_word() -> None:
    """The tables of these tests have every class of events and actions."""
    assert {type(event) for event, _ in EVENTS} == set(get_args(GroupEvent))
    assert {type(action) for action, _ in ACTIONS} == set(get_args(Action))


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=[w for _, w in EVENTS])
def test_format_event(event: Event, expected: str) -> None:
    """It is a word, or a few if the event has values."""
    assert timeline.format_event(event) == expected


@pytest.mark.parametrize(("action", "expected"), ACTIONS, ids=[w for _, w in ACTIONS])
def test_format_action(action: Action, expected: str) -> None:
    """It is a word; it is empty for a change of state, which has its own column."""
    assert timeline.format_action(action) == expected


def step(event: GroupEvent, *actions: Action, deadline: int | None = ns(4)) -> Step:
    return Step(ns(3), "eth0", 7, event, actions, State.MASTER, deadline)


REMARKED = replace(
    step(AdvertReceived(LOWER, 1, 9, 5)),
    finding=Finding.REPEATING,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            step(Tick(), TO_MASTER, SendAdvert(1, 0, 1), AcquireAddresses()),
            "3.000000  vhid 7  BACKUP -> MASTER  master_down  advert 1/0 acquire  "
            "next 4.000000",
            id="change",
        ),
        pytest.param(
            step(
                AdvertReceived(LOWER, 0, 50, 1),
                SendAdvert(1, 0, 1),
                StateChanged(State.MASTER, State.BACKUP, Cause.BETTER_MASTER),
            ),
            "3.000000  vhid 7  MASTER -> BACKUP  better_master by advert 0/50 from "
            "10.1.1.4  advert 1/0  next 4.000000",
            id="change-by-an-advert",
        ),
        pytest.param(
            step(LinkDown(), StateChanged(State.MASTER, State.BACKUP, Cause.LINK_DOWN),
                 deadline=None),
            "3.000000  vhid 7  MASTER -> BACKUP  link_down",
            id="change-alone",
        ),
        pytest.param(
            step(Tick(), SendAdvert(1, 0, 1)),
            "3.000000  vhid 7  MASTER  tick  advert 1/0  next 4.000000",
            id="no-change",
        ),
        pytest.param(
            step(LinkUp()),
            "3.000000  vhid 7  MASTER  link_up  next 4.000000",
            id="no-action",
        ),
        pytest.param(
            step(Stop(), deadline=None), "3.000000  vhid 7  MASTER  stop", id="bare"
        ),
        pytest.param(
            replace(REMARKED, finding=Finding.STALE, refused=True),
            "3.000000  vhid 7  rejected stale  from 10.1.1.4",
            id="refused",
        ),
        pytest.param(
            replace(step(AdvertReceived(LOWER, 1, 9, 5)), refused=True),
            "3.000000  vhid -  rejected own  from 10.1.1.4",
            id="own",
        ),
        pytest.param(
            replace(step(HintReceived(5)), refused=True),
            "3.000000  vhid 7  MASTER  hint  next 4.000000",
            id="hint-refused",
        ),
    ],
)  # fmt: skip
def test_format_step(line: Step, expected: str) -> None:
    """Columns are separated by two spaces; empty ones are left out."""
    assert timeline.format_step(line) == expected


def test_times_count_from_the_origin() -> None:
    """Both the instant and the deadline do so."""
    line = timeline.format_step(step(LinkUp()), origin=ns(2.5))

    assert line == "0.500000  vhid 7  MASTER  link_up  next 1.500000"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (step(LinkUp()), True),
        (step(Tick(), SendAdvert(1, 0, 1)), False),
        (REMARKED, False),
        (replace(step(AdvertReceived(LOWER, 1, 9, 5)), refused=True), False),
        (replace(step(HintReceived(5)), refused=True), True),
    ],
    ids=["no-action", "an-action", "a-remark", "a-refusal", "a-late-hint"],
)
def test_a_step_without_actions_and_finding_is_quiet(
    line: Step, expected: bool
) -> None:
    """A step that refused an advert is not."""
    assert timeline.is_quiet(line) is expected


def test_a_finding_of_the_replay_guard_follows_the_event() -> None:
    """It is one word."""
    expected = "3.000000  vhid 7  MASTER  advert 1/9 from 10.1.1.4 repeating  next"
    assert timeline.format_step(REMARKED).startswith(expected)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"payload": b""},
            "1.500000  vhid -  rejected badlen  from 10.1.1.4",
            id="short",
        ),
        pytest.param(
            {"ttl": 64},
            "1.500000  vhid 7  rejected badttl  from 10.1.1.4  ttl 64",
            id="ttl",
        ),
        pytest.param(
            {"header_ok": False},
            "1.500000  vhid 7  rejected badsum  from 10.1.1.4",
            id="sum",
        ),
    ],
)
def test_format_rejection(changes: dict[str, object], expected: str) -> None:
    """The line has the reason, and what could be read of the frame."""
    fields = {"ttl": 255, "header_ok": True, "payload": payload(config())} | changes
    rejection = Ingress([config()]).check(Datagram(LOWER, GROUP, **fields))  # type: ignore[arg-type]

    assert isinstance(rejection, Rejection)
    assert timeline.format_rejection(rejection, ns(2), origin=ns(0.5)) == expected


def test_format_rejection_of_a_defect() -> None:
    """A frame that could not be read has neither a source nor a vhid."""
    rejection = Rejection(RejectReason.BADLEN)

    line = timeline.format_rejection(rejection, ns(1))

    assert line == "1.000000  vhid -  rejected badlen"
