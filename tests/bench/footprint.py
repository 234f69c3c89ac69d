"""Measures what an idle daemon uses: processor time, memory and wake-ups."""

import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.bench.report import Row
from tests.bench.stage import await_adverts, await_state, for_both
from tests.netns.daemons import Daemon
from tests.netns.lab import Lab
from tests.netns.wire import NS_PER_S

SECTION = "Idle, one virtual host, an advert a second"
CPU_LIMIT_PERCENT = 0.1
MEMORY_LIMIT_MB = 30.0


@dataclass(frozen=True, slots=True)
class Use:
    """What a process has used from its start until `time_s`, a monotonic time."""

    time_s: float
    cpu_s: float
    wakeups: int


def run(quick: bool) -> list[Row]:
    windows, window_s = (2, 8.0) if quick else (4, 15.0)
    ours, theirs = for_both(lambda name: footprint(name, windows, window_s))
    limits = {"%": CPU_LIMIT_PERCENT, "MB": MEMORY_LIMIT_MB}
    return [
        Row(SECTION, what, unit, ours[what, unit], theirs[what, unit], limits.get(unit))
        for what, unit in ours
    ]


Samples = dict[tuple[str, str], tuple[float, ...]]


def footprint(program: str, windows: int, window_s: float) -> Samples:
    """Return what a master and its backup use, as samples by (what, unit).

    Each of the `windows` of `window_s` seconds makes one sample.
    """
    samples: Samples = {}
    with Lab(2) as lab:
        first, second = lab.hosts
        master = first.start(program, "-k 0")
        backup = second.start(program, "-k 100")
        await_state(master, "MASTER")
        await_state(backup, "BACKUP")
        await_adverts(lab, first, 3)
        roles = {"master": master, "backup": backup}
        uses = [[use(daemon) for daemon in roles.values()]]
        for _ in range(windows):
            time.sleep(window_s)
            uses.append([use(daemon) for daemon in roles.values()])
        for (role, daemon), history in zip(
            roles.items(), zip(*uses, strict=True), strict=True
        ):
            spans = list(pairwise(history))
            samples[f"{role}: processor", "%"] = tuple(
                100 * (after.cpu_s - before.cpu_s) / (after.time_s - before.time_s)
                for before, after in spans
            )
            samples[f"{role}: wake-ups", "1/s"] = tuple(
                (after.wakeups - before.wakeups) / (after.time_s - before.time_s)
                for before, after in spans
            )
            for kind in ("Rss", "Pss"):
                samples[f"{role}: {kind.upper()}", "MB"] = (memory_mb(daemon, kind),)
    return samples


def use(daemon: Daemon) -> Use:
    """Return what `daemon` has used until now."""
    process = Path(f"/proc/{daemon.pid}")
    # schedstat counts nanoseconds; utime and stime would count whole clock ticks.
    cpu_ns = int((process / "schedstat").read_text().split()[0])
    status = (process / "status").read_text().splitlines()
    [wakeups] = [
        int(line.split()[1])
        for line in status
        if line.startswith("voluntary_ctxt_switches")
    ]
    return Use(time.monotonic(), cpu_ns / NS_PER_S, wakeups)


def memory_mb(daemon: Daemon, kind: str) -> float:
    """Return the memory of `daemon` in MB, of the `kind` "Rss" or "Pss".

    "Rss" counts all resident pages.  "Pss" divides each shared page by the number of
    processes that share it.  Raises `LookupError` if the kernel does not list `kind`.
    """
    for line in Path(f"/proc/{daemon.pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(kind)
