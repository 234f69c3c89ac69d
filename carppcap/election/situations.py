"""The situations of a virtual host.  Each owns the instants that matter in it.

A `VirtualHost` is in one of them at any time.  Entering a situation makes a new
object, so nothing of an earlier one is left to reset.

    Idle                          INIT      not started, or stopped
    Listening, Paused, Deaf       BACKUP
    Claiming, Holding, Leaving    MASTER
"""

from dataclasses import dataclass
from typing import ClassVar

from carppcap.election.actions import Cause, State
from carppcap.units import Instant, Interval

REPEAT_ANNOUNCE_AFTER = 2
"""Intervals between an announcement and its repetition (`sc_delayed_arp`)."""


class Idle:
    """INIT: not started yet, or stopped."""

    state = State.INIT
    deadline: ClassVar[Instant | None] = None


class Backup:
    """What all BACKUPs have in common."""

    __slots__ = ()
    state = State.BACKUP


@dataclass(slots=True)
class Listening(Backup):
    """BACKUP that takes over at `deadline` unless it hears a master.

    `refused_ns` is the interval of the last advert that was refused since a master
    was heard, if any; `has_probed` is True once its sender was asked for a new one.
    `has_extended` is True once the wait was extended because frames were lost.
    """

    deadline: Instant
    refused_ns: Interval | None = None
    has_probed: bool = False
    has_extended: bool = False

    def extend_once(self, deadline: Instant) -> None:
        """Listen on until `deadline`: the master's adverts may be among the lost.

        Only once, or a flood of frames could keep the addresses from every host.
        """
        if not self.has_extended:
            self.has_extended = True
            self.deadline = max(self.deadline, deadline)


@dataclass(slots=True)
class Paused(Backup):
    """BACKUP that takes nothing over before `until`, and then is `listening`."""

    until: Instant
    listening: Listening

    @property
    def deadline(self) -> Instant:
        """That of the listening which follows, never before `until`."""
        return self.listening.deadline


@dataclass(slots=True)
class Deaf(Backup):
    """BACKUP without a link.  It has no deadline, since the silence proves nothing.

    `paused_until` is the end of a pause that began before, 0 without one.
    """

    deadline: ClassVar[Instant | None] = None

    paused_until: Instant = 0


@dataclass(slots=True)
class Master:
    """What all MASTERs have in common: the next advert is sent at `deadline`."""

    state: ClassVar = State.MASTER

    deadline: Instant

    def schedule_advert(self, interval_ns: Interval, now: Instant) -> None:
        """Count from the last deadline, so that lateness does not add up."""
        self.deadline += interval_ns
        if self.deadline <= now:  # We were stalled: do not send a volley.
            self.deadline = now + interval_ns


@dataclass(slots=True)
class Claiming(Master):
    """MASTER whose up script runs.

    `regained_at` is when it last had to take lost addresses again, if ever.
    """

    regained_at: Instant | None = None


@dataclass(slots=True)
class Holding(Master):
    """MASTER that answers for the addresses.

    It announces again before the last of `adverts_until_announce` adverts; 0 for not
    again.
    """

    regained_at: Instant | None
    adverts_until_announce: int = REPEAT_ANNOUNCE_AFTER

    def is_announced_again(self, period: int) -> bool:
        """True if the addresses are announced before the advert that is due now.

        Then they are again with each `period`th advert; 0 for not again.
        """
        self.adverts_until_announce -= 1
        if self.adverts_until_announce != 0:
            return False
        self.adverts_until_announce = period
        return True


@dataclass(slots=True)
class Leaving(Master):
    """MASTER whose down script runs.

    When the addresses are released, it becomes `to` because of `cause`, and pauses
    for `pause_ns` if that is BACKUP.
    """

    to: State
    cause: Cause
    pause_ns: Interval = 0


Situation = Idle | Listening | Paused | Deaf | Claiming | Holding | Leaving
