"""The order in which the up and down scripts of one virtual host run.

One script runs at a time, in the order in which they were requested.  If the contrary
of a waiting script is requested, neither of the two is run: together they would end
where the running script ends.  So at most one script waits.
"""

from enum import Enum
from typing import NamedTuple


class Job(Enum):
    """The purpose of a script."""

    ACQUIRE = "up"
    RELEASE = "down"


class Outcome(NamedTuple):
    """How a job ended.

    `exit_code` is the exit code of the script, or the negative number of the signal
    that ended it, or None if it did not run.  Then `error` says why not; it is empty if
    no script was configured.  `overdue` is True if we killed the script.
    """

    job: Job
    command: tuple[str, ...]
    exit_code: int | None
    error: str = ""
    overdue: bool = False

    @property
    def succeeded(self) -> bool:
        """True if the script exited with 0, or if there was none to run."""
        return self.exit_code == 0 or (self.exit_code is None and not self.error)


class ScriptQueue:
    """The job that runs and the job that waits.

    Start the job that `request` or `finished` returns.  Call `finished` when that job
    has ended or could not be started.
    """

    def __init__(self) -> None:
        self.running: Job | None = None
        self.waiting: Job | None = None

    def request(self, job: Job) -> Job | None:
        """Queue `job`; return the job to start now, if any."""
        if self.running is None:
            self.running = job
            return job
        # A second request in a row can only be the contrary of the one that waits.
        self.waiting = job if self.waiting in (None, job) else None
        return None

    def finished(self) -> Job | None:
        """Note the end of the running job; return the job to start next, if any."""
        self.running, self.waiting = self.waiting, None
        return self.running
