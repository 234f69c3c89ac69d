"""The order in which actions are carried out, and the events that follow."""

from collections.abc import Iterable

import pytest

from carppcap.election.actions import SendHint, State
from carppcap.election.events import (
    AddressesAcquired,
    AddressesReleased,
    Event,
    SendFailed,
    SendSucceeded,
    Start,
    Tick,
)
from carppcap.node.egress import Sending
from carppcap.node.groups import Group, Step
from carppcap.node.performer import Performer
from carppcap.node.timeline import format_action, format_event
from tests.builders import LOWER, config, ns, numbers


class FakeDriver:
    """A driver that records what it is asked for, in order."""

    def __init__(self, *, sends: bool | None = True, at_once: bool = True) -> None:
        self.deeds: list[str] = []
        self._sends = sends
        self._at_once = at_once

    def transmit(self, action: Sending, at: int) -> bool | None:
        self.deeds.append(format_action(action) or "hint")
        return self._sends

    def record(self, step: Step) -> None:
        self.deeds.append(f"record {format_event(step.event)}")

    def acquire(self, step: Step) -> Iterable[Event]:
        self.deeds.append("acquire")
        return [AddressesAcquired(True)] if self._at_once else []

    def release(self, step: Step) -> Iterable[Event]:
        self.deeds.append("release")
        return [AddressesReleased(True)] if self._at_once else []


def test_order_of_frames_log_scripts_and_following_events() -> None:
    """Each step is recorded after its frames and before its scripts."""
    driver = FakeDriver()
    performer = Performer(Group(config(), numbers()), driver)
    performer.handle(Start(), ns(0))
    performer.handle(Tick(), ns(3))

    assert driver.deeds == [
        "record start",
        "release",
        "record released",
        "advert 1/0",
        "solicit",
        "record tick",
        "acquire",
        "record send_succeeded",
        "announce",
        "record acquired",
    ]


@pytest.mark.parametrize("sends", [True, False])
def test_the_group_is_told_whether_an_advert_left(sends: bool) -> None:
    """After three failures in a row it has the interval of a suppressed host."""
    driver = FakeDriver(sends=sends, at_once=False)
    group = Group(config(), numbers())
    performer = Performer(group, driver)
    performer.handle(Start(), ns(0))
    for second in (3, 4, 5):
        performer.handle(Tick(), ns(second))

    word = format_event(SendSucceeded() if sends else SendFailed())
    assert driver.deeds.count(f"record {word}") == 3
    assert group.interval_ns == (ns(1) if sends else ns(1 + 240 / 256))


def test_an_advert_without_a_frame_is_neither_success_nor_failure() -> None:
    """As long as no peer can be reached, the rank stays: the next one may arrive."""
    driver = FakeDriver(sends=None, at_once=False)
    group = Group(config(), numbers())
    performer = Performer(group, driver)
    performer.handle(Start(), ns(0))
    for second in (3, 4, 5):
        performer.handle(Tick(), ns(second))

    assert driver.deeds.count("advert 1/0") == 3
    assert not any("record send" in deed for deed in driver.deeds)
    assert group.interval_ns == ns(1)


def test_a_hint_is_sent() -> None:
    """No event follows from it."""
    driver = FakeDriver()
    performer = Performer(Group(config(), numbers()), driver)
    step = Step(0, "eth0", 7, Tick(), (SendHint(5, LOWER),), State.BACKUP, None)

    performer.perform(step)

    assert driver.deeds == ["hint", "record tick"]
