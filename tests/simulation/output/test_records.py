"""Runs as objects of JSON."""

import json

from carppcap.simulation.output.records import (
    distribution_record,
    entry_record,
    summary_record,
)
from carppcap.simulation.run import measure
from tests.simulation.groups import group, play


def test_everything_that_happens_has_a_record() -> None:
    """Each kind of entry has a record with its host, which JSON can hold."""
    result = play(
        "carppcap",
        "carppcap",
        story="at 20s for 9s crash node1",
        node={"node2": {"flags": "-v 9"}},
    )
    records = [json.loads(json.dumps(entry_record(e))) for e in result.entries]

    assert {record["kind"] for record in records} == {
        "step", "rejection", "holding", "running", "story",
    }  # fmt: skip
    assert all("at_ns" in record for record in records)
    assert {record.get("host") for record in records} == {"node1", "node2", None}
    assert {"kind": "running", "at_ns": 0, "host": "node1", "runs": True} in records
    story = [record for record in records if record["kind"] == "story"]
    assert story == [
        {
            "kind": "story",
            "at_ns": at * 10**9,
            "text": "for 9s crash node1",
            "over": at == 29,
        }
        for at in (20, 29)
    ]
    held = [record for record in records if record["kind"] == "holding"]
    assert held[0] == {
        "kind": "holding",
        "at_ns": 3_005_000_000,
        "host": "node1",
        "holds": True,
    }


def test_summary() -> None:
    """The record of a summary has everything of the report."""
    report = measure(group("carppcap", story="at 20s for 9s crash node1"), 6)

    assert json.loads(json.dumps(summary_record(report))) == {
        "kind": "summary",
        "seed": 6,
        "duration_ns": 60_000_000_000,
        "first_held_ns": 3_005_000_000,
        "availability": report.availability,
        "nobody_ns": 12_005_000_000,
        "several_ns": 0,
        "fail_overs_ns": [12_005_000_000],
        "nobody_at_end": False,
        "hosts": [
            {
                "name": "node1",
                "kind": "carppcap",
                "held_ns": 44_990_000_000,
                "adverts": 45,
                "transitions": 4,
                "rejected": {},
            }
        ],
    }


def test_distribution() -> None:
    """A figure without values is left out."""
    reports = [measure(group("carppcap"), seed) for seed in (1, 2)]
    record = distribution_record(reports)

    assert (record["kind"], record["runs"], record["worst_seed"]) == (
        "distribution",
        2,
        1,
    )
    assert record["figures"][0] == {
        "name": "held for the first time (s)",
        "count": 2,
        "least": 3.005,
        "median": 3.005,
        "p99": 3.005,
        "most": 3.005,
    }
    assert "a fail-over (s)" not in {figure["name"] for figure in record["figures"]}
