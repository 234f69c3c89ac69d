"""Runs the up and down scripts as child processes, in the order of `ScriptQueue`.

The daemon does not wait for them.  A host that is short of memory or descriptors must
not keep an address that a peer has taken over, so a down script that could not be
started is retried until it starts.  An up script is not retried, since a peer may take
the addresses instead.
"""

import errno
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import NamedTuple

from carppcap.election.script_queue import Job, Outcome, ScriptQueue
from carppcap.system.process import reap_orphans
from carppcap.system.realtime import given_back
from carppcap.units import NS_PER_S, Instant, Interval

RETRY_NS = NS_PER_S
"""Delay before a down script that could not be started is retried."""

_SHORTAGES = frozenset((errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM))

_RESERVE = 3
"""Number of descriptors that the start of a process needs: null device and pipe."""


_running: set[int] = set()
"""The pids of the running scripts of all groups."""


@dataclass(slots=True)
class _Running:
    job: Job
    command: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    deadline: Instant | None
    overdue: bool = False


class Postponed(NamedTuple):
    """A down script that could not be started and is retried at `deadline`.

    `why` is the error in words.  `occasion` are variables for the script's environment.
    """

    command: tuple[str, ...]
    why: str
    deadline: Instant
    occasion: Mapping[str, str]


class ScriptRunner:
    """Runs the scripts of one virtual host.

    `arguments` follow the script's name on its command line, and `environment` is added
    to our own environment; the caller may replace both at any time.  `timeout_ns` 0
    means no time limit.  Call `request` for each job, `reap` when a child has ended,
    and `meet_deadline` at `deadline`.  The caller empties the queues `started`,
    `postponed` and `outcomes`.  A script is put into `postponed` only once, however
    often it is retried.
    """

    def __init__(
        self,
        upscript: str | None,
        downscript: str | None,
        arguments: Sequence[str],
        timeout_ns: Interval,
        environment: Mapping[str, str],
    ) -> None:
        self._scripts = {
            Job.ACQUIRE: upscript,
            Job.RELEASE: downscript,
            Job.CONFLICT: upscript,
        }
        self.arguments = tuple(arguments)
        self._timeout_ns = timeout_ns
        self.environment = environment
        # Paths of scripts are relative to the directory in which the daemon started,
        # which it may leave.  If that was removed, only absolute paths work.
        self._directory = ""
        with suppress(OSError):
            self._directory = os.getcwd()
        self._queue = ScriptQueue()
        self._next_occasion: Mapping[str, str] = {}
        self._current: _Running | Postponed | None = None
        _reserve.open()
        self.started: deque[tuple[str, ...]] = deque()
        self.postponed: deque[Postponed] = deque()
        self.outcomes: deque[Outcome] = deque()

    @property
    def idle(self) -> bool:
        """True if no script runs or waits, and the caller has emptied `outcomes`."""
        return not (self._current or self.outcomes)

    @property
    def running(self) -> Job | None:
        """What the running script is for; None if none runs."""
        return self._current.job if isinstance(self._current, _Running) else None

    @property
    def deadline(self) -> Instant | None:
        """The instant at which to call `meet_deadline`, or None for never."""
        return None if self._current is None else self._current.deadline

    @property
    def command(self) -> tuple[str, ...]:
        """The running or postponed script and its arguments; empty if there is none."""
        return () if self._current is None else self._current.command

    def request(self, job: Job, now: Instant, occasion: Mapping[str, str]) -> None:
        """Run the script of `job` now, or after the script that is running.

        `occasion` are variables that are added to the environment of this script only.
        """
        waited = self._queue.waiting
        to_start = self._queue.request(job)
        if to_start is not None or self._queue.waiting is not waited:
            self._next_occasion = occasion
        self._start(to_start, now)
        if isinstance(self._current, Postponed) and job is Job.ACQUIRE:
            # The down script has not run, so the address is still here.  Drop the
            # script, as the host keeps the address.
            self._current = None
            self._start(self._queue.finished(), now)

    def reap(self, now: Instant) -> None:
        """Collect the outcome of a script that has ended, and start the next one."""
        match self._current:
            case _Running(job, command, process, overdue=overdue):
                exit_code = process.poll()
                if exit_code is not None:
                    _running.discard(process.pid)
                    self._finish(Outcome(job, command, exit_code, overdue=overdue), now)

    def meet_deadline(self, now: Instant) -> None:
        """After `deadline`, kill the running script or retry the postponed one."""
        if self.deadline is None or now < self.deadline:
            return
        if isinstance(self._current, _Running):
            self._current.overdue = True
            self.kill()
        else:
            self._start(Job.RELEASE, now)

    def kill(self) -> None:
        """Kill the running script and its children, or give up the postponed one."""
        match self._current:
            case _Running() as running:
                running.deadline = None
                with _reserve.spent():
                    _end_session(running.process.pid)
            case Postponed(command, why, deadline):
                self._finish(Outcome(Job.RELEASE, command, None, error=why), deadline)

    def close(self) -> None:
        """Give up the reserved descriptors."""
        _reserve.close()

    def _finish(self, outcome: Outcome, now: Instant) -> None:
        self._current = None
        self.outcomes.append(outcome)
        self._start(self._queue.finished(), now)

    def _start(self, job: Job | None, now: Instant) -> None:
        while job is not None and not self._spawn(job, now):
            job = self._queue.finished()

    def _spawn(self, job: Job, now: Instant) -> bool:
        """Start the script of `job`; True if it now runs or is postponed.

        Return False if the job has ended already: no script is configured, or its start
        failed and is not retried.
        """
        script = self._scripts[job]
        if script is None:
            self.outcomes.append(Outcome(job, (), None))
            return False
        command = (script, *self.arguments)
        earlier, self._current = self._current, None
        if isinstance(earlier, Postponed):
            occasion = earlier.occasion
        else:
            occasion = self._next_occasion
            self.started.append(command)
        try:
            with _reserve.spent(), given_back():
                process = subprocess.Popen(
                    command,
                    executable=os.path.join(self._directory, script),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, **self.environment, **occasion},
                )
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            why = str(error) if number is None else os.strerror(number)
            if job is not Job.RELEASE or number not in _SHORTAGES:
                self.outcomes.append(Outcome(job, command, None, error=why))
                return False
            self._current = Postponed(command, why, now + RETRY_NS, occasion)
            if earlier is None:
                self.postponed.append(self._current)
        else:
            kill_at = now + self._timeout_ns if self._timeout_ns else None
            self._current = _Running(job, command, process, kill_at)
            _running.add(process.pid)
        return True


