"""Scenarios that many tests start from, and what tests want to know of a run."""

from typing import Any

from carppcap.election.actions import SendAdvert, StateChanged
from carppcap.node.groups import Step
from carppcap.simulation.output.report import Run
from carppcap.simulation.run import run
from carppcap.simulation.scenario.document import parse_document
from carppcap.simulation.scenario.parts import Scenario
from carppcap.units import NS_PER_S


def group(*kinds: str, story: str = "", duration: str = "60s", **rest: Any) -> Scenario:
    """Hosts node1, node2 and so on; `rest` is more of the document.

    What `node` says of a host is added to its kind.
    """
    said = rest.pop("node", {})
    nodes = {
        f"node{number}": {"kind": kind} | said.get(f"node{number}", {})
        for number, kind in enumerate(kinds, start=1)
    }
    document = {"node": nodes, "story": story, "duration": duration, **rest}
    return parse_document(document, "test")


def play(*kinds: str, seed: int = 1, **rest: Any) -> Run:
    """Return one run of such a group."""
    return run(group(*kinds, **rest), seed)


def every_step(result: Run) -> list[tuple[str, Step]]:
    """Return every step of every host, with the name of the host."""
    return [
        (entry.name, entry.what)
        for entry in result.entries
        if isinstance(entry.what, Step)
    ]


def changes(result: Run, name: str) -> list[tuple[float, str]]:
    """Return when a host changed its state, in seconds, and its new state and cause."""
    return [
        (step.at / NS_PER_S, f"{action.new.value} {action.cause.value}")
        for host, step in every_step(result)
        if host == name
        for action in step.actions
        if isinstance(action, StateChanged)
    ]


def adverts(result: Run, name: str) -> list[tuple[float, SendAdvert]]:
    """Return when a host sent which advert, in seconds."""
    return [
        (step.at / NS_PER_S, action)
        for host, step in every_step(result)
        if host == name
        for action in step.actions
        if isinstance(action, SendAdvert)
    ]


def causes(result: Run, name: str) -> list[str]:
    """Return the new states of a host with their causes, in order."""
    return [what for _, what in changes(result, name)]


def fail_over_s(result: Run, old: str, new: str) -> float:
    """Return the time from the last advert of `old` to the MASTER state of `new`."""
    last = max(at for at, _ in adverts(result, old))
    taken = [at for at, what in changes(result, new) if "MASTER" in what and at > last]
    return taken[0] - last


def several_s(result: Run) -> float:
    """Return how long more than one host held the address."""
    return result.report.several_ns / NS_PER_S


def nobody_s(result: Run) -> float:
    """Return how long no host held the address."""
    return result.report.nobody_ns / NS_PER_S
