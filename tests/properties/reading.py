"""What the laws read in a run."""

from collections.abc import Iterator
from dataclasses import dataclass

from carppcap.election.actions import (
    Cause,
    SendAdvert,
    SendSolicitation,
    State,
    StateChanged,
)
from carppcap.node.groups import Step
from carppcap.simulation.model.happenings import Entry, Running
from carppcap.simulation.output.report import Run
from carppcap.simulation.output.transcript import format_entry
from carppcap.simulation.scenario.parts import Kind, Member
from carppcap.units import Instant, Interval

LINES_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the state of a host."""

    at: Instant
    name: str
    old: State
    new: State
    cause: Cause
    step: Step


def changes(run: Run) -> list[Change]:
    """Return all changes of state, in their order."""
    return [
        Change(entry.at, entry.name, action.old, action.new, action.cause, entry.what)
        for entry in run.entries
        if isinstance(entry.what, Step)
        for action in entry.what.actions
        if isinstance(action, StateChanged)
    ]


def at_end(run: Run) -> dict[str, State]:
    """Return the state of each program that runs at the end."""
    states: dict[str, State] = {}
    for entry in run.entries:
        match entry.what:
            case Step(state=state):
                states[entry.name] = state
            case Running(False):
                states.pop(entry.name, None)
    return states


def masters_at(run: Run, instant: Instant) -> set[str]:
    """Return the hosts that were masters at `instant`."""
    masters: set[str] = set()
    for entry in run.entries:
        if entry.at > instant:
            break
        match entry.what:
            case Step(state=State.MASTER):
                masters.add(entry.name)
            case Step() | Running(False):
                masters.discard(entry.name)
    return masters


def longest_gap_ns(run: Run, since: Instant) -> Interval:
    """Return the longest time without any master, from `since` on."""
    masters, empty_at, longest_ns = masters_at(run, since), since, 0
    for change in changes(run):
        if change.at <= since:
            continue
        if not masters:
            longest_ns = max(longest_ns, change.at - empty_at)
        masters.discard(change.name)
        if change.new is State.MASTER:
            masters.add(change.name)
        elif not masters:
            empty_at = change.at
    return longest_ns if masters else run.scenario.duration_ns - empty_at


def holders_at_end(run: Run) -> set[str]:
    """Return the hosts that hold the address at the end."""
    return {
        tenure.name
        for tenure in run.holders
        if tenure.until >= run.scenario.duration_ns
    }


def members(run: Run) -> dict[str, Member]:
    """Return the hosts by name."""
    return {member.name: member for member in run.scenario.members}


def lives(run: Run, kind: Kind = Kind.CARPPCAP) -> Iterator[tuple[Member, list[Entry]]]:
    """Yield each life of a program of this kind, from a start to its end."""
    for member in run.scenario.members:
        if member.kind is not kind:
            continue
        life: list[Entry] = []
        for entry in run.entries:
            if entry.name != member.name:
                continue
            if isinstance(entry.what, Running) and entry.what.runs and life:
                yield member, life
                life = []
            life.append(entry)
        yield member, life


def steps(life: list[Entry]) -> list[Step]:
    """The steps of a life, but for adverts that were refused."""
    return [
        entry.what
        for entry in life
        if isinstance(entry.what, Step) and entry.what.refusal is None
    ]


def adverts(step: Step) -> list[SendAdvert]:
    """Return the adverts of a step."""
    return [action for action in step.actions if isinstance(action, SendAdvert)]


def counters_of(step: Step) -> list[int]:
    """Return the counters that a step has drawn, in their order."""
    messages = SendAdvert, SendSolicitation
    return [each.counter for each in step.actions if isinstance(each, messages)]


def most_holders(run: Run, since: Instant = 0) -> int:
    """Return how many hosts at most held the address at one time."""
    tenures = [t for t in run.holders if t.until > max(since, t.since)]
    return max(
        (
            sum(t.since <= max(one.since, since) < t.until for t in tenures)
            for one in tenures
        ),
        default=0,
    )


def tail(run: Run) -> str:
    """Return the last lines of a run, for a broken law."""
    told = [
        format_entry(entry)
        for entry in run.entries
        if not isinstance(entry.what, Step)
        or any(isinstance(action, StateChanged) for action in entry.what.actions)
    ]
    return "\n".join(["", *told[-LINES_SHOWN:]])