class _Reserve:
    """Descriptors kept open so that a script can start when no others are left.

    All groups share them.
    """

    def __init__(self) -> None:
        self._held: list[int] = []
        self._users = 0

    def open(self) -> None:
        """Reserve the descriptors for one more user."""
        self._users += 1
        self._fill()

    def close(self) -> None:
        """Close the descriptors if no other user is left."""
        self._users -= 1
        if self._users == 0:
            self._empty()

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Free the descriptors for the context, and reserve them again after it."""
        self._empty()
        try:
            yield
        finally:
            self._fill()

    def _empty(self) -> None:
        while self._held:
            os.close(self._held.pop())

    def _fill(self) -> None:
        with suppress(OSError):  # The next time may succeed.
            while len(self._held) < _RESERVE:
                self._held.append(os.open(os.devnull, os.O_RDONLY))


_reserve = _Reserve()


def reap_others() -> None:
    """As process 1, reap what scripts have left behind, but not the scripts."""
    reap_orphans(spare=_running)


def _end_session(leader: int) -> None:
    """Kill every process in the session of `leader`, whatever its process group."""
    with suppress(OSError):  # It may have ended, or have changed its user.
        os.killpg(leader, signal.SIGKILL)
    with suppress(OSError):
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError):
                if os.getsid(int(name)) == leader:
                    os.kill(int(name), signal.SIGKILL)
