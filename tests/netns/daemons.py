"""Runs carppcap, ucarp or a simulated BSD kernel in a host, and reads its log."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

UCARP_PATH = "/usr/sbin/ucarp"

PROGRAMS = {
    # ucarp buffers its standard output, so some lines would come late or never.
    "ucarp": ["stdbuf", "--output=L", UCARP_PATH],
    "keepalived": ["keepalived"],
    "carppcap": [sys.executable, "-m", "carppcap"],
    **{
        kind: [sys.executable, "-m", "tests.netns.bsd_peer", kind]
        for kind in ("freebsd", "netbsd", "openbsd")
    },
}

_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}): \[(\w+)\] (.*)")
_STATE = re.compile(r"Switching to state: (\w+)")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log; `time_ns` counts from 1970.

    A line without a date has the date of the line before it, and an empty `level`.
    """

    time_ns: int
    level: str
    text: str


def environment() -> dict[str, str]:
    """Return the environment of a daemon: ours in English, in UTC, and with this tree.

    Python may write its bytecode to the tree, as it does for an installed package.
    Otherwise every start would compile carppcap first.
    """
    settings = {"LC_ALL": "C", "TZ": "UTC", "PYTHONPATH": str(ROOT)}
    return {
        name: value
        for name, value in (os.environ | settings).items()
        if name not in ("LANGUAGE", "CARPPCAP_PASS", "PYTHONDONTWRITEBYTECODE")
    }


class Daemon:
    """One started daemon.

    `pid` is the pid of the daemon itself: `nsenter` and `stdbuf` replace themselves by
    it.
    """

    def __init__(self, program: str, command: Sequence[str], log: Path) -> None:
        self.program = program
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )

    def __repr__(self) -> str:
        return f"{self.log.stem} {self.program}"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, None while it runs; negative if a signal ended it."""
        return self._process.poll()

    @property
    def is_running(self) -> bool:
        return self.exit_status is None

    @property
    def lines(self) -> list[LogLine]:
        """The lines that it has logged so far."""
        lines: list[LogLine] = []
        time_ns = 0
        for text in self.log.read_text(errors="replace").splitlines():
            if match := _LINE.fullmatch(text):
                date = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
                time_ns = int(date.timestamp() * 1_000_000) * 1000
                lines.append(LogLine(time_ns, match[2], match[3]))
            else:
                lines.append(LogLine(time_ns, "", text))
        return lines

    def logged(self, words: str) -> list[LogLine]:
        """Return the lines that contain `words`."""
        return [line for line in self.lines if words in line.text]

    @property
    def states(self) -> list[str]:
        """All states that it has logged, oldest first."""
        found = (_STATE.search(line.text) for line in self.lines)
        return [match[1] for match in found if match]

    @property
    def state(self) -> str | None:
        """The last state that it has logged, or None."""
        return self.states[-1] if self.states else None

    def signal(self, number: int) -> None:
        """Send a signal, unless the daemon has ended."""
        self._process.send_signal(number)

    def kill(self) -> int:
        """End the daemon by SIGKILL; return when the signal was sent.

        That is an instant of `time.time_ns`.  Returns once the process is gone.
        """
        self._process.kill()
        # Read afterwards: with many scenarios in one process, a call may have to wait.
        sent_ns = time.time_ns()
        self._process.wait()
        return sent_ns

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait for its end; return its exit status.

        Raises `subprocess.TimeoutExpired` after `timeout_s` seconds.
        """
        return self._process.wait(timeout_s)
