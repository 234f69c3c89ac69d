"""What is to be said about a configuration file, and about which line of it."""

from enum import Enum
from typing import NamedTuple

from carppcap.errors import CarpError


class Severity(Enum):
    """How bad a finding is."""

    MISTAKE = "mistake"
    """The daemon refuses the file, or the pair of hosts cannot work."""

    WARNING = "warning"
    """The daemon starts, but does not do what was probably meant."""

    NOTE = "note"
    """Something good to know."""


class Finding(NamedTuple):
    """A sentence about line `line` of the file; the first line has number 1.

    The sentence is an error that nothing raises, so that it can be translated when it
    is shown.  It may name options as the command line has them (`--own-addresses`);
    `keys.in_file` turns them into keys.  If the sentence does not name the group that
    it is about, `group` does; `sentence` puts that name before it.
    """

    severity: Severity
    line: int
    error: CarpError
    group: str = ""

    def sentence(self, text: str) -> str:
        """Return `text`, the error in some language, with the group if it lacks it."""
        return f"{self.group}: {text}" if self.group else text


def mistake(line: int, error: CarpError, group: str = "") -> Finding:
    """Return a finding because of which the daemon refuses the file."""
    return Finding(Severity.MISTAKE, line, error, group)


def warning(line: int, error: CarpError, group: str = "") -> Finding:
    """Return a finding about something that will not work as it was meant."""
    return Finding(Severity.WARNING, line, error, group)


def note(line: int, error: CarpError) -> Finding:
    """Return a finding about something good to know."""
    return Finding(Severity.NOTE, line, error)
