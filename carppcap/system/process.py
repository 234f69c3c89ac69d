"""The process: secrets in its arguments, background, pid file, signals."""

import os
import re
import signal
import socket
from collections.abc import Iterable
from contextlib import suppress

from carppcap.errors import link_errors

PASSWORD_VARIABLE = "CARPPCAP_PASS"


def fill_standard_streams() -> None:
    """Open the null device for standard streams that are closed.

    Otherwise the next socket would get the number of one, and the output of scripts.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)


def set_process_name(name: str) -> None:
    """Be `name` to pgrep(1), and not the interpreter; the kernel keeps 15 bytes."""
    with suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


def hide_from_ps(secrets: Iterable[bytes]) -> None:
    """Overwrite `secrets` in the arguments and the environment that `ps` shows.

    The kernel reads both from our memory, at the places in /proc/self/stat (proc(5),
    arg_start and env_start).
    """
    wanted = [secret for secret in secrets if secret]
    if not wanted:
        return
    with suppress(OSError, ValueError, IndexError):
        with open("/proc/self/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        # proc(5) counts from 1, and the first two fields were cut off.
        arg_start, arg_end, env_start, env_end = map(int, fields[45:49])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            for start, end in ((arg_start, arg_end), (env_start, env_end)):
                memory.seek(start)
                area = memory.read(end - start)
                memory.seek(start)
                memory.write(_blank(area, wanted))


def _blank(area: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        # Whole words, or after -p, --pass= or NAME=; never a part of a word.
        pattern = rb"((?:^|\0)(?:-[A-Za-z]*p|--pass=|%s=)?)%s(?=\0)" % (
            PASSWORD_VARIABLE.encode(),
            re.escape(secret),
        )
        area = re.sub(pattern, lambda m: m[1] + b"*" * (len(m[0]) - len(m[1])), area)
    return area


class Verdict:
    """Reports the result of start-up to the parent, which waits for it."""

    def __init__(self, writing: int) -> None:
        self._writing: int | None = writing

    def report(self, exit_status: int) -> None:
        """Report the status to the parent; on success detach from the terminal.

        The working directory stays, as paths of scripts may be relative to it.  Only
        the first call has an effect.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        with suppress(OSError):  # It may have been killed while it waited.
            os.write(writing, bytes((exit_status,)))
        os.close(writing)
        if exit_status == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            os.close(null)


def become_daemon() -> Verdict:
    """Continue in the background, while the parent waits for our verdict.

    Returns in the child only.  The parent exits, with status 0 once the child is ready,
    otherwise with the status of the child.  Raises `LinkError`.
    """
    reading, writing = os.pipe()
    with link_errors("Unable to get in background: {why}"):
        if (child := os.fork()) != 0:
            os.close(writing)
            verdict = os.read(reading, 1)
            # It has ended; left to init it would be a second process of our name.
            os.waitpid(child, 0)
            # No verdict means that the child died.
            os._exit(verdict[0] if verdict else 2)
        os.close(reading)
        os.setsid()
        # A session leader could acquire a terminal again; its child cannot.
        if os.fork() != 0:
            os._exit(0)
    return Verdict(writing)


def reap_orphans(spare: int | None) -> None:
    """As process 1 of a container, reap what scripts have left behind.

    The child `spare`, which may end at any time, is left to its `Popen`.
    """
    if os.getpid() != 1:
        return
    ended = os.WEXITED | os.WNOHANG
    with suppress(ChildProcessError):
        while (child := os.waitid(os.P_ALL, 0, ended | os.WNOWAIT)) is not None:
            if child.si_pid == spare:
                return  # The others have their turn when it has been waited for.
            os.waitid(os.P_PID, child.si_pid, ended)


class PidFile:
    """A file with the process id, while the process runs.

    Raises `LinkError` if it cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._content = f"{os.getpid()}\n"
        with link_errors("Unable to write {path}: {why}", path=path):
            self._path = os.path.abspath(path)
            with open(self._path, "w", encoding="ascii") as file:
                file.write(self._content)

    def __enter__(self) -> None:
        """Do nothing: `__init__` wrote the file."""

    def __exit__(self, *failure: object) -> None:
        """Remove the file, unless another process has overwritten it."""
        with suppress(OSError, ValueError):
            with open(self._path, encoding="ascii") as file:
                is_ours = file.read() == self._content
            if is_ours:
                os.unlink(self._path)


class SignalPipe:
    """Signals on a descriptor, so that one `select` waits for everything."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _do_nothing)
            # System calls continue after a signal.
            signal.siginterrupt(number, False)

    def fileno(self) -> int:
        """Return the descriptor, readable when a signal has come."""
        return self._reading.fileno()

    def read(self) -> list[signal.Signals]:
        """Return the signals that have come, in their order."""
        try:
            return [signal.Signals(number) for number in self._reading.recv(4096)]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Close the pipe."""
        signal.set_wakeup_fd(-1)
        self._reading.close()
        self._writing.close()


def _do_nothing(number: int, frame: object) -> None:
    """Handle a signal: Python writes it to the pipe only if it has a handler."""


def end_by_signal(number: signal.Signals) -> None:
    """End this process by the signal, so that its exit status tells the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
