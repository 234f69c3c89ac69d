"""The up and down scripts as child processes, in the order of `JobQueue`.

Nobody waits for them.
"""

import os
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from carppcap.jobs import Job, JobQueue, Outcome
from carppcap.units import Instant, Interval

__all__ = ["Job", "Outcome", "ScriptRunner"]


@dataclass(slots=True)
class _Running:
    job: Job
    command: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    kill_at: Instant | None
    overdue: bool = False


class ScriptRunner:
    """Runs the scripts of one virtual host.

    `arguments` follow the script's name.  `timeout_ns` 0 lets scripts take as long
    as they like.  Call `request` for each job, `reap` when a child has ended, and
    `kill_overdue` at `deadline`; started commands and outcomes wait in `started` and
    `outcomes` until the caller takes them out.
    """

    def __init__(
        self,
        upscript: str | None,
        downscript: str | None,
        arguments: Sequence[str],
        timeout_ns: Interval,
    ) -> None:
        self._scripts = {Job.ACQUIRE: upscript, Job.RELEASE: downscript}
        self._arguments = tuple(arguments)
        self._timeout_ns = timeout_ns
        # The daemon may change its directory; scripts are named from where we began,
        # or, if that is no more, by their full path.
        self._directory = ""
        with suppress(OSError):
            self._directory = os.getcwd()
        self._queue = JobQueue()
        self._running: _Running | None = None
        self.started: deque[tuple[str, ...]] = deque()
        self.outcomes: deque[Outcome] = deque()

    @property
    def idle(self) -> bool:
        """Whether no script runs and all outcomes were taken."""
        return self._running is None and not self.outcomes

    @property
    def deadline(self) -> Instant | None:
        """When the running script will have taken too long."""
        return None if self._running is None else self._running.kill_at

    @property
    def command(self) -> tuple[str, ...]:
        """The script that runs, with its arguments; empty where none does."""
        return () if self._running is None else self._running.command

    def request(self, job: Job, now: Instant) -> None:
        """Run the script of `job`, now or after the one that runs."""
        self._start(self._queue.request(job), now)

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

    def kill(self) -> None:
        """End the running script, and all it started, now."""
        running = self._running
        if running is None:
            return
        running.kill_at = None
        with suppress(OSError):  # It may have ended, or have put itself beyond us.
            os.killpg(running.process.pid, signal.SIGKILL)

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
        self.started.append(command)
        try:
            process = subprocess.Popen(
                command,
                executable=os.path.join(self._directory, script),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.outcomes.append(Outcome(job, command, None, error=why or str(error)))
            return False
        kill_at = now + self._timeout_ns if self._timeout_ns else None
        self._running = _Running(job, command, process, kill_at)
        return True
