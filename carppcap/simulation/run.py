"""Runs a scenario in virtual time, with the election and the frames of the daemon."""

from carppcap.simulation.model.cluster import Cluster
from carppcap.simulation.model.happenings import Entry
from carppcap.simulation.output.report import Ledger, Report, Run
from carppcap.simulation.scenario.parts import Scenario


def run(scenario: Scenario, seed: int = 0) -> Run:
    """Run `scenario` once and return all that happened.

    The same seed gives the same run.
    """
    entries: list[Entry] = []
    Cluster(scenario, seed, entries.append).run()
    ledger = Ledger(scenario.members)
    for entry in entries:
        ledger.note(entry)
    report = ledger.close(seed, scenario.duration_ns)
    return Run(scenario, seed, entries, ledger.tenures, report)


def measure(scenario: Scenario, seed: int = 0) -> Report:
    """Run `scenario` once and return only its report.

    Unlike `run`, this does not store what happened, so a long run takes no more memory
    than a short one.
    """
    ledger = Ledger(scenario.members)
    Cluster(scenario, seed, ledger.note).run()
    return ledger.close(seed, scenario.duration_ns)
