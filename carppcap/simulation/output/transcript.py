"""A run as lines of text: those of `node.timeline`, with the host after the time.

9.000000  beta  vhid 7  BACKUP -> MASTER  master_down  advert 1/100 acquire  next ...
9.005000  beta  holds the address
20.000000  story  start alpha
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from carppcap.election.actions import SendAdvert
from carppcap.election.events import Tick
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.node.timeline import format_rejection, format_step, is_quiet
from carppcap.simulation.model.happenings import Entry, Holding, Running, Told
from carppcap.simulation.scenario.story import format_scene
from carppcap.units import format_seconds


def lines(entries: Iterable[Entry], *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of a run.

    Without `verbose`, these are left out: regular adverts, steps without effect, and
    the starts and ends of programs.
    """
    for entry in entries:
        if verbose or not _is_routine(entry):
            yield format_entry(entry)


def format_entry(entry: Entry) -> str:
    """Return the line about one thing that happened."""
    when = format_seconds(entry.at)
    match entry.what:
        case Step() as step:
            _, _, rest = format_step(step).partition("  ")
        case Rejection() as rejection:
            _, _, rest = format_rejection(rejection, entry.at).partition("  ")
        case Holding(holds):
            rest = "holds the address" if holds else "no longer holds the address"
        case Running(runs):
            rest = "begins to run" if runs else "runs no more"
        case Told(scene, over):
            rest = f"{'over: ' if over else ''}{format_scene(scene)}"
        case _:
            assert_never(entry.what)
    return f"{when}  {entry.name}  {rest}"


def _is_routine(entry: Entry) -> bool:
    step = entry.what
    if not isinstance(step, Step):
        return isinstance(step, Running)
    is_due_advert = isinstance(step.event, Tick) and all(
        isinstance(action, SendAdvert) for action in step.actions
    )
    return is_due_advert or is_quiet(step)
