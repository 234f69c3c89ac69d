"""Measures which flood of forged adverts a group survives without a missed advert.

The rate rises in steps, up to the most that this machine can send.  The backup takes
over as soon as it misses a single advert, so a take-over shows that it missed one.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.footprint import use
from tests.bench.report import Row
from tests.bench.stage import OURS, UCARP, await_adverts
from tests.netns.daemons import Daemon
from tests.netns.flood import Flood
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import longest_gap_ns

SECTION = "Flood of adverts with a wrong digest: rate before the first missed advert"
RATES = (25_000, 50_000, 75_000, 100_000, 0)
"""Frames per second; 0 means as many as can be sent."""

MASTER, BACKUP = "-r 1 -k 0", "-r 1 -k 255"
GAP_NS_MAX = 1_500_000_000
ROLES = ("master", "backup")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a step: the rate in frames per second, and what the daemons did.

    `is_survived` is True if no advert was missed.  `cpu_percent` and `log_kb_per_s`
    have two values, that of the master and that of the backup.
    """

    rate: float
    is_survived: bool
    cpu_percent: tuple[float, ...]
    log_kb_per_s: tuple[float, ...]


def run(quick: bool) -> list[Row]:
    rates, step_s = ((50_000, 0), 2.5) if quick else (RATES, 3.2)
    # One after the other, as both floods would share this machine.
    ours, theirs = (list(outcomes(program, rates, step_s)) for program in (OURS, UCARP))
    is_all = len(ours) == len(rates) and ours[-1].is_survived
    return [
        Row(
            SECTION,
            "survived",
            "frames/s",
            (survived(ours),),
            (survived(theirs),),
            at_least=survived(ours) if is_all else survived(theirs),
            note=f"{OURS} {verdict(ours)}; {UCARP} {verdict(theirs)}",
        ),
        *(
            Row(SECTION, f"{role}: {what}", unit, (mine,), (its,))
            for what, unit, field in (
                ("processor", "%", "cpu_percent"),
                ("log", "kB/s", "log_kb_per_s"),
            )
            for role, mine, its in zip(
                ROLES, getattr(ours[-1], field), getattr(theirs[-1], field), strict=True
            )
        ),
    ]


def survived(steps: list[Outcome]) -> float:
    """Return the highest rate without a missed advert; 0 if there is none."""
    return max((step.rate for step in steps if step.is_survived), default=0.0)


def verdict(steps: list[Outcome]) -> str:
    """Return in words whether an advert was missed, and at which rate."""
    if steps[-1].is_survived:
        return "missed none, at all that could be sent"
    return f"missed one at {steps[-1].rate:.0f}"


def outcomes(program: str, rates: tuple[int, ...], step_s: float) -> Iterator[Outcome]:
    """Yield the outcome of a step of `step_s` seconds at each of `rates`.

    End after the first step in which an advert is missed.
    """
    with Lab(3) as lab:
        first, second, stranger = lab.hosts
        daemons = [start(first, program, MASTER)]
        wait_for("a master", lambda: lab.wire.adverts(first.address))
        daemons.append(start(second, program, BACKUP))
        await_adverts(lab, first, 3)
        for rate in rates:
            outcome = step(lab, stranger, daemons, rate, step_s)
            yield outcome
            if not outcome.is_survived:
                return


def log_of(host: Host) -> Path:
    return host.lab.directory / f"flood-{host.name}.log"


def start(host: Host, program: str, flags: str) -> Daemon:
    """Start a daemon with a log that can be emptied, because ucarp's grows quickly."""
    words = ("sh", "-c", f'exec "$@" >>{log_of(host)} 2>&1', "sh")
    return host.start(program, flags, before=words)


def step(
    lab: Lab, stranger: Host, daemons: list[Daemon], rate: int, step_s: float
) -> Outcome:
    """Flood the daemons from `stranger` for `step_s` seconds; return the outcome.

    `rate` is in frames per second; 0 means as many as possible.
    """
    first, second, _ = lab.hosts
    logs = [log_of(first), log_of(second)]
    for log in logs:
        os.truncate(log, 0)
    before_ns = lab.wire.adverts(first.address)[-1].time_ns
    uses = [use(daemon.pid) for daemon in daemons]
    with Flood(stranger, "digest", rate) as flood:
        time.sleep(step_s)
        spans = [
            (begun, use(daemon.pid))
            for begun, daemon in zip(uses, daemons, strict=True)
        ]
        sizes = [log.stat().st_size for log in logs]
    gap_ns = longest_gap_ns(lab, first, before_ns)
    return Outcome(
        flood.rate,
        gap_ns < GAP_NS_MAX and not lab.wire.adverts(second.address, before_ns),
        tuple(
            100 * (after.cpu_s - begun.cpu_s) / (after.time_s - begun.time_s)
            for begun, after in spans
        ),
        tuple(size / 1000 / step_s for size in sizes),
    )
