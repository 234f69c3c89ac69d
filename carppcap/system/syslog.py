"""The log in the original's format: to the terminal, to syslog, or to both.

    2026-01-07T17:38:22.123456: [WARNING] text      stdout; warnings, errors: stderr
    ucarp[6103]: [WARNING] text                     syslog

The words of the original's messages are kept, because people's log watchers match
them.  Nothing here ever blocks: a log that is full, or a terminal that is held with
Ctrl-S, must not stop adverts.  What they cannot take is counted and owned up to later.
"""

import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial

from carppcap.text.i18n import translate

_SYSLOG_SOCKET = "/dev/log"


class Level(Enum):
    """Severities, with their number in syslog."""

    DEBUG = 7
    INFO = 6
    NOTICE = 5
    WARNING = 4
    ERROR = 3


class _Outlet:
    """A place for lines that may be full; `send` says whether it took one.

    What it could not take is counted, and `confess` makes a line of the number,
    which goes before the next one that it can.
    """

    def __init__(
        self, send: Callable[[Level, str], bool], confess: Callable[[int], str]
    ) -> None:
        self._send = send
        self._confess = confess
        self._lost = 0

    def write(self, level: Level, text: str) -> None:
        """Write a line, or count it."""
        if self._lost and self._send(Level.WARNING, self._confess(self._lost)):
            self._lost = 0
        if self._lost or not self._send(level, text):
            self._lost += 1


class Log:
    """One voice for the whole process.

    `facility` is a number of syslog, or None for no syslog.  `terminal` turns off
    once the process is in the background.
    """

    def __init__(
        self, name: str, *, debug: bool = False, facility: int | None = None
    ) -> None:
        self._name = name
        self.is_debugging = debug
        self._facility = facility
        self._socket: socket.socket | None = None
        self._syslog = _Outlet(self._send_syslog, _lost_by_syslog)
        self._stdout = _Outlet(partial(_send_terminal, 1), _lost_by_terminal)
        self._stderr = _Outlet(partial(_send_terminal, 2), _lost_by_terminal)
        self.terminal = True

    def debug(self, template: str, **values: object) -> None:
        """Something only a developer asks for; dropped unless asked."""
        if self.is_debugging:
            self.write(Level.DEBUG, template, **values)

    def info(self, template: str, **values: object) -> None:
        """Something to know."""
        self.write(Level.INFO, template, **values)

    def notice(self, template: str, **values: object) -> None:
        """Something normal but worth a second look."""
        self.write(Level.NOTICE, template, **values)

    def warning(self, template: str, **values: object) -> None:
        """Something that changes who answers, or might."""
        self.write(Level.WARNING, template, **values)

    def error(self, template: str, **values: object) -> None:
        """Something that failed."""
        self.write(Level.ERROR, template, **values)

    def write(self, level: Level, template: str, **values: object) -> None:
        """Log `template`, translated and filled with `values`, at `level`."""
        text = translate(template).format(**values)
        if self.terminal:
            is_urgent = level.value <= Level.WARNING.value
            (self._stderr if is_urgent else self._stdout).write(level, text)
        if self._facility is not None:
            self._syslog.write(level, text)

    def close(self) -> None:
        """Leave syslog; the next line would connect again."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_syslog(self, level: Level, text: str) -> bool:
        assert self._facility is not None
        priority = self._facility << 3 | level.value
        # Like syslog(3): RFC 3164's stamp, in English whatever the locale.
        now = time.localtime()
        stamp = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {time.strftime('%T', now)}"
        line = f"<{priority}>{stamp} {self._name}[{os.getpid()}]: [{level.name}] {text}"
        try:
            self._connected().send(line.encode("utf-8", "replace"))
        except OSError:
            self.close()  # It may have been restarted: connect again.
            return False
        return True

    def _connected(self) -> socket.socket:
        if self._socket is None:
            opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            opened.setblocking(False)
            try:
                opened.connect(_SYSLOG_SOCKET)
            except OSError:
                opened.close()
                raise
            self._socket = opened
        return self._socket


_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def _send_terminal(stream: int, level: Level, text: str) -> bool:
    now_ns = time.time_ns()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now_ns // 10**9))
    line = f"{stamp}.{now_ns // 1000 % 10**6:06d}: [{level.name}] {text}"
    # As much as a pipe takes at once when it takes anything.
    encoded = line.encode("utf-8", "backslashreplace")[: select.PIPE_BUF - 1]
    # A closed terminal or a full disk is no reason to stop, nor to count.
    with suppress(OSError):
        if not select.select([], [stream], [], 0)[1]:
            return False
        os.write(stream, encoded + b"\n")
    return True


def _lost_by_syslog(count: int) -> str:
    return translate("syslog could not take {count} lines").format(count=count)


def _lost_by_terminal(count: int) -> str:
    return translate("the terminal could not take {count} lines").format(count=count)
