"""The order in which the up and down scripts of one virtual host run.

One runs at a time, in the order of the changes that ask for them.  If the state
changes back before a waiting script has started, neither of the two is run, because
the running one already ends where they would.  So at most one script waits.
"""

from enum import Enum
from typing import NamedTuple


class Job(Enum):
    """What a script is run for."""

    ACQUIRE = "up"
    RELEASE = "down"


class Outcome(NamedTuple):
    """How a job ended.

    `exit_code` is that of the script, the negative number of the signal that ended
    it, or None where it never ran: `error` says why not, and is empty when there was
    no script to run.  `overdue` tells that we killed it.
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
    """The job that runs and the one that waits.

    Start what `request` and `finished` return; call `finished` when it has ended, or
    could not be started.
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
