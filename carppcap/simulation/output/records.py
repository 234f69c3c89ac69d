"""A run as JSON objects.

The `kind` of an object tells which other members it has:

    step          the members that `node.records` gives it, and host
    rejection     the members that `node.records` gives it, and host
    holding       at_ns, host, holds
    running       at_ns, host, runs
    story         at_ns, text, over
    summary       seed, duration_ns, first_held_ns, availability, nobody_ns, several_ns,
                  fail_overs_ns, nobody_at_end, hosts; each host has name, kind,
                  held_ns, adverts, transitions, rejected
    distribution  runs, worst_seed, figures; each figure has name, count, least, median,
                  p99, most

Instants are nanoseconds since the start of the run.  Unknown values are null.  With
many runs there is a summary of each run, and then a single distribution.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, assert_never

from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.node.records import rejection_record, step_record
from carppcap.simulation.model.happenings import Entry, Holding, Running, Told
from carppcap.simulation.output.report import Report, distribution
from carppcap.simulation.output.summary import figures, worst_of
from carppcap.simulation.scenario.story import format_scene


def entry_record(entry: Entry) -> dict[str, Any]:
    """Return the JSON object for one thing that happened in a run."""
    when = {"at_ns": entry.at, "host": entry.name}
    match entry.what:
        case Step() as step:
            return step_record(step) | when
        case Rejection() as rejection:
            return rejection_record(rejection, entry.at) | when
        case Holding(holds):
            return {"kind": "holding", **when, "holds": holds}
        case Running(runs):
            return {"kind": "running", **when, "runs": runs}
        case Told(scene, over):
            text = format_scene(scene)
            return {"kind": "story", "at_ns": entry.at, "text": text, "over": over}
        case _:
            assert_never(entry.what)


def summary_record(report: Report) -> dict[str, Any]:
    """Return the JSON object of kind "summary" for a run."""
    return {
        "kind": "summary",
        **asdict(report),
        "availability": report.availability,
    }


def distribution_record(reports: Sequence[Report]) -> dict[str, Any]:
    """Return the JSON object of kind "distribution" for many runs."""
    spreads = [(name, distribution(values)) for name, values, _ in figures(reports)]
    return {
        "kind": "distribution",
        "runs": len(reports),
        "worst_seed": worst_of(reports).seed,
        "figures": [
            {"name": name, **asdict(spread)} for name, spread in spreads if spread
        ],
    }
