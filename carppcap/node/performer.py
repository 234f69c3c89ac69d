"""Carries out the actions of steps, alike for the daemon, a replay and a simulation."""

from collections import deque
from collections.abc import Iterable
from typing import Protocol, assert_never

from carppcap.election import actions
from carppcap.election.events import Event, SendFailed, SendSucceeded
from carppcap.node.egress import Sending
from carppcap.node.groups import Group, GroupEvent, Step
from carppcap.units import Instant


class Driver(Protocol):
    """Carries out the actions of a group: the daemon, a replay or a simulated host."""

    def transmit(self, action: Sending, at: Instant) -> bool | None:
        """Send the frames of `action`; return whether all of them were sent.

        Return None if there were no frames, because no peer's MAC is known.
        """

    def record(self, step: Step) -> None:
        """Log or show a step."""

    def acquire(self, step: Step) -> Iterable[Event]:
        """Start to take the addresses; return the events that result immediately."""

    def release(self, step: Step) -> Iterable[Event]:
        """Start to release the addresses; return the events that result immediately."""


class Performer:
    """Passes events to a group and lets the driver carry out the resulting actions."""

    def __init__(self, group: Group, driver: Driver) -> None:
        self._group = group
        self._driver = driver

    def handle(self, event: GroupEvent, now: Instant) -> None:
        """Pass `event` to the group and carry out the resulting step."""
        self.perform(self._group.handle(event, now))

    def perform(self, step: Step) -> None:
        """Carry out `step`, then pass the results to the group as events.

        Those events make further steps, which are carried out, too.
        """
        feedback = deque(self._carry_out(step))
        while feedback:
            following = self._group.handle(feedback.popleft(), step.at)
            feedback.extend(self._carry_out(following))

    def _carry_out(self, step: Step) -> list[Event]:
        # Frames go first: the log takes its time, and starting a script takes more.
        feedback: list[Event] = []
        for action in step.actions:
            match action:
                case actions.SendAdvert():
                    sent = self._driver.transmit(action, step.at)
                    if sent is not None:
                        feedback.append(SendSucceeded() if sent else SendFailed())
                case (
                    actions.SendSolicitation()
                    | actions.SendHint()
                    | actions.AnnounceAddresses()
                ):
                    self._driver.transmit(action, step.at)
                case actions.AcquireAddresses() | actions.ReleaseAddresses():
                    pass  # below
                case (
                    actions.StateChanged()
                    | actions.FamilySilent()
                    | actions.RivalAnswered()
                ):
                    pass  # for the log
                case _:
                    assert_never(action)
        self._driver.record(step)
        for action in step.actions:
            if isinstance(action, actions.AcquireAddresses):
                feedback.extend(self._driver.acquire(step))
            elif isinstance(action, actions.ReleaseAddresses):
                feedback.extend(self._driver.release(step))
        return feedback
