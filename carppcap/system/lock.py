"""Ensures that a host runs only one daemon for each group, by means of a lock.

    /run/carppcap/NETNS-DEVICE-VHID        "PID START", locked by flock(2)

The lock ends with the process.  Two daemons of one group on one host do not hear each
other, and each of them would remove the address that the other one added.  Only the
user of the daemon can write to the directory.  If every user could open the lock, as
with an abstract socket, every user could hold it and so keep the daemon from starting.
"""

import errno
import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass

from carppcap.errors import LinkError
from carppcap.system.link import NAME_LENGTH_MAX, device_of
from carppcap.system.process import stat_fields
from carppcap.system.syslog import Log

RUN = "/run"

PATIENCE_S = (10.0, 5.0)
"""Seconds to wait until the holder of a lock has ended: after the first SIGTERM, and
after the second one, at which the holder kills a script that hangs."""

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a lock.

    `start` is the time of its start, in clock ticks since boot (proc(5), starttime).
    If a later process gets the same `pid`, its `start` differs.
    """

    pid: int
    start: int

    @classmethod
    def read(cls, text: bytes) -> "Holder | None":
        """Return the process named by `text` (PID START); None if it has ended."""
        with suppress(ValueError, OSError):
            pid, start = map(int, text.split()[:2])
            if start == _start_of(pid):
                return cls(pid, start)
        return None

    def ask_to_leave(self) -> None:
        """Send SIGTERM, unless the process has ended or belongs to another user."""
        with suppress(OSError, ValueError):
            process = os.pidfd_open(self.pid)
            try:
                # Compare after opening the descriptor: it keeps meaning the process
                # that is compared, even if the pid is then given to another one.
                if self.start == _start_of(self.pid) and _is_of_our_user(self.pid):
                    signal.pidfd_send_signal(process, signal.SIGTERM)
            finally:
                os.close(process)


class GroupLock:
    """The lock of one group; an alias such as eth0:1 shares the lock of eth0.

    Raises `OSError` if there is no directory to which only our user can write.
    """

    def __init__(self, interface: str, vhid: int) -> None:
        device = device_of(interface).replace("/", "_")[:NAME_LENGTH_MAX]
        network = os.stat("/proc/self/ns/net").st_ino
        directory = _open_directory()
        try:
            # Closed on exec: a script that outlives us must not hold the lock.
            self._file = os.open(
                f"{network}-{device}-{vhid}",
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
                0o600,
                dir_fd=directory,
            )
        finally:
            os.close(directory)

    def acquire(self) -> bool:
        """Try to take the lock; False if another process holds it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        with suppress(OSError):  # On a full disk the holder stays unknown, no more.
            text = f"{os.getpid()} {_start_of(os.getpid())}\n".encode()
            # Write first and truncate then, so that the file is not empty in between.
            os.ftruncate(self._file, os.pwrite(self._file, text, 0))
        return True

    def holder(self) -> Holder | None:
        """Return the process that holds the lock, or None if it is not known.

        It is not known until it has written its pid, or if it is in another PID
        namespace.
        """
        return Holder.read(os.pread(self._file, 64, 0))

    def close(self) -> None:
        """Release the lock.  The file stays, as another process may wait for it."""
        os.close(self._file)


@contextmanager
def sole_daemon(
    interface: str,
    vhid: int,
    log: Log,
    *,
    take_over: bool,
    check: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Hold the lock of a group, so that this is the only daemon that serves the group.

    The lock counts in this network namespace, and until the context ends.  With
    `take_over`, ask the daemon that holds the lock to leave, and wait for it.  Call
    `check` before that: it raises an error if this daemon could not start, and then the
    other one stays.  If there is no directory for the lock, log a warning and go on
    without it.  Raises `LinkError` if another daemon keeps the lock.
    """
    group = f"{interface} id {vhid}"
    lock = _open_lock(interface, vhid, log)
    with nullcontext() if lock is None else closing(lock):
        if lock is None or lock.acquire():
            yield
            return
        if take_over:
            check()
            if _take(lock, group, log):
                yield
                return
        holder = _await_holder(lock)
        raise LinkError(
            "Another daemon serves {group} already: process {pid}",
            group=group,
            pid="?" if holder is None else holder.pid,
        )


def _open_lock(interface: str, vhid: int, log: Log) -> GroupLock | None:
    try:
        return GroupLock(interface, vhid)
    except OSError as error:
        log.warning(
            f"Warning: a second daemon for {interface} id {vhid} would not be "
            f"noticed: {error.filename}: {error.strerror}"
        )
        return None


def _take(lock: GroupLock, group: str, log: Log) -> bool:
    """Ask the holder to leave, and wait until we get the lock.

    Return True if we get it, False if the holder does not leave in time.
    """
    for patience_s in PATIENCE_S:
        asked: Holder | None = None
        until_s = time.monotonic() + patience_s
        while time.monotonic() < until_s:
            holder = lock.holder()
            if holder is not None and holder != asked:
                log.info(f"Taking over {group} from process {holder.pid}")
                holder.ask_to_leave()
                asked = holder
            if lock.acquire():
                return True
            time.sleep(_POLL_S)
    return False


def _await_holder(lock: GroupLock) -> Holder | None:
    """Return the holder of the lock, or None if it stays unknown for 0.2 s.

    A holder that has just taken the lock may not have written its pid yet.
    """
    until_s = time.monotonic() + 10 * _POLL_S
    while (holder := lock.holder()) is None and time.monotonic() < until_s:
        time.sleep(_POLL_S)
    return holder


def _open_directory() -> int:
    """Return a descriptor of the directory of locks; make it if it is missing.

    Raises `OSError`; that is `PermissionError` if other users can write to it.
    """
    user = os.geteuid()
    base = RUN
    # In a user namespace not even root owns it.
    if os.stat(base).st_uid != user:
        given = os.environ.get("XDG_RUNTIME_DIR", "")
        base = given if os.path.isabs(given) else f"{RUN}/user/{user}"
    path = f"{base}/carppcap"
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    status = os.fstat(directory)
    if status.st_uid != user or status.st_mode & 0o022:
        os.close(directory)
        raise PermissionError(errno.EPERM, "other users can write to it", path)
    return directory


def _start_of(pid: int) -> int:
    """Return when a process started, in clock ticks since boot.  Raises `OSError`."""
    return int(stat_fields(pid)[19])  # field 22 in proc(5)


def _is_of_our_user(pid: int) -> bool:
    """True if a process runs as our effective user.  Raises `OSError`."""
    # The directory in /proc would not tell: root owns it if there are capabilities.
    with open(f"/proc/{pid}/status", "rb") as file:
        user = next(line for line in file if line.startswith(b"Uid:")).split()[2]
    return int(user) == os.geteuid()
