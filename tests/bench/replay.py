"""Measures how fast `carppcap replay` and tshark read a day of adverts.

tshark's CARP dissector checks no digest and runs no election; it shows how fast this
machine is.  Memory is bounded if three times as many frames need hardly more of it.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from carppcap.election.actions import SendAdvert
from carppcap.node.egress import Egress
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.header import checksum
from tests.bench.report import Row
from tests.bench.stage import config_of
from tests.netns.daemons import ROOT, environment
from tests.netns.lab import PASSWORD, VHID, VIP

SECTION = "Replay of a file, whole process"
FLAGS = f"-i eth0 -s 10.9.0.2 -v {VHID} -p {PASSWORD} -a {VIP} -k 100".split()
COUNT = 86_400
PARTS = 3
"""The whole capture has so many times the adverts of the smaller one.  After a fifth of
all adverts the replay guard has the 16 384 counters that it keeps at most, and after a
quarter their table has its final size.  If the part were smaller, this memory would
seem to grow without bound."""
LIMIT_S = 10.0
GROWTH_LIMIT_MB = 2.0
_POLL_S = 0.01

_FILE_HEADER = Struct("=IHHiIII")
_RECORD_HEADER = Struct("=IIII")
_CARP_OFFSET = 34
_COUNTER = slice(_CARP_OFFSET + 8, _CARP_OFFSET + 16)
_DIGEST = slice(_CARP_OFFSET + 16, _CARP_OFFSET + 36)
_CHECKSUM = slice(_CARP_OFFSET + 6, _CARP_OFFSET + 8)


@dataclass(frozen=True, slots=True)
class Run:
    """What one process used: its time, and the peak of its resident memory."""

    took_s: float
    peak_mb: float


def run(quick: bool) -> list[Row]:
    rounds = 1 if quick else 3
    with tempfile.TemporaryDirectory(prefix="carp-bench-") as name:
        whole, part = Path(name, "whole.pcap"), Path(name, "part.pcap")
        write_adverts(part, COUNT // PARTS)
        write_adverts(whole, COUNT)
        ours_part, theirs_part = carppcap(part), tshark(part)
        ours: list[Run] = []
        theirs: list[Run] = []
        for _ in range(rounds):
            ours.append(carppcap(whole))
            theirs.append(tshark(whole))
    return [
        Row(
            SECTION,
            f"{COUNT:,} adverts",
            "s",
            tuple(run.took_s for run in ours),
            tuple(run.took_s for run in theirs),
            LIMIT_S,
            rival="tshark",
        ),
        Row(
            SECTION,
            f"peak memory, {COUNT:,} adverts",
            "MB",
            tuple(run.peak_mb for run in ours),
            tuple(run.peak_mb for run in theirs),
            rival="tshark",
        ),
        Row(
            SECTION,
            f"more than with {COUNT // PARTS:,} adverts",
            "MB",
            tuple(run.peak_mb - ours_part.peak_mb for run in ours),
            tuple(run.peak_mb - theirs_part.peak_mb for run in theirs),
            GROWTH_LIMIT_MB,
            rival="tshark",
        ),
    ]


def carppcap(path: Path) -> Run:
    return measured([sys.executable, "-m", "carppcap", "replay", str(path), *FLAGS])


def tshark(path: Path) -> Run:
    return measured(
        ["tshark", "-r", str(path), "-d", "ip.proto==112,carp", "-Y", "carp"]
    )


def measured(command: list[str]) -> Run:
    """Run `command` to its end; return what it used.

    Raises `subprocess.CalledProcessError`.
    """
    started_s = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    # The peak that wait4 reports includes the memory of this process before exec.
    status = Path(f"/proc/{process.pid}/status")
    peak_kb = 0
    while process.poll() is None:
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak_kb = max(peak_kb, int(line.split()[1]))
        time.sleep(_POLL_S)
    took_s = time.monotonic() - started_s
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Run(took_s, peak_kb * 1024 / 1e6)


def write_adverts(path: Path, count: int) -> None:
    """Write a capture of `count` authentic adverts, one a second, all different."""
    config = config_of("10.9.0.1")
    # Change only the fields that differ: building whole frames takes longer.
    egress = Egress(config, bytes(6), lambda: 0x4242)
    frame = bytearray(egress.frames(SendAdvert(1, 0, 0), 0)[0])
    signer = Authenticator(Key(PASSWORD.encode()), VHID, config.vips)
    length = len(frame)
    with path.open("wb") as file:
        file.write(_FILE_HEADER.pack(0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(count):
            frame[_COUNTER] = number.to_bytes(8, "big")
            frame[_DIGEST] = signer.digest(number)
            frame[_CHECKSUM] = b"\0\0"
            frame[_CHECKSUM] = checksum(frame[_CARP_OFFSET:]).to_bytes(2, "big")
            file.write(_RECORD_HEADER.pack(1_700_000_000 + number, 0, length, length))
            file.write(frame)
