"""Scenarios that many tests start from."""

from collections.abc import Sequence
from typing import Any

from carppcap.actions import SendAdvert, State, StateChanged
from carppcap.node import Step
from carppcap.simulation import Run, Scenario, run
from carppcap.simulation.document import parse_document


def group(*kinds: str, story: str = "", duration: str = "60s", **rest: Any) -> Scenario:
    """Hosts node1, node2 and so on; `rest` goes into the document as it is."""
    nodes = {f"node{n}": {"kind": kind} for n, kind in enumerate(kinds, start=1)}
    given = rest.pop("node", {})
    for name, table in given.items():
        nodes[name] |= table
    document = {"node": nodes, "story": story, "duration": duration, **rest}
    return parse_document(document, "test")


def play(*kinds: str, seed: int = 1, **rest: Any) -> Run:
    """One run of such a group."""
    return run(group(*kinds, **rest), seed)


def changes(result: Run, name: str) -> list[tuple[float, str]]:
    """When one host changed its state, in seconds, and what it became."""
    return [
        (step.at / 1e9, f"{action.new.value} {action.cause.value}")
        for host, step in result.steps
        if host == name
        for action in step.actions
        if isinstance(action, StateChanged)
    ]


def adverts(result: Run, name: str) -> list[tuple[float, SendAdvert]]:
    """When one host sent what, in seconds."""
    return [
        (step.at / 1e9, action)
        for host, step in result.steps
        if host == name
        for action in step.actions
        if isinstance(action, SendAdvert)
    ]


def fail_over_s(result: Run, old: str, new: str) -> float:
    """From the last advert of one host to the MASTER state of the other."""
    after = max(at for at, _ in adverts(result, old))
    return (
        min(at for at, what in changes(result, new) if "MASTER" in what and at > after)
        - after
    )


def last_state(result: Run, name: str) -> State:
    """Where one host ended."""
    steps: Sequence[Step] = [step for host, step in result.steps if host == name]
    return steps[-1].state
