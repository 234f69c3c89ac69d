"""The things that can happen in a run, as an observer is told of them."""

from dataclasses import dataclass
from typing import TypeAlias

from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.scenario.parts import Scene
from carppcap.units import Instant


@dataclass(frozen=True, slots=True)
class Holding:
    """A host has begun to hold the virtual address, or has ceased to hold it.

    `holds` is True if it has begun.
    """

    holds: bool


@dataclass(frozen=True, slots=True)
class Running:
    """The program of a host has started, or has ended (`runs` is False)."""

    runs: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A scene of the story has begun, or its time is `over`."""

    scene: Scene
    over: bool


Happening: TypeAlias = Step | Rejection | Holding | Running | Told


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened in a run: when, on which host, and what.

    `at` is an instant of the simulation, not of the host's clock.  `name` is the host,
    or `parts.STORY` for a scene.
    """

    at: Instant
    name: str
    what: Happening
