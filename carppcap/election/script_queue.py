"""In which order the up and down scripts of one virtual host run.

One at a time, in the order of the changes that ask for them.  If the state changes
back before a waiting script has started, neither of the two is run: what runs now
already leads where they would have ended.  So at most one script ever waits.
"""

from dataclasses import dataclass
from enum import Enum


class Job(Enum):
    """What a script is run for."""

    ACQUIRE = "up"
    RELEASE = "down"


@dataclass(frozen=True, slots=True)
class Outcome:
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
        """Whether the script did its work, as far as it says; none needed is fine."""
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
        """Take note of `job`; returns what to start now, if anything."""
        if self.running is None:
            self.running = job
            return job
        # A second request in a row can only be the contrary of the one that waits.
        self.waiting = job if self.waiting in (None, job) else None
        return None

    def finished(self) -> Job | None:
        """The running job is over; returns what to start next, if anything."""
        self.running, self.waiting = self.waiting, None
        return self.running
