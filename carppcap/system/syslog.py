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
from contextlib import suppress
from enum import Enum

from carppcap.i18n import translate

_SYSLOG_SOCKET = "/dev/log"
_STDOUT, _STDERR = 1, 2


class Level(Enum):
    """Severities, with their number in syslog."""

    DEBUG = 7
    INFO = 6
    NOTICE = 5
    WARNING = 4
    ERROR = 3


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
        self._lost = 0
        self._unread = 0
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
            self._write_terminal(level, text)
        if self._facility is not None:
            self._write_syslog(level, text)

    def _write_terminal(self, level: Level, text: str) -> None:
        if self._unread:
            unread, self._unread = self._unread, 0
            self._send_terminal(
                Level.WARNING,
                translate("the terminal could not take {count} lines").format(
                    count=unread
                ),
            )
            if self._unread:
                self._unread = unread + 1
                return
        self._send_terminal(level, text)

    def _send_terminal(self, level: Level, text: str) -> None:
        now_ns = time.time_ns()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(now_ns // 10**9))
        line = f"{stamp}.{now_ns // 1000 % 10**6:06d}: [{level.name}] {text}"
        stream = _STDERR if level.value <= Level.WARNING.value else _STDOUT
        # A closed terminal or a full disk is no reason to stop.
        with suppress(OSError):
            if not select.select([], [stream], [], 0)[1]:
                self._unread += 1
                return
            # As much as a pipe takes at once when it takes anything.
            encoded = line.encode("utf-8", "backslashreplace")[: select.PIPE_BUF - 1]
            os.write(stream, encoded + b"\n")

    def _write_syslog(self, level: Level, text: str) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            self._send_syslog(
                Level.WARNING,
                translate("syslog could not take {count} lines").format(count=lost),
            )
            if self._lost:
                self._lost = lost + 1
                return
        self._send_syslog(level, text)

    def _send_syslog(self, level: Level, text: str) -> None:
        assert self._facility is not None
        priority = self._facility << 3 | level.value
        # Like syslog(3): RFC 3164's stamp, in English whatever the locale.
        now = time.localtime()
        stamp = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {time.strftime('%T', now)}"
        line = f"<{priority}>{stamp} {self._name}[{os.getpid()}]: [{level.name}] {text}"
        try:
            self._connected().send(line.encode("utf-8", "replace"))
        except OSError:
            self._lost += 1
            if self._socket is not None:  # The daemon was restarted: connect again.
                self._socket.close()
                self._socket = None

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
