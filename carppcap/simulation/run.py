"""Run a scenario with the real core and codec, in virtual time."""

from collections.abc import Sequence
from dataclasses import dataclass

from carppcap.node.groups import Step
from carppcap.simulation.model.cluster import Cluster
from carppcap.simulation.output.report import Ledger, Report, Tenure
from carppcap.simulation.output.transcript import Entry, Recorder
from carppcap.simulation.scenario.parts import Scenario


@dataclass(frozen=True, slots=True)
class Run:
    """All that happened: `entries` in their order, and what follows from them."""

    scenario: Scenario
    seed: int
    entries: Sequence[Entry]
    holders: Sequence[Tenure]
    report: Report

    @property
    def steps(self) -> list[tuple[str, Step]]:
        """Every step of every host, with the host's name."""
        return [
            (entry.name, entry.what)
            for entry in self.entries
            if isinstance(entry.what, Step)
        ]


def run(scenario: Scenario, seed: int = 0) -> Run:
    """Run `scenario`; the same seed gives the same run."""
    recorder, ledger = Recorder(), Ledger(scenario.members)
    Cluster(scenario, seed, (recorder, ledger)).run()
    report = ledger.close(seed, scenario.duration_ns)
    return Run(scenario, seed, recorder.entries, ledger.tenures, report)


def measure(scenario: Scenario, seed: int = 0) -> Report:
    """The report of `run`, in memory that does not grow with the duration."""
    ledger = Ledger(scenario.members)
    Cluster(scenario, seed, (ledger,)).run()
    return ledger.close(seed, scenario.duration_ns)
