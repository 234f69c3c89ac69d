"""A law: what it is tried on, and how one sees that it was broken."""

from collections.abc import Callable
from dataclasses import dataclass

from carppcap.simulation.run import Run, run
from carppcap.simulation.scenario.parts import Scenario
from tests.properties.choices import Choices
from tests.properties.reading import tail

SEED_MAX = 2**32


@dataclass(frozen=True, slots=True)
class Law:
    """`draw` makes a cluster that fulfils the preconditions, `check` may object.

    The docstring of `check` says what is claimed of whom.
    """

    draw: Callable[[Choices], Scenario]
    check: Callable[[Run], None]

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return self.check.__name__

    def trial(self, choices: Choices) -> tuple[Scenario, int]:
        """A cluster, and the seed of what the wire does to it."""
        seed = choices.between(0, SEED_MAX)
        return self.draw(choices), seed

    def objection(self, scenario: Scenario, seed: int) -> str:
        """What is wrong with a run of `scenario`, or nothing."""
        try:
            result = run(scenario, seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, the cluster shows it
            return f"it fell over: {error!r}"
        try:
            self.check(result)
        except AssertionError as error:
            return f"{error}{tail(result)}"
        return ""


def on(draw: Callable[[Choices], Scenario]) -> Callable[[Callable[[Run], None]], Law]:
    """Make a law of a check; `draw` draws what it is tried on."""
    return lambda check: Law(draw, check)
