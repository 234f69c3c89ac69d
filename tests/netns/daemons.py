"""carppcap or ucarp, running in a host, and what it logs."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

UCARP_PATH = "/usr/sbin/ucarp"

PROGRAMS = {
    # Its standard output is buffered, so some lines would come late or never.
    "ucarp": ["stdbuf", "--output=L", UCARP_PATH],
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
    """`time_ns` counts from 1970; a line without a date takes that of the one before,
    and an empty `level`."""

    time_ns: int
    level: str
    text: str


def environment() -> dict[str, str]:
    """Return our environment with plain English, a known time zone and this tree.

    Python keeps its bytecode there, as it does for an installed package: otherwise
    every start compiles carppcap first.
    """
    settings = {"LC_ALL": "C", "TZ": "UTC", "PYTHONPATH": str(ROOT)}
    return {
        name: value
        for name, value in (os.environ | settings).items()
        if name not in ("LANGUAGE", "CARPPCAP_PASS", "PYTHONDONTWRITEBYTECODE")
    }


class Daemon:
    """One started daemon; `pid` is its own, also across the namespace."""

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
        """The exit status: None while it runs, negative if a signal ended it."""
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
        """Every state that it logged, oldest first."""
        found = (_STATE.search(line.text) for line in self.lines)
        return [match[1] for match in found if match]

    @property
    def state(self) -> str | None:
        """The last of `states`."""
        return self.states[-1] if self.states else None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL; return once it is gone."""
        self._process.kill()
        self._process.wait()

    def wait(self, timeout_s: float = 20.0) -> int:
        """Return its exit status once it ends (`subprocess.TimeoutExpired` if late)."""
        return self._process.wait(timeout_s)
