"""Summaries in words."""

from dataclasses import replace

from carppcap.simulation.output.summary import (
    figures,
    summary,
    summary_of_many,
    worst_of,
)
from carppcap.simulation.run import measure
from tests.simulation.groups import group

SCENARIO = group("carppcap", "carppcap", story="at 20s crash node1", title="A crash")


def test_one_run() -> None:
    """A summary has all figures and a table of hosts."""
    one = "2.396 s"

    assert list(summary(SCENARIO, measure(SCENARIO, 3))) == [
        "A crash",
        "60s of node1 (carppcap), node2 (carppcap), seed 3",
        "",
        "held for the first time after       3.005 s",
        "available from then on              95.797 %",
        "nobody held it for                  2.396 s",
        "more than one held it for           0.000 s",
        "fail-overs                          1",
        "  without a gap                     0",
        f"  from one holder to the next       median {one}, p99 {one}, worst {one}",
        "",
        "host   kind          held  adverts  changes  rejected frames",
        "node1  carppcap  16.995 s       17        2  none",
        "node2  carppcap  37.604 s       28        2  none",
    ]


def test_a_run_without_an_end_or_a_beginning() -> None:
    """A run without a holder, at its end or ever, is called that."""
    lost = group("carppcap", story="at 20s crash node1")
    never = group("carppcap", node={"node1": {"up_script": "none"}})

    assert "at the end                          nobody holds it" in list(
        summary(lost, measure(lost))
    )
    assert "fail-overs                          none" in list(
        summary(lost, measure(lost))
    )
    assert list(summary(never, measure(never)))[:3] == [
        "60s of node1 (carppcap), seed 0",
        "",
        "nobody ever held the address",
    ]


def test_rejected_frames() -> None:
    """Rejected frames are counted by reason."""
    scenario = group("carppcap", "carppcap", node={"node2": {"flags": "-v 9"}})

    assert list(summary(scenario, measure(scenario)))[-1].endswith("  badvhid 57")


def test_many_runs() -> None:
    """Each figure has four numbers; a command shows the worst run."""
    scenario = group("carppcap", "carppcap", story="at 20s..21s crash node1")
    reports = [measure(scenario, seed) for seed in range(5, 25)]
    found = list(summary_of_many(reports, "see {}".format))
    worst = max(reports, key=lambda report: report.nobody_ns)

    assert found[0] == "20 runs, seeds 5 to 24"
    assert found[2].split() == ["least", "median", "p99", "most"]
    assert [line[:36].strip() for line in found[3:11]] == [
        label for label, _, _ in figures(reports)
    ]
    assert found[-1] == f"  see {worst.seed}"
    assert f"{worst.nobody_ns / 1e9:.3f} s" in found[-2]
    assert worst_of(reports) == worst


def test_many_runs_that_ended_badly() -> None:
    """The summary counts the runs that ended without a holder, or never had one."""
    lost = group("carppcap", story="at 20s crash node1")
    never = group("carppcap", node={"node1": {"up_script": "none"}})
    reports = [measure(lost, 1), measure(lost, 2), measure(never, 3)]
    found = list(summary_of_many(reports, "see {}".format))

    assert "in 1 of them nobody ever held the address" in found
    assert "in 2 of them nobody held it at the end" in found
    assert "a fail-over (s)                             none" in found
    assert found[-1] == "  see 3"


def test_of_equally_bad_runs_the_first_is_shown() -> None:
    """The answer does not depend on the order of work."""
    report = measure(SCENARIO, 3)
    reports = [report, replace(report, seed=4)]

    assert worst_of(reports).seed == 3
