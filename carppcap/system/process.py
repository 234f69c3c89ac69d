"""The process itself: its secrets, its background, its signals, its pid file."""

import os
import re
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress

from carppcap.errors import LinkError

PASSWORD_VARIABLE = "CARPPCAP_PASS"


def fill_standard_streams() -> None:
    """Give the null device to standard streams that whoever started us has closed.

    Otherwise the next socket would get the number, and what scripts print.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)


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


class Verdict:
    """How start-up ended, for the process that waits to tell its caller."""

    def __init__(self, writing: int) -> None:
        self._writing: int | None = writing

    def report(self, exit_status: int) -> None:
        """Tell it, once, and cut the last ties if all is well."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        with suppress(OSError):  # It may have been killed while it waited.
            os.write(writing, bytes((exit_status,)))
        os.close(writing)
        if exit_status == 0:
            os.chdir("/")
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            os.close(null)


def become_daemon() -> Verdict:
    """Go on in the background; the caller's process waits for our verdict.

    Returns in the child only.  The first process ends inside, with status 0 once the
    child is ready, and otherwise with the child's own.  Raises `LinkError`.
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
    return Verdict(writing)


def _await_verdict(reading: int) -> None:
    verdict = os.read(reading, 1)
    # Nothing at all means that the child died without a word.
    os._exit(verdict[0] if verdict else 2)


class PidFile:
    """The process id in a file, for as long as the process runs.

    Raises `LinkError` if it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._content = f"{os.getpid()}\n"
        try:
            self._path = os.path.abspath(path)
            with open(self._path, "w", encoding="ascii") as file:
                file.write(self._content)
        except OSError as error:
            raise LinkError(
                "Unable to write {path}: {why}", path=path, why=error.strerror
            ) from None

    def __enter__(self) -> None:
        """The file is there already."""

    def __exit__(self, *failure: object) -> None:
        """Take the file away again, unless another process has it by now."""
        with suppress(OSError, ValueError):
            with open(self._path, encoding="ascii") as file:
                is_ours = file.read() == self._content
            if is_ours:
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
