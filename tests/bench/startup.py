"""Measures the time from the start of the process until its capture listens.

A Python daemon cannot start faster than its interpreter.  So the target is a ratio to
the time of an interpreter that only imports the modules that every capture needs, and
is started in the same round.
"""

import subprocess
import sys
import time
from pathlib import Path

from tests.bench.report import Row
from tests.bench.stage import BOTH, NO_SCRIPTS, OURS, UCARP
from tests.netns.daemons import environment
from tests.netns.lab import Host, Lab, LateError

SECTION = "Start-up: exec -> capture bound to the interface"
RATIO_LIMIT = 2.5
TIMEOUT_S = 10.0
BARE = [sys.executable, "-c", "import pcapy, impacket.ImpactPacket"]
_POLL_S = 0.0005


def run(quick: bool) -> list[Row]:
    rounds = 5 if quick else 20
    samples: dict[str, list[float]] = {name: [] for name in BOTH}
    bare_ms: list[float] = []
    with Lab(1) as lab:
        [host] = lab.hosts
        for _ in range(rounds):
            for name in BOTH:
                samples[name].append(startup_ms(host, name))
            bare_ms.append(interpreter_ms(host))
    return [
        Row(
            SECTION,
            "start -> listening",
            "ms",
            tuple(samples[OURS]),
            tuple(samples[UCARP]),
        ),
        Row(SECTION, "interpreter with its imports alone", "ms", tuple(bare_ms)),
        Row(
            SECTION,
            "start -> listening, times that interpreter",
            "x",
            tuple(
                started / bare
                for started, bare in zip(samples[OURS], bare_ms, strict=True)
            ),
            limit=RATIO_LIMIT,
        ),
    ]


def interpreter_ms(host: Host) -> float:
    """Return how many ms an interpreter takes to import pcapy and impacket and end."""
    started_s = time.monotonic()
    subprocess.run(
        host.namespace.command(BARE),
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=TIMEOUT_S,
    )
    return (time.monotonic() - started_s) * 1000


def startup_ms(host: Host, program: str) -> float:
    """Return how many ms `program` takes until it listens.

    Raises `LateError` after `TIMEOUT_S`, or if the program ends.
    """
    arguments = f"{NO_SCRIPTS} -s {host.address} -n".split()
    started_s = time.monotonic()
    daemon = host.start_bare(program, arguments)
    while not listens(host):
        if time.monotonic() > started_s + TIMEOUT_S or not daemon.is_running:
            raise LateError(f"{program} does not listen: {daemon.lines}")
        time.sleep(_POLL_S)
    took_s = time.monotonic() - started_s
    daemon.kill()
    while listens(host):
        time.sleep(_POLL_S)
    return took_s * 1000


def listens(host: Host) -> bool:
    """True if a packet socket in `host` is bound to an interface and runs.

    The daemon attaches its filter some microseconds after that.
    """
    sockets = Path(f"/proc/{host.namespace.pid}/net/packet").read_text()
    for line in sockets.splitlines()[1:]:
        _, _, _, _, interface, running, *_ = line.split()
        if int(interface) and int(running):
            return True
    return False
