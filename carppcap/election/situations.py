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
    """Base of the situations of a BACKUP."""

    __slots__ = ()
    state = State.BACKUP


@dataclass(slots=True)
class Listening(Backup):
    """BACKUP that takes over at `deadline` unless it hears a master.

    `refused_ns` is the advertised interval of the last advert that the replay guard
    refused while we listened, or None.  `has_probed` is True after that sender was
    probed.  `has_extended` is True after `deadline` was moved because frames were lost.
    """

    deadline: Instant
    refused_ns: Interval | None = None
    has_probed: bool = False
    has_extended: bool = False

    def extend_once(self, deadline: Instant) -> None:
        """Move our deadline to `deadline`, since the lost frames may be adverts.

        This works once only.  Otherwise a flood of frames could prevent for ever that
        any host takes the addresses.
        """
        if not self.has_extended:
            self.has_extended = True
            self.deadline = max(self.deadline, deadline)


@dataclass(slots=True)
class Paused(Backup):
    """BACKUP that does not take over before `until`; then `listening` replaces it."""

    until: Instant
    listening: Listening

    @property
    def deadline(self) -> Instant:
        """The deadline of `listening`, which is never before `until`."""
        return self.listening.deadline


@dataclass(slots=True)
class Deaf(Backup):
    """BACKUP without a link: it hears nothing, so it does not take over.

    `paused_until` is the end of a pause that still runs, or 0.
    """

    deadline: ClassVar[Instant | None] = None

    paused_until: Instant = 0


@dataclass(slots=True)
class Master:
    """Base of the situations of a MASTER; the next advert is due at `deadline`."""

    state: ClassVar = State.MASTER

    deadline: Instant

    def schedule_advert(self, interval_ns: Interval, now: Instant) -> None:
        """Set the deadline of the next advert, one interval after the present deadline.

        It does not count from `now`: otherwise each late wake-up would delay all later
        adverts.
        """
        self.deadline += interval_ns
        if self.deadline <= now:  # We were stalled: do not send all that were missed.
            self.deadline = now + interval_ns


@dataclass(slots=True)
class Claiming(Master):
    """MASTER whose up script runs.

    `regained_at` is the instant at which it last took lost addresses again, or None.
    """

    regained_at: Instant | None = None


@dataclass(slots=True)
class Holding(Master):
    """MASTER that answers for the addresses.

    `adverts_until_announce` counts down with each advert.  When it reaches 0, the
    addresses are announced again.
    """

    regained_at: Instant | None
    adverts_until_announce: int = REPEAT_ANNOUNCE_AFTER

    def is_announced_again(self, period: int) -> bool:
        """Count one advert; True if the addresses have to be announced before it.

        After that they are announced with every `period`th advert; never if it is 0.
        """
        self.adverts_until_announce -= 1
        if self.adverts_until_announce != 0:
            return False
        self.adverts_until_announce = period
        return True


@dataclass(slots=True)
class Leaving(Master):
    """MASTER whose down script runs.

    When the addresses are released, the state changes to `to` because of `cause`.  If
    `to` is BACKUP, it pauses for `pause_ns`.
    """

    to: State
    cause: Cause
    pause_ns: Interval = 0


Situation = Idle | Listening | Paused | Deaf | Claiming | Holding | Leaving
