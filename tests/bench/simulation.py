"""Measures how fast a group of hosts is simulated, for a short and a long time."""

import time

from carppcap.simulation.run import measure
from carppcap.simulation.scenario.document import parse_document
from tests.bench.report import Row

SECTION = "Simulation of three hosts on one core, two thousand times real time"
HOUR_S = 3600
LIMIT_S = HOUR_S / 2000
GROUPS = {
    "carppcap": ("carppcap", "carppcap", "carppcap"),
    "mixed": ("carppcap", "ucarp", "netbsd"),
}


def run(quick: bool) -> list[Row]:
    rounds = 2 if quick else 5
    rows = []
    for name, kinds in GROUPS.items():
        for hours in (1, 10):
            samples = tuple(per_hour_s(kinds, hours, seed) for seed in range(rounds))
            what = f"an hour of {name}, of {hours}"
            rows.append(Row(SECTION, what, "s", samples, limit=LIMIT_S))
    return rows


def per_hour_s(kinds: tuple[str, ...], hours: int, seed: int) -> float:
    """Return the CPU seconds for each simulated hour, on a wire that loses frames."""
    scenario = parse_document(
        {
            "node": {f"node{n}": {"kind": kind} for n, kind in enumerate(kinds)},
            "wire": {"loss": "5%", "jitter": "2ms"},
            "duration": f"{hours}h",
        },
        "benchmark",
    )
    started_s = time.process_time()
    report = measure(scenario, seed)
    took_s = time.process_time() - started_s
    assert sum(host.adverts for host in report.hosts) > HOUR_S * hours / 2
    return took_s / hours
