"""Runs as lines of text."""

import pytest

from carppcap.election.actions import AnnounceAddresses, SendAdvert, State
from carppcap.election.events import LinkUp, Tick
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.simulation.model.happenings import (
    Entry,
    Happening,
    Holding,
    Running,
    Told,
)
from carppcap.simulation.output.transcript import format_entry, lines
from carppcap.simulation.scenario.parts import AT_ONCE, Order, Scene, Verb
from carppcap.units import NS_PER_S
from tests.simulation.groups import play

ADVERT = SendAdvert(1, 0, 5)
SCENE = Scene(AT_ONCE, Order(Verb.CRASH, ("alpha",)), 5 * NS_PER_S)


def step(event: object, *actions: object) -> Step:
    return Step(NS_PER_S, "eth0", 7, event, actions, State.MASTER, 2 * NS_PER_S)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "expected", "is_routine"),
    [
        (step(Tick(), ADVERT), "vhid 7  MASTER  tick  advert 1/0  next 2.000000", True),
        (step(LinkUp()), "vhid 7  MASTER  link_up  next 2.000000", True),
        (
            step(LinkUp(), ADVERT),
            "vhid 7  MASTER  link_up  advert 1/0  next 2.000000",
            False,
        ),
        (
            step(Tick(), ADVERT, AnnounceAddresses()),
            "vhid 7  MASTER  tick  advert 1/0 announce  next 2.000000",
            False,
        ),
        (Rejection(RejectReason.BADLEN), "vhid -  rejected badlen", False),
        (Holding(True), "holds the address", False),
        (Holding(False), "no longer holds the address", False),
        (Running(True), "begins to run", True),
        (Running(False), "runs no more", True),
        (Told(SCENE, over=False), "for 5s crash alpha", False),
        (Told(SCENE, over=True), "over: for 5s crash alpha", False),
    ],
)
def test_lines(what: Happening, expected: str, is_routine: bool) -> None:
    """A line has time, host and event; routine needs `verbose`."""
    entry = Entry(NS_PER_S, "beta", what)
    expected = f"1.000000  beta  {expected}"

    assert format_entry(entry) == expected
    assert list(lines([entry])) == ([] if is_routine else [expected])
    assert list(lines([entry], verbose=True)) == [expected]


def test_a_run() -> None:
    """Lines begin with time and name, and times do not go back."""
    result = play("carppcap", "ucarp", story="at 9s crash node1", duration="20s")
    found = [line.split("  ") for line in lines(result.entries, verbose=True)]

    assert {columns[1] for columns in found} == {"node1", "node2", "story"}
    instants = [float(columns[0]) for columns in found]
    assert instants == sorted(instants)
    assert len(found) > len(list(lines(result.entries)))
