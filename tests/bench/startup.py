"""From the start of the process to a capture that listens."""

import time
from pathlib import Path

from tests.bench.report import Row
from tests.bench.stage import BOTH, NO_SCRIPTS, ORIGINAL, OURS
from tests.netns.lab import Host, Lab, LateError

SECTION = "Start-up: exec -> capture bound to the interface"
LIMIT_MS = 150.0
PATIENCE_S = 10.0
_POLL_S = 0.0005


def run(quick: bool) -> list[Row]:
    rounds = 5 if quick else 20
    samples: dict[str, list[float]] = {name: [] for name in BOTH}
    with Lab(1) as lab:
        [host] = lab.hosts
        for _ in range(rounds):
            for name in BOTH:
                samples[name].append(startup_ms(host, name))
    return [
        Row(
            SECTION,
            "start -> listening",
            "ms",
            tuple(samples[OURS]),
            tuple(samples[ORIGINAL]),
            LIMIT_MS,
        )
    ]


def startup_ms(host: Host, program: str) -> float:
    arguments = f"{NO_SCRIPTS} -s {host.address} -n".split()
    started_s = time.monotonic()
    daemon = host.start_bare(program, arguments)
    while not listens(host):
        if time.monotonic() > started_s + PATIENCE_S or not daemon.is_running:
            raise LateError(f"{program} does not listen: {daemon.lines}")
        time.sleep(_POLL_S)
    took_s = time.monotonic() - started_s
    daemon.kill()
    while listens(host):
        time.sleep(_POLL_S)
    return took_s * 1000


def listens(host: Host) -> bool:
    """Whether a packet socket of `host` is bound to an interface and runs.

    The filter is attached some microseconds after that.
    """
    sockets = Path(f"/proc/{host.namespace.pid}/net/packet").read_text()
    for line in sockets.splitlines()[1:]:
        _, _, _, _, interface, running, *_ = line.split()
        if int(interface) and int(running):
            return True
    return False
