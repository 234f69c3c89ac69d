"""The things that can happen in a run and of which observers are told."""

from dataclasses import dataclass
from typing import TypeAlias

from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.scenario.parts import Scene
from carppcap.units import Instant


@dataclass(frozen=True, slots=True)
class Holding:
    """A host has begun to hold the address, or ceased to (`holds` is False)."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Running:
    """The program of a host has started, or has ended (`runs` is False)."""

    runs: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A scene of the story begins, or its time is `over`."""

    scene: Scene
    over: bool


Happening: TypeAlias = Step | Rejection | Holding | Running | Told


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened in a run: when, on which host, and what.

    `at` is a true instant.  `name` is the host, or `parts.STORY` for a scene.
    """

    at: Instant
    name: str
    what: Happening
