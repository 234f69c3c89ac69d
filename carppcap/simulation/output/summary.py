"""Summaries of one run and of many runs, as lines of text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from carppcap.simulation.output.report import HostReport, Report, distribution
from carppcap.simulation.scenario.parts import Scenario
from carppcap.simulation.scenario.quantities import format_length
from carppcap.units import NS_PER_S, Interval

_LABEL_WIDTH = 36


def summary(scenario: Scenario, report: Report) -> Iterator[str]:
    """Yield the lines of the summary of one run."""
    hosts = ", ".join(f"{m.name} ({m.kind.value})" for m in scenario.members)
    if scenario.title:
        yield scenario.title
    length = format_length(scenario.duration_ns)
    yield f"{length} of {hosts}, seed {report.seed}"
    yield ""
    if report.first_held_ns is None:
        yield "nobody ever held the address"
    else:
        yield _row("held for the first time after", _seconds(report.first_held_ns))
        yield _row("available from then on", f"{100 * report.availability:.3f} %")
        yield _row("nobody held it for", _seconds(report.nobody_ns))
        yield _row("more than one held it for", _seconds(report.several_ns))
        yield from _fail_overs(report)
    yield ""
    yield from _table(report.hosts)


def summary_of_many(
    reports: Sequence[Report], command: Callable[[int], str]
) -> Iterator[str]:
    """Yield the lines of the summary of many runs.

    `command` takes a seed and returns the command line that shows that run.
    """
    first, last = reports[0].seed, reports[-1].seed
    yield f"{len(reports)} runs, seeds {first} to {last}"
    yield ""
    yield _columns("", ["least", "median", "p99", "most"])
    for label, values, digits in figures(reports):
        spread = distribution(values)
        if spread is None:
            yield _columns(label, ["none"])
        else:
            columns = (spread.least, spread.median, spread.p99, spread.most)
            yield _columns(label, [f"{value:.{digits}f}" for value in columns])
    yield ""
    never = sum(report.first_held_ns is None for report in reports)
    if never:
        yield f"in {never} of them nobody ever held the address"
    left = sum(report.nobody_at_end for report in reports) - never
    if left:
        yield f"in {left} of them nobody held it at the end"
    worst = worst_of(reports)
    yield (
        f"worst is seed {worst.seed}: nobody {_seconds(worst.nobody_ns)}, "
        f"more than one {_seconds(worst.several_ns)}; to see it:"
    )
    yield f"  {command(worst.seed)}"


def figures(reports: Sequence[Report]) -> list[tuple[str, list[float], int]]:
    """Return the figures of many runs: (label, values, number of decimals to show)."""
    held = [report for report in reports if report.first_held_ns is not None]
    fail_overs = chain.from_iterable(report.fail_overs_ns for report in reports)
    return [
        ("held for the first time (s)", _in_s(r.first_held_ns or 0 for r in held), 3),
        ("available (%)", [100 * report.availability for report in reports], 3),
        ("nobody held it (s)", _in_s(report.nobody_ns for report in reports), 3),
        ("more than one held it (s)", _in_s(r.several_ns for r in reports), 3),
        ("a fail-over (s)", _in_s(fail_overs), 3),
        ("fail-overs", [len(report.fail_overs_ns) for report in reports], 0),
        ("changes of state", [sum(h.transitions for h in r.hosts) for r in reports], 0),
        ("adverts sent", [sum(host.adverts for host in r.hosts) for r in reports], 0),
    ]


def worst_of(reports: Sequence[Report]) -> Report:
    """Return the report with the most harm (`Report.harm_ns`).

    If several have the same harm, it is the first of them.
    """
    return max(reports, key=lambda report: report.harm_ns)


def _fail_overs(report: Report) -> Iterator[str]:
    spread = distribution([length / NS_PER_S for length in report.fail_overs_ns])
    if spread is None:
        yield _row("fail-overs", "none")
    else:
        yield _row("fail-overs", str(spread.count))
        yield _row("  without a gap", str(report.fail_overs_ns.count(0)))
        yield _row(
            "  from one holder to the next",
            f"median {spread.median:.3f} s, p99 {spread.p99:.3f} s, "
            f"worst {spread.most:.3f} s",
        )
    if report.nobody_at_end:
        yield _row("at the end", "nobody holds it")


def _table(hosts: Sequence[HostReport]) -> Iterator[str]:
    rows = [("host", "kind", "held", "adverts", "changes", "rejected frames")]
    rows += [
        (
            host.name,
            host.kind,
            _seconds(host.held_ns),
            str(host.adverts),
            str(host.transitions),
            ", ".join(f"{why} {count}" for why, count in host.rejected.items())
            or "none",
        )
        for host in hosts
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *words, rejected in rows:
        cells = zip(words, "<<>>>", widths[:-1], strict=True)
        shown = [f"{word:{side}{width}}" for word, side, width in cells]
        yield "  ".join([*shown, rejected])


def _row(label: str, text: str) -> str:
    return f"{label:<{_LABEL_WIDTH}}{text}"


def _columns(label: str, texts: Sequence[str]) -> str:
    return f"{label:<{_LABEL_WIDTH}}" + "".join(f"{text:>12}" for text in texts)


def _in_s(lengths_ns: Iterable[Interval]) -> list[float]:
    return [length_ns / NS_PER_S for length_ns in lengths_ns]


def _seconds(length_ns: Interval) -> str:
    return f"{length_ns / NS_PER_S:.3f} s"
