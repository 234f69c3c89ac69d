"""Hides secrets in the arguments, goes to the background, receives signals.

Also sets the name of the process and writes the pid file.
"""

import os
import re
import resource
import signal
import socket
from collections.abc import Collection, Iterable
from contextlib import suppress

from carppcap.errors import link_errors

PASSWORD_VARIABLE = "CARPPCAP_PASS"

_FILES = 512
"""More files than the daemon has open beside those of each group."""

_FILES_PER_GROUP = 10
"""More files than a group has open on an interface of its own."""


def fill_standard_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise the next socket would get the number of that stream, and scripts would
    write their output to the socket.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)


def set_process_name(name: str) -> None:
    """Set the name by which pgrep(1) finds the process; the kernel keeps 15 bytes."""
    with suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)


def stat_fields(pid: int | str) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the third on, the state (proc(5)).

    The first two are the pid and the name, in which there may be blanks.  Raises
    `OSError` if there is no such process.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def hide_from_ps(secrets: Iterable[bytes]) -> None:
    """Overwrite `secrets` in the arguments and the environment that `ps` shows.

    The kernel reads the arguments and the environment from the memory of this process,
    at the addresses that /proc/self/stat shows (proc(5), arg_start and env_start).
    """
    wanted = [secret for secret in secrets if secret]
    if not wanted:
        return
    with suppress(OSError, ValueError, IndexError):
        # arg_start is field 48 in proc(5).
        arg_start, arg_end, env_start, env_end = map(int, stat_fields("self")[45:49])
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            for start, end in ((arg_start, arg_end), (env_start, env_end)):
                memory.seek(start)
                area = memory.read(end - start)
                memory.seek(start)
                memory.write(_blank(area, wanted))


def _blank(area: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        # A secret is a whole word, or all that follows -p, --pass= or CARPPCAP_PASS=.
        pattern = rb"((?:^|\0)(?:-[A-Za-z]*p|--pass=|%s=)?)%s(?=\0)" % (
            PASSWORD_VARIABLE.encode(),
            re.escape(secret),
        )
        area = re.sub(pattern, lambda m: m[1] + b"*" * (len(m[0]) - len(m[1])), area)
    return area


class Verdict:
    """Reports the result of start-up to the parent process, which waits for it.

    `writing` is the descriptor of a pipe to the parent.
    """

    def __init__(self, writing: int) -> None:
        self._writing: int | None = writing

    def report(self, exit_status: int) -> None:
        """Report the status to the parent; on success detach from the terminal.

        The working directory is kept, because paths of scripts may be relative to it.
        Only the first call has an effect.
        """
        writing, self._writing = self._writing, None
        if writing is None:
            return
        with suppress(OSError):  # The parent may have been killed while it waited.
            os.write(writing, bytes((exit_status,)))
        os.close(writing)
        if exit_status == 0:
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            os.close(null)


def become_daemon() -> Verdict:
    """Continue in a background process; return the `Verdict` by which it reports.

    This returns only in the background process.  The parent waits for the verdict and
    exits with the status in it, or with 2 if the background process died without a
    verdict.  Raises `LinkError`.
    """
    reading, writing = os.pipe()
    with link_errors("Unable to get in background: {why}"):
        if (child := os.fork()) != 0:
            os.close(writing)
            verdict = os.read(reading, 1)
            # The session leader has ended.  Unless it is reaped here, pgrep(1) may see
            # it as a second process of our name until init reaps it.
            os.waitpid(child, 0)
            # No verdict means that the child died.
            os._exit(verdict[0] if verdict else 2)
        os.close(reading)
        os.setsid()
        # A session leader could acquire a terminal again; a child of it cannot.
        if os.fork() != 0:
            os._exit(0)
    return Verdict(writing)


def allow_descriptors(groups: int) -> None:
    """Allow this process enough open files for so many groups, if that is permitted."""
    wanted = _FILES + _FILES_PER_GROUP * groups
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def reap_orphans(spare: Collection[int]) -> None:
    """If we are process 1, reap the processes that scripts have left behind.

    In a container no other process reaps them.  The children with the pids `spare` are
    not reaped here, because their `Popen` objects do that.
    """
    if os.getpid() != 1:
        return
    ended = os.WEXITED | os.WNOHANG
    with suppress(ChildProcessError):
        while (child := os.waitid(os.P_ALL, 0, ended | os.WNOWAIT)) is not None:
            if child.si_pid in spare:
                return  # The rest is reaped once its `Popen` has reaped this one.
            os.waitid(os.P_PID, child.si_pid, ended)


def check_pid_file(path: str) -> None:
    """Raise `LinkError` if a `PidFile` cannot be written; leave the file as it is."""
    with link_errors("Unable to write {path}: {why}", path=path):
        target = os.path.realpath(path)
        is_new = not os.path.exists(target)
        with open(target, "ab"):
            pass
        if is_new:
            with suppress(FileNotFoundError):  # A second start may check it, too.
                os.unlink(target)


class PidFile:
    """A file that contains the process id until the process ends.

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
    """Makes signals readable on a descriptor, so that one `select` waits for all."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _do_nothing)
            # Let a system call continue after the signal.
            signal.siginterrupt(number, False)

    def fileno(self) -> int:
        """Return the descriptor, which is readable when a signal has come."""
        return self._reading.fileno()

    def read(self) -> list[signal.Signals]:
        """Return the signals that have come, in the order in which they came."""
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
    """Do nothing.

    Python writes the number of a signal to the pipe only if the signal has a handler.
    """


def end_by_signal(number: signal.Signals) -> None:
    """End this process by signal `number`, so that its exit status names the signal."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
