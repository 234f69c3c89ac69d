"""Writes the log in ucarp's format to the terminal, to syslog, or to both.

    2026-01-07T17:38:22.123456: [WARNING] text      stdout; warnings, errors: stderr
    ucarp[6103]: [WARNING] text                     syslog

Log watchers match these lines, so they keep ucarp's words and are English in every
locale.  Only the error that ends the process is translated, and only if standard error
is a terminal.  Nothing here ever blocks: a full log, or a terminal stopped with Ctrl-S,
must not stop adverts.  Lines that could not be written are counted, and their number is
logged later.
"""

import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial

from carppcap.errors import CarpError
from carppcap.text.i18n import translate_error

_SYSLOG_SOCKET = "/dev/log"


class Level(Enum):
    """Severities, with their numbers in syslog."""

    DEBUG = 7
    INFO = 6
    NOTICE = 5
    WARNING = 4
    ERROR = 3


class _Outlet:
    """A destination of log lines, which may be full.

    `send` returns False if the destination could not take the line.  Lost lines are
    counted, and the next line that fits is preceded by a line with their number.
    """

    def __init__(self, name: str, send: Callable[[Level, str], bool]) -> None:
        self._name = name
        self._send = send
        self._lost = 0

    def write(self, level: Level, text: str) -> None:
        """Write a line, or count it as lost."""
        if self._lost:
            confession = f"{self._name} could not take {self._lost} lines"
            if self._send(Level.WARNING, confession):
                self._lost = 0
        if self._lost or not self._send(level, text):
            self._lost += 1


class Log:
    """The log of the whole process.

    `facility` is the number of a syslog facility, or None for no syslog.  Set
    `terminal` to False once the process is in the background.
    """

    def __init__(
        self, name: str, *, debug: bool = False, facility: int | None = None
    ) -> None:
        self._name = name
        self.is_debugging = debug
        self._facility = facility
        self._socket: socket.socket | None = None
        self._syslog = _Outlet("syslog", self._send_syslog)
        self._stdout = _Outlet("the terminal", partial(_send_terminal, 1))
        self._stderr = _Outlet("the terminal", partial(_send_terminal, 2))
        self.terminal = True

    def debug(self, text: str) -> None:
        """Log a detail for developers, with --debug only."""
        if self.is_debugging:
            self.write(Level.DEBUG, text)

    def info(self, text: str) -> None:
        """Log something that needs no attention."""
        self.write(Level.INFO, text)

    def warning(self, text: str) -> None:
        """Log something that changes, or may change, which host answers."""
        self.write(Level.WARNING, text)

    def error(self, text: str) -> None:
        """Log something that failed."""
        self.write(Level.ERROR, text)

    def fatal(self, error: CarpError) -> None:
        """Log the error that ends the process; on a terminal it is translated."""
        # If standard error is a file or the journal, log watchers may read it.
        translated = translate_error(error) if os.isatty(2) else None
        self.write(Level.ERROR, str(error), translated)

    def write(self, level: Level, text: str, translated: str | None = None) -> None:
        """Log `text` at `level`; the terminal shows `translated` instead, if given."""
        if self.terminal:
            is_urgent = level.value <= Level.WARNING.value
            outlet = self._stderr if is_urgent else self._stdout
            outlet.write(level, translated or text)
        if self._facility is not None:
            self._syslog.write(level, text)

    def close(self) -> None:
        """Disconnect from syslog; the next line connects again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_syslog(self, level: Level, text: str) -> bool:
        assert self._facility is not None
        priority = self._facility << 3 | level.value
        # syslog(3) writes the stamp of RFC 3164, which is English in every locale.
        now = time.localtime()
        stamp = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {time.strftime('%T', now)}"
        line = f"<{priority}>{stamp} {self._name}[{os.getpid()}]: [{level.name}] {text}"
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.setblocking(False)
                self._socket.connect(_SYSLOG_SOCKET)
            self._socket.send(line.encode("utf-8", "replace"))
        except OSError:
            self.close()  # syslogd may have been restarted: connect again.
            return False
        return True


class NamedLog(Log):
    """The log of one group: each line of `log` begins with the `name` of the group."""

    def __init__(self, log: Log, name: str) -> None:
        super().__init__(name, debug=log.is_debugging)
        self._log = log

    def write(self, level: Level, text: str, translated: str | None = None) -> None:
        """Log `text` at `level`, with the name of the group before it."""
        self._log.write(level, f"{self._name}: {text}")


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def _send_terminal(stream: int, level: Level, text: str) -> bool:
    now_ns = time.time_ns()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now_ns // 10**9))
    line = f"{stamp}.{now_ns // 1000 % 10**6:06d}: [{level.name}] {text}"
    # A pipe that `select` reports as writable takes this much without blocking.
    encoded = line.encode("utf-8", "backslashreplace")[: select.PIPE_BUF - 1]
    # Lines lost to a closed terminal or a full disk are not counted, as that may last.
    with suppress(OSError):
        if not select.select([], [stream], [], 0)[1]:
            return False
        os.write(stream, encoded + b"\n")
    return True
