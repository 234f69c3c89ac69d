"""Groups that record their events, so that a test can run them again."""

from collections.abc import Callable

import pytest

from carppcap.election.config import VirtualHostConfig
from carppcap.node import counter as node_counter
from carppcap.node import groups
from carppcap.node.counter import CounterSequence
from carppcap.node.groups import Group, GroupEvent, Step
from carppcap.replay import run as replay_run
from carppcap.simulation.programs import carppcap as simulated

_MAKERS_OF_COUNTERS = (node_counter, replay_run, simulated)


class RecordedCounter(CounterSequence):
    """A counter sequence that records its start values."""

    def __init__(self, wall_ns: int, now: int, draw_id: Callable[[], int]) -> None:
        self.wall_ns, self.began_at = wall_ns, now
        self.ids: list[int] = []

        def noted() -> int:
            self.ids.append(draw_id())
            return self.ids[-1]

        super().__init__(wall_ns, now, noted)


class RecordedGroup(Group):
    """A group that records its steps."""

    made: list["RecordedGroup"]

    def __init__(self, config: VirtualHostConfig, counter: CounterSequence) -> None:
        super().__init__(config, counter)
        assert isinstance(counter, RecordedCounter)
        self.started_with = counter
        self.steps: list[Step] = []
        self.made.append(self)

    def handle(self, event: GroupEvent, now: int) -> Step:
        self.steps.append(super().handle(event, now))
        return self.steps[-1]


def record(monkeypatch: pytest.MonkeyPatch) -> list[RecordedGroup]:
    """From now on record every group that is made; return the list of them."""

    class Recorded(RecordedGroup):
        """A class of its own for each test, so that each has its own list."""

        made: list[RecordedGroup] = []  # noqa: RUF012 - it is what is wanted

    monkeypatch.setattr(groups, "Group", Recorded)
    for module in _MAKERS_OF_COUNTERS:
        monkeypatch.setattr(module, "CounterSequence", RecordedCounter)
    return Recorded.made


def run_again(recorded: RecordedGroup) -> None:
    """Assert that the events of a record lead to its steps again."""
    start = recorded.started_with
    ids = iter(start.ids)
    counter = CounterSequence(start.wall_ns, start.began_at, ids.__next__)
    again = Group(recorded.config, counter)
    for step in recorded.steps:
        assert again.handle(step.event, step.at) == step
