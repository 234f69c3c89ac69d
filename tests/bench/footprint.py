"""Measures what an idle daemon uses: processor time, memory and wake-ups."""

import time
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from tests.bench.holders.contenders import await_pace, processes
from tests.bench.keepalived import KEEPALIVED, Instance, is_installed
from tests.bench.report import Row
from tests.bench.stage import OURS, at_once, await_adverts, await_state, for_both
from tests.netns.lab import Lab, wait_for
from tests.netns.wire import NS_PER_S

SECTION = "Idle, one virtual host, an advert a second"
OWN_SECTION = "Own addresses, an advert a second: daemon and keeper"
CPU_LIMIT_PERCENT = 0.1
MEMORY_LIMIT_MB = 30.0
COUNTS = (1, 255)
S_PER_H = 3600


@dataclass(frozen=True, slots=True)
class Use:
    """What processes have used from their start until `time_s`, a monotonic time."""

    time_s: float
    cpu_s: float
    wakeups: int


def run(quick: bool) -> list[Row]:
    windows, window_s = (2, 8.0) if quick else (4, 15.0)
    ours, theirs = for_both(lambda name: footprint(name, windows, window_s))
    limits = {"%": CPU_LIMIT_PERCENT, "MB": MEMORY_LIMIT_MB}
    idle = [
        Row(SECTION, what, unit, ours[what, unit], theirs[what, unit], limits.get(unit))
        for what, unit in ours
    ]
    return idle + own_rows(windows, window_s)


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
        uses = [[use(daemon.pid) for daemon in roles.values()]]
        for _ in range(windows):
            time.sleep(window_s)
            uses.append([use(daemon.pid) for daemon in roles.values()])
        for (role, daemon), history in zip(
            roles.items(), zip(*uses, strict=True), strict=True
        ):
            spans = list(pairwise(history))
            samples[f"{role}: processor", "%"] = tuple(
                100 * _load(before, after) for before, after in spans
            )
            samples[f"{role}: wake-ups", "1/s"] = tuple(
                (after.wakeups - before.wakeups) / (after.time_s - before.time_s)
                for before, after in spans
            )
            for kind in ("Rss", "Pss"):
                samples[f"{role}: {kind.upper()}", "MB"] = (
                    memory_mb(kind, daemon.pid),
                )
    return samples


def own_rows(windows: int, window_s: float) -> list[Row]:
    """Return the rows about a master that holds its addresses itself."""
    programs = [OURS, *([KEEPALIVED] if is_installed() else [])]
    rows = []
    for count in COUNTS:
        # Side by side with another daemon it would seem to use less memory.
        ours, *others = at_once(
            partial(own_footprint, program, count, windows, window_s)
            for program in programs
        )
        theirs = others[0] if others else {}
        rows += [
            Row(
                OWN_SECTION,
                f"{count} address{'es' if count > 1 else ''}, {what}",
                unit,
                samples,
                theirs.get((what, unit), ()),
                # The bar is that of one group with one address.
                MEMORY_LIMIT_MB if unit == "MB" and count == 1 else None,
                rival=KEEPALIVED,
            )
            for (what, unit), samples in ours.items()
        ]
    return rows


def own_footprint(program: str, count: int, windows: int, window_s: float) -> Samples:
    """Return what a master of `count` addresses uses, as samples by (what, unit)."""
    vips = [f"10.9.1.{number}" for number in range(1, count + 1)]
    with Lab(1, vips=vips) as lab:
        [host] = lab.hosts
        if program == KEEPALIVED:
            daemon = Instance(vips=vips).start(host)
        else:
            daemon = host.start(program, "--own-addresses", scripts=False)
        wait_for("the addresses", lambda: host.holds_all)
        await_pace(host, 3)
        found = processes(daemon)
        roles = {"both": found.all, "keeper": (found.companion,)}
        uses: dict[str, list[Use]] = {role: [] for role in roles}
        for _ in range(windows + 1):
            for role, pids in roles.items():
                uses[role].append(use(*pids))
            time.sleep(window_s)
        samples: Samples = {
            (f"{role}: processor", "s/h"): tuple(
                S_PER_H * _load(before, after) for before, after in pairwise(history)
            )
            for role, history in uses.items()
        }
        return samples | {("both: PSS", "MB"): (memory_mb("Pss", *found.all),)}


def _load(before: Use, after: Use) -> float:
    """Return the processor time used for each second between two instants."""
    return (after.cpu_s - before.cpu_s) / (after.time_s - before.time_s)


def use(*pids: int) -> Use:
    """Return what these processes have used until now."""
    cpu_ns = wakeups = 0
    for pid in pids:
        process = Path(f"/proc/{pid}")
        # schedstat counts nanoseconds; utime and stime would count whole clock ticks.
        cpu_ns += int((process / "schedstat").read_text().split()[0])
        [switches] = [
            int(line.split()[1])
            for line in (process / "status").read_text().splitlines()
            if line.startswith("voluntary_ctxt_switches")
        ]
        wakeups += switches
    return Use(time.monotonic(), cpu_ns / NS_PER_S, wakeups)


def memory_mb(kind: str, *pids: int) -> float:
    """Return the memory of these processes in MB, of the `kind` "Rss" or "Pss".

    "Rss" counts all resident pages.  "Pss" divides each shared page by the number of
    processes that share it.  Raises `LookupError` if the kernel does not list `kind`.
    """
    return sum(map(partial(_memory_mb, kind), pids))


def _memory_mb(kind: str, pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise LookupError(kind)
