"""A law: what it is tried on, and the check that it was kept."""

from collections.abc import Callable
from dataclasses import dataclass

from carppcap.simulation.output.report import Run
from carppcap.simulation.run import run
from carppcap.simulation.scenario.parts import Scenario
from tests.properties.choices import Choices
from tests.properties.reading import tail

SEED_MAX = 2**32


@dataclass(frozen=True, slots=True)
class Law:
    """`draw` makes a cluster that fulfils the preconditions, `check` raises if broken.

    The docstring of `check` states the claim and its preconditions.
    """

    draw: Callable[[Choices], Scenario]
    check: Callable[[Run], None]

    @property
    def name(self) -> str:
        """The name in tables."""
        return self.check.__name__

    def trial(self, choices: Choices) -> tuple[Scenario, int]:
        """Return a cluster, and the seed of its run."""
        seed = choices.between(0, SEED_MAX)
        return self.draw(choices), seed

    def objection(self, scenario: Scenario, seed: int) -> str:
        """Return what is wrong with a run of `scenario`, empty if nothing is."""
        try:
            result = run(scenario, seed)
        except Exception as error:  # noqa: BLE001 - any failure counts
            return f"it fell over: {error!r}"
        try:
            self.check(result)
        except AssertionError as error:
            return f"{error}{tail(result)}"
        return ""


def on(draw: Callable[[Choices], Scenario]) -> Callable[[Callable[[Run], None]], Law]:
    """Return a decorator that makes a law of a check."""
    return lambda check: Law(draw, check)
