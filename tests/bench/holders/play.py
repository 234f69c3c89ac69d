"""Plays cases, each a fault in a lab of its own, and makes rows of how it went.

A scenario runs a program on the hosts of a lab, causes the fault, and returns the span
of time that is judged.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tests.bench.report import Row
from tests.bench.stage import OURS, UCARP, at_once
from tests.netns.lab import Lab, LateError
from tests.netns.wire import NS_PER_S

JOBS = 8
SPREAD_S = 0.37
"""Time between rounds, so that they begin at different phases of a second."""


class UnplayableError(Exception):
    """This machine or program lacks something that a scenario needs."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time from `since_ns` to `until_ns`, which is judged."""

    since_ns: int
    until_ns: int


Scenario = Callable[[Lab, str], Span]


@dataclass(frozen=True, slots=True)
class Case:
    """A fault on `hosts` hosts, with the longest times in seconds that are allowed.

    Only `programs` can have it, by default all.

    `two_limit_s` is for two holders of the address, `none_limit_s` for no holder.  If
    `is_promise` is set, every single round must keep them and not only the median, and
    there are more rounds.  A case that needs the machine is played `alone`.
    """

    what: str
    play: Scenario
    two_limit_s: float | None = None
    none_limit_s: float | None = None
    note: str = ""
    hosts: int = 2
    programs: tuple[str, ...] = ()
    is_promise: bool = False
    alone: bool = False

    def concerns(self, program: str) -> bool:
        """True if `program` can have this fault."""
        return not self.programs or program in self.programs


def lasting(since_ns: int, duration_s: float) -> Span:
    """Wait until `duration_s` seconds after `since_ns`; return the span up to then."""
    until_ns = since_ns + round(duration_s * NS_PER_S)
    time.sleep(max(0, until_ns - time.time_ns()) / NS_PER_S)
    return Span(since_ns, until_ns)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How long two hosts or none had the address in a round, and how often it moved.

    If the round could not be played, `failure` says why, and the rest means nothing.
    """

    two_s: float = 0.0
    none_s: float = 0.0
    changes: int = 0
    failure: str = ""


Outcomes = Mapping[tuple[Case, str], Sequence[Outcome]]
"""The outcomes of all rounds of a case with a program."""


def outcomes(
    cases: Iterable[Case], programs: Iterable[str], rounds: Callable[[Case, str], int]
) -> Outcomes:
    """Play all cases with all programs, `JOBS` at a time; return how they went."""
    plays = [
        (case, program, number)
        for case in cases
        for program in programs
        if case.concerns(program)
        for number in range(rounds(case, program))
    ]
    plays.sort(key=lambda play: play[2])
    found: dict[tuple[Case, str], list[Outcome]] = {}
    for alone, jobs in ((False, JOBS), (True, 1)):
        chosen = [play for play in plays if play[0].alone is alone]
        if not chosen:
            continue
        played = at_once((partial(outcome, *play) for play in chosen), jobs)
        for (case, program, _), result in zip(chosen, played, strict=True):
            found.setdefault((case, program), []).append(result)
    return found


def outcome(case: Case, program: str, number: int) -> Outcome:
    """Play a case with `program` in a lab of its own; return the outcome.

    `number` is the round, which delays the start.
    """
    time.sleep(number * SPREAD_S)
    try:
        with Lab(case.hosts) as lab:
            return judged(lab, case.play(lab, program))
    except LateError as error:
        story = "\n".join(getattr(error, "__notes__", ()))
        print(f"{case.what}, {program}: {error}\n{story}\n", file=sys.stderr)
        return Outcome(failure=f"{program}: {error}")
    except UnplayableError as error:
        return Outcome(failure=f"{program}: {error}")


def judged(lab: Lab, span: Span) -> Outcome:
    """Return the outcome in `lab` within `span`.

    The time that the machine itself stood still is not time with two holders.
    """
    two_ns = none_ns = 0
    for period in lab.addresses.periods(span.since_ns, span.until_ns):
        if len(period.holders) > 1:
            stalled_ns = lab.stalled_ns(period.start_ns, period.end_ns)
            two_ns += max(0, period.duration_ns - stalled_ns)
        elif not period.holders:
            none_ns += period.duration_ns
    changes = [
        change
        for change in lab.addresses.changes
        if span.since_ns < change.time_ns < span.until_ns
    ]
    return Outcome(two_ns / NS_PER_S, none_ns / NS_PER_S, len(changes))


TWO, NONE, CHANGES = "two", "none", "changes"
_SAMPLE: dict[str, Callable[[Outcome], float]] = {
    TWO: lambda one: one.two_s,
    NONE: lambda one: one.none_s,
    CHANGES: lambda one: float(one.changes),
}


def rows(
    section: str, measure: str, found: Outcomes, cases: Iterable[Case], rival: str
) -> list[Row]:
    """Return the rows of a section: a `measure` of all cases, beside a rival.

    Limits, remarks and cases of carppcap alone stand beside ucarp only, and remarks
    only in the first measure.
    """
    return [
        _row(section, measure, found, case, rival)
        for case in cases
        if rival == UCARP or case.concerns(rival)
    ]


def _row(section: str, measure: str, found: Outcomes, case: Case, rival: str) -> Row:
    ours, theirs = (found.get((case, name), ()) for name in (OURS, rival))
    failures = sorted({one.failure for one in (*ours, *theirs)} - {""})
    limits = {TWO: case.two_limit_s, NONE: case.none_limit_s}
    note = case.note if rival == UCARP else ""
    return Row(
        section,
        case.what,
        "" if measure == CHANGES else "s",
        tuple(_SAMPLE[measure](one) for one in ours if not one.failure),
        tuple(_SAMPLE[measure](one) for one in theirs if not one.failure),
        limit=limits.get(measure) if rival == UCARP else None,
        note="; ".join(filter(None, (note, *failures))) if measure == TWO else "",
        rival=rival,
        by_worst=case.is_promise,
    )
