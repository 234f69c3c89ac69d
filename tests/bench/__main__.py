"""Runs the benchmarks: `make bench`, or `python -m tests.bench [NAME...] [OPTIONS]`."""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.bench import (
    churn,
    failover,
    flood,
    footprint,
    handover,
    interrupts,
    reaction,
    replay,
    simulation,
    startup,
    starved,
)
from tests.bench.holders import deaths, kills, silence, weaknesses
from tests.bench.report import Row, as_json, as_rst, closing_line, table
from tests.tables import write_between

BENCHMARKS: dict[str, Callable[[bool], list[Row]]] = {
    "reaction": reaction.run,
    "interrupts": interrupts.run,
    "starved": starved.run,
    "failover": failover.run,
    "handover": handover.run,
    "holders": weaknesses.run,
    "deaths": deaths.run,
    "kills": kills.run,
    "silence": silence.run,
    "footprint": footprint.run,
    "churn": churn.run,
    "flood": flood.run,
    "startup": startup.run,
    "replay": replay.run,
    "simulation": simulation.run,
}

RESULTS = Path(__file__).parent / "README.rst"

NEEDED = ("ip", "ping", "nsenter", "ucarp", "tshark")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"any of {', '.join(BENCHMARKS)}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all samples, too")
    parser.add_argument("--write", action="store_true", help=f"rewrite {RESULTS}")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    os.environ["PATH"] += os.pathsep + "/usr/sbin"
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        print(f"bench: not installed: {', '.join(missing)}", file=sys.stderr)
        return 1
    if os.geteuid() != 0:
        print("bench: needs root", file=sys.stderr)
        return 1
    rows: list[Row] = []
    for name in chosen.names or BENCHMARKS:
        started_s = time.monotonic()
        found = BENCHMARKS[name](chosen.quick)
        took_s = time.monotonic() - started_s
        rows += found
        print(f"{table(found)}\n  ({name}: {took_s:.0f} s)\n", flush=True)
    print(closing_line(rows))
    if chosen.write:
        write_between(RESULTS, "results", as_rst(rows))
    if chosen.json:
        chosen.json.write_text(json.dumps(as_json(rows), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
