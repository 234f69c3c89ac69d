"""Events: values without behaviour, but for the rank an advert claims."""

from dataclasses import FrozenInstanceError, fields, replace
from ipaddress import IPv4Address
from typing import get_args

import pytest

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

PEER = IPv4Address("10.1.1.4")

EXAMPLES: list[Event] = [
    Start(),
    Stop(),
    Tick(),
    AdvertReceived(PEER, 1, 100, 42),
    LinkUp(),
    LinkDown(),
    FramesLost(),
    StepDown(3_000_000_000),
    SendFailed(),
    SendSucceeded(),
    AddressesAcquired(True),
    AddressesReleased(False),
    AddressesLost(),
    MacChanged(),
    RivalHeard(PEER, b"\2\0\0\0\0\x09"),
    DemotionChanged(7),
    SequenceContested(),
    Solicited(),
    FormChanged(),
    ReplayRefused(1_000_000_000),
    TwinReceived(AdvertReceived(PEER, 1, 100, 42)),
]


def test_examples_are_complete() -> None:
    """One example of each event stands above."""
    assert {type(event) for event in EXAMPLES} == set(get_args(Event))


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda e: type(e).__name__)
def test_events_are_values(event: Event) -> None:
    """Equal and hashed by content, immutable, and without a clock."""
    twin = replace(event)

    assert twin is not event
    assert (twin, hash(twin)) == (event, hash(event))
    assert [other for other in EXAMPLES if type(other) is not type(event)] == [
        other for other in EXAMPLES if other != event
    ]
    assert not {field.name for field in fields(event)} & {"at", "now", "time"}
    for field in fields(event):
        with pytest.raises(FrozenInstanceError):
            setattr(event, field.name, None)


@pytest.mark.parametrize(
    ("advbase", "advskew", "expected_ns"),
    [(1, 0, 1_000_000_000), (0, 20, 78_125_000), (255, 255, 255_996_093_750)],
    ids=["default", "below-a-second", "farewell"],
)
def test_interval_of_an_advert(advbase: int, advskew: int, expected_ns: int) -> None:
    """What the sender claims is its rank."""
    assert AdvertReceived(PEER, advbase, advskew, 1).interval_ns == expected_ns


@pytest.mark.parametrize(
    ("advbase", "advskew", "expected"),
    [(255, 255, True), (255, 254, False), (254, 255, False), (1, 1, False)],
)
def test_farewell(advbase: int, advskew: int, expected: bool) -> None:
    """Only 255/255, the longest interval, says that the sender leaves."""
    assert AdvertReceived(PEER, advbase, advskew, 1).is_farewell is expected


def test_adverts_are_verified_unless_said_otherwise() -> None:
    """Only a reader of captures without the password says otherwise."""
    assert AdvertReceived(PEER, 1, 0, 1).verified
    assert not AdvertReceived(PEER, 1, 0, 1, verified=False).verified
