"""A run as lines of text, in the format of `timeline`, with the host after the time.

9.000000  beta  vhid 7  BACKUP -> MASTER  master_down  advert 1/100 acquire  next ...
9.005000  beta  holds the address
20.000000  story  start alpha
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from carppcap.election.actions import SendAdvert
from carppcap.election.events import Tick
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.node.timeline import format_rejection, format_step, is_quiet
from carppcap.simulation.scenario.parts import STORY, Scene
from carppcap.simulation.scenario.story import format_scene
from carppcap.units import Instant, format_seconds


@dataclass(frozen=True, slots=True)
class Holding:
    """A host has begun or ceased to hold the address."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A program has begun, or is no more."""

    runs: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A scene of the story began, or is `over`."""

    scene: Scene
    over: bool


Happening: TypeAlias = Step | Rejection | Holding | Running | Told


@dataclass(frozen=True, slots=True)
class Entry:
    """What happened to whom, and when."""

    at: Instant
    name: str
    what: Happening


class Recorder:
    """Keeps all that happens, in its order (a `cluster.Observer`)."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def on_step(self, name: str, step: Step) -> None:
        """Keep a step."""
        self.entries.append(Entry(step.at, name, step))

    def on_rejection(self, name: str, rejection: Rejection, at: Instant) -> None:
        """Keep a rejection."""
        self.entries.append(Entry(at, name, rejection))

    def on_holding(self, name: str, holds: bool, at: Instant) -> None:
        """Keep who holds."""
        self.entries.append(Entry(at, name, Holding(holds)))

    def on_running(self, name: str, runs: bool, at: Instant) -> None:
        """Keep who is alive."""
        self.entries.append(Entry(at, name, Running(runs)))

    def on_scene(self, scene: Scene, over: bool, at: Instant) -> None:
        """Keep the story."""
        self.entries.append(Entry(at, STORY, Told(scene, over)))


def lines(entries: Iterable[Entry], *, verbose: bool = False) -> Iterator[str]:
    """What is worth a line; `verbose`: also adverts in due time, and quiet steps."""
    for entry in entries:
        if verbose or not _is_routine(entry.what):
            yield format_entry(entry)


def format_entry(entry: Entry) -> str:
    """One line, without its end."""
    match entry.what:
        case Step() as step:
            when, _, rest = format_step(step).partition("  ")
        case Rejection() as rejection:
            when, _, rest = format_rejection(rejection, entry.at).partition("  ")
        case Holding(holds):
            when = format_seconds(entry.at)
            rest = "holds the address" if holds else "no longer holds the address"
        case Running(runs):
            when = format_seconds(entry.at)
            rest = "begins to run" if runs else "runs no more"
        case Told(scene, over):
            when = format_seconds(entry.at)
            rest = f"{'over: ' if over else ''}{format_scene(scene)}"
        case _:
            assert_never(entry.what)
    return f"{when}  {entry.name}  {rest}"


def _is_routine(what: Happening) -> bool:
    if not isinstance(what, Step):
        return isinstance(what, Running)
    is_due_advert = isinstance(what.event, Tick) and all(
        isinstance(action, SendAdvert) for action in what.actions
    )
    return is_due_advert or is_quiet(what)
