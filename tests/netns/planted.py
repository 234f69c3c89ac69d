"""Runs carppcap with two mistakes planted, which wait for a signal.

    python -m tests.netns.planted python -m carppcap FLAGS

SIGRTMIN makes the loop hang, and SIGRTMIN+1 makes it take memory without end.  Put
`PLANTED` before the command of a daemon.
"""

import signal
import sys

from carppcap.cli import main

PLANTED = (sys.executable, "-m", "tests.netns.planted")
HANG, LEAK = signal.SIGRTMIN, signal.SIGRTMIN + 1
_CHUNK_BYTES = 1 << 20


def _hang(number: int, frame: object) -> None:
    while True:
        pass


def _leak(number: int, frame: object) -> None:
    chunks = []
    while True:
        chunks.append(b"x" * _CHUNK_BYTES)


if __name__ == "__main__":
    # Python calls the handler of a signal between two instructions of the loop.
    signal.signal(HANG, _hang)
    signal.signal(LEAK, _leak)
    sys.argv = sys.argv[sys.argv.index("-m") + 1 :]
    sys.exit(main())
