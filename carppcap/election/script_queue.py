"""The order in which the up and down scripts of one virtual host run.

One script runs at a time, in the order of the requests.  If an up script is requested
while a down script waits, or the reverse, neither of the two is run: together they
would only restore the state that the running script leaves.  So at most one script
waits.

A master that finds its address contested may run its up script once more (`CONFLICT`).
It is requested only while no script runs, and of the others the latest one follows.
"""

from enum import Enum
from typing import NamedTuple


class Job(Enum):
    """The purpose of a script: to take the addresses or to release them.

    The third is to tell the up script that another host claims an address of ours.
    """

    ACQUIRE = "up"
    RELEASE = "down"
    CONFLICT = "conflict"


class Outcome(NamedTuple):
    """How the script of a job ended.

    `command` is the script with its arguments, or empty if no script is configured.
    `exit_code` is the exit code of the script, or the negative number of the signal
    that ended it, or None if no script ran.  `error` is the reason why a configured
    script did not run, otherwise empty.  `overdue` is True if the script was killed at
    its time limit.
    """

    job: Job
    command: tuple[str, ...]
    exit_code: int | None
    error: str = ""
    overdue: bool = False

    @property
    def succeeded(self) -> bool:
        """True if the script exited with 0, or if no script is configured."""
        return self.exit_code == 0 or (self.exit_code is None and not self.error)


class ScriptQueue:
    """Holds the job that runs and the job that waits, each None if there is none.

    Start the job that `request` or `finished` returns.  Call `finished` when that job
    has ended or could not be started.
    """

    def __init__(self) -> None:
        self.running: Job | None = None
        self.waiting: Job | None = None

    def request(self, job: Job) -> Job | None:
        """Queue `job`; return the job to start now, or None if one is running."""
        if self.running is None:
            self.running = job
            return job
        # A waiting job that is not `job` is its contrary: the two cancel each other.
        is_last = self.waiting in (None, job) or self.running is Job.CONFLICT
        self.waiting = job if is_last else None
        return None

    def finished(self) -> Job | None:
        """Record the end of the running job; return the job to start next, or None."""
        self.running, self.waiting = self.waiting, None
        return self.running
