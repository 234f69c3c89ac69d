"""The process itself: its secrets, its background, its signals, its pid file."""

import os
import re
import signal
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress

from carppcap.errors import CarpError, LinkError

PASSWORD_VARIABLE = "CARPPCAP_PASS"


def hide_from_ps(secrets: Iterable[bytes]) -> None:
    """Overwrite `secrets` where `ps` and /proc/PID/cmdline and environ read them.

    The kernel shows those straight from our memory, at the places that
    /proc/self/stat names (proc(5), arg_start and env_start).
    """
    wanted = [secret for secret in secrets if secret]
    if not wanted:
        return
    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        # proc(5) counts from 1 and starts with pid and name, which are cut off.
        arg_start, arg_end, env_start, env_end = map(int, fields[45:49])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            for start, end in ((arg_start, arg_end), (env_start, env_end)):
                memory.seek(start)
                area = memory.read(end - start)
                memory.seek(start)
                memory.write(_blank(area, wanted))


def _blank(area: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        # Whole words or what follows -p, --pass= or NAME=; never a part of another.
        pattern = rb"((?:^|\0)(?:-[A-Za-z]*p|--pass=|%s=)?)%s(?=\0)" % (
            PASSWORD_VARIABLE.encode(),
            re.escape(secret),
        )
        area = re.sub(pattern, lambda m: m[1] + b"*" * (len(m[0]) - len(m[1])), area)
    return area


def become_daemon() -> int:
    """Go on in the background; the caller's process waits for our verdict.

    Returns the descriptor to give to `report_readiness`, in the child only.  The
    first process ends inside, with status 0 once the child is ready, and otherwise
    with the child's own.  Raises `LinkError`.
    """
    reading, writing = os.pipe()
    try:
        if os.fork() != 0:
            os.close(writing)
            _await_verdict(reading)
        os.close(reading)
        os.setsid()
        # A session leader could still be given a terminal; its child cannot.
        if os.fork() != 0:
            os._exit(0)
    except OSError as error:
        raise LinkError(
            "Unable to get in background: {why}", why=error.strerror
        ) from None
    return writing


def _await_verdict(reading: int) -> None:
    verdict = os.read(reading, 1)
    # Nothing at all means that the child died without a word.
    os._exit(verdict[0] if verdict else 2)


def report_readiness(writing: int, exit_status: int) -> None:
    """Tell the waiting parent how start-up ended, and cut the last ties to it."""
    with suppress(OSError):
        os.write(writing, bytes((exit_status,)))
    os.close(writing)
    if exit_status == 0:
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                os.dup2(null, stream.fileno())
        if null > 2:
            os.close(null)


class PidFile:
    """The process id in a file, for as long as the process runs.

    Raises `CarpError` if it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        try:
            with open(self._path, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
        except OSError as error:
            raise CarpError(
                "Unable to write {path}: {why}", path=path, why=error.strerror
            ) from None

    def remove(self) -> None:
        """Take the file away again."""
        with suppress(OSError):
            os.unlink(self._path)


class SignalPipe:
    """Signals as bytes on a descriptor, so that one `epoll` waits for all there is."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._reading, writing = socket.socketpair()
        self._reading.setblocking(False)
        writing.setblocking(False)
        self._writing = writing
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _do_nothing)
            # A system call that a signal interrupts is to be taken up again.
            signal.siginterrupt(number, False)

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._reading.fileno()

    def read(self) -> list[signal.Signals]:
        """The signals that have come, in their order."""
        try:
            return [signal.Signals(number) for number in self._reading.recv(4096)]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Give signals back to Python."""
        signal.set_wakeup_fd(-1)
        self._reading.close()
        self._writing.close()


def _do_nothing(number: int, frame: object) -> None:
    """Python needs a handler to write the number to the pipe."""


def end_by_signal(number: signal.Signals) -> None:
    """End as if the signal had never been handled, so that the status says so."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
