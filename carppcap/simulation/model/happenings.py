"""What happens in a run, as the observers of a simulation are told."""

from dataclasses import dataclass
from typing import TypeAlias

from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.scenario.parts import Scene
from carppcap.units import Instant


@dataclass(frozen=True, slots=True)
class Holding:
    """A host has begun or ceased to hold the address."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Running:
    """A program has started or ended."""

    runs: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A scene of the story begins, or is `over`."""

    scene: Scene
    over: bool


Happening: TypeAlias = Step | Rejection | Holding | Running | Told


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a run: when, on which host (`parts.STORY`: none), and what."""

    at: Instant
    name: str
    what: Happening
