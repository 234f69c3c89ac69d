"""The up and down scripts as child processes, in the order of `ScriptQueue`.

Nobody waits for them.  A host that is short of something must above all not keep an
address that a peer has by now, so a down script that could not be started for that
reason is tried again until it can.  (An up script is not: a peer may be better off.)
"""

import errno
import os
import signal
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from carppcap.election.script_queue import Job, Outcome, ScriptQueue
from carppcap.units import NS_PER_S, Instant, Interval

__all__ = ["Job", "Outcome", "ScriptRunner"]

RETRY_NS = NS_PER_S
"""Until a down script that could not be started is tried again."""

_SHORTAGES = frozenset((errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM))

_RESERVE = 3
"""Descriptors that starting a process takes: the null device and a pipe."""


@dataclass(slots=True)
class _Running:
    job: Job
    command: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    kill_at: Instant | None
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """A down script that could not be started at present; `why` in words."""

    command: tuple[str, ...]
    why: str
    retry_at: Instant
    occasion: Mapping[str, str]


class ScriptRunner:
    """Runs the scripts of one virtual host.

    `arguments` follow the script's name.  `timeout_ns` 0 lets scripts take as long
    as they like.  `environment` is added to our own.  Call `request` for each job,
    `reap` when a child has ended, and `kill_overdue` and `retry` at `deadline`; started
    commands, those that had to be postponed (once, however often they were) and
    outcomes wait in `started`, `postponed` and `outcomes` until the caller takes them
    out.
    """

    def __init__(
        self,
        upscript: str | None,
        downscript: str | None,
        arguments: Sequence[str],
        timeout_ns: Interval,
        environment: Mapping[str, str],
    ) -> None:
        self._scripts = {Job.ACQUIRE: upscript, Job.RELEASE: downscript}
        self._arguments = tuple(arguments)
        self._timeout_ns = timeout_ns
        self._environment = environment
        # The daemon may change its directory; scripts are named from where we began,
        # or, if that is no more, by their full path.
        self._directory = ""
        with suppress(OSError):
            self._directory = os.getcwd()
        self._queue = ScriptQueue()
        self._next_occasion: Mapping[str, str] = {}
        self._running: _Running | None = None
        self._to_retry: Postponed | None = None
        self._reserve = _Reserve()
        self.started: deque[tuple[str, ...]] = deque()
        self.postponed: deque[Postponed] = deque()
        self.outcomes: deque[Outcome] = deque()

    @property
    def idle(self) -> bool:
        """Whether no script runs or has yet to, and all outcomes were taken."""
        return not (self._running or self._to_retry or self.outcomes)

    @property
    def deadline(self) -> Instant | None:
        """When the running script will have taken too long, or when to try again."""
        if self._to_retry is not None:
            return self._to_retry.retry_at
        return None if self._running is None else self._running.kill_at

    @property
    def command(self) -> tuple[str, ...]:
        """The script that runs or was postponed, with its arguments; or empty."""
        current = self._running or self._to_retry
        return () if current is None else current.command

    def request(self, job: Job, now: Instant, occasion: Mapping[str, str]) -> None:
        """Run the script of `job`, now or after the one that runs.

        `occasion` is part of the environment of this script only.
        """
        waited = self._queue.waiting
        to_start = self._queue.request(job)
        if to_start is not None or self._queue.waiting is not waited:
            self._next_occasion = occasion
        self._start(to_start, now)
        if self._to_retry is not None and job is Job.ACQUIRE:
            # What was never let go of need not be given up any more.
            self._to_retry = None
            self._start(self._queue.finished(), now)

    def reap(self, now: Instant) -> None:
        """Take note of a script that has ended, and start the one that waits."""
        running = self._running
        if running is None:
            return
        exit_code = running.process.poll()
        if exit_code is None:
            return
        self._running = None
        self.outcomes.append(
            Outcome(running.job, running.command, exit_code, overdue=running.overdue)
        )
        self._start(self._queue.finished(), now)

    def kill_overdue(self, now: Instant) -> None:
        """End the running script, and all it started, if its time is up."""
        running = self._running
        if running is None or running.kill_at is None or now < running.kill_at:
            return
        running.overdue = True
        self.kill()

    def retry(self, now: Instant) -> None:
        """Try again to start the script that was postponed, if it is time to."""
        if self._to_retry is not None and now >= self._to_retry.retry_at:
            self._start(Job.RELEASE, now)

    def kill(self) -> None:
        """End the running script, and all it started, now.

        One that was postponed is given up: that is its outcome.
        """
        running, to_retry = self._running, self._to_retry
        if running is not None:
            running.kill_at = None
            with self._reserve.spent():
                _end_session(running.process.pid)
        elif to_retry is not None:
            self._to_retry = None
            self.outcomes.append(
                Outcome(Job.RELEASE, to_retry.command, None, error=to_retry.why)
            )
            self._start(self._queue.finished(), to_retry.retry_at)

    def close(self) -> None:
        """Give back what is held in reserve."""
        self._reserve.close()

    def _start(self, job: Job | None, now: Instant) -> None:
        while job is not None and not self._spawn(job, now):
            job = self._queue.finished()

    def _spawn(self, job: Job, now: Instant) -> bool:
        """Start the script of `job`; False: that is its outcome already."""
        script = self._scripts[job]
        if script is None:
            self.outcomes.append(Outcome(job, (), None))
            return False
        command = (script, *self._arguments)
        postponed, self._to_retry = self._to_retry, None
        occasion = self._next_occasion
        if postponed is None:
            self.started.append(command)
        else:
            occasion = postponed.occasion
        try:
            with self._reserve.spent():
                process = subprocess.Popen(
                    command,
                    executable=os.path.join(self._directory, script),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    env={**os.environ, **self._environment, **occasion},
                )
        except (OSError, ValueError) as error:
            number, why = getattr(error, "errno", None), str(error)
            if number is not None:
                why = os.strerror(number)
            if job is Job.RELEASE and number in _SHORTAGES:
                self._to_retry = Postponed(command, why, now + RETRY_NS, occasion)
                if postponed is None:
                    self.postponed.append(self._to_retry)
                return True
            self.outcomes.append(Outcome(job, command, None, error=why))
            return False
        kill_at = now + self._timeout_ns if self._timeout_ns else None
        self._running = _Running(job, command, process, kill_at)
        return True


class _Reserve:
    """Descriptors kept for the start of a script, for when there are no others."""

    def __init__(self) -> None:
        self._held: list[int] = []
        self._fill()

    @contextmanager
    def spent(self) -> Iterator[None]:
        """They are free for the time of the context."""
        self.close()
        try:
            yield
        finally:
            self._fill()

    def close(self) -> None:
        """Give them back."""
        while self._held:
            os.close(self._held.pop())

    def _fill(self) -> None:
        with suppress(OSError):  # Perhaps there will be some the next time.
            while len(self._held) < _RESERVE:
                self._held.append(os.open(os.devnull, os.O_RDONLY))


def _end_session(leader: int) -> None:
    """Kill every process of a session, whatever groups a script has made in it."""
    with suppress(OSError):  # It may have ended, or have put itself beyond us.
        os.killpg(leader, signal.SIGKILL)
    with suppress(OSError):
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with suppress(OSError):
                if os.getsid(int(name)) == leader:
                    os.kill(int(name), signal.SIGKILL)
