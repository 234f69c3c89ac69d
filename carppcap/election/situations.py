"""The situations of a virtual host: its state, and what it remembers in that state.

A `VirtualHost` is in exactly one situation.  A new object is made when it enters a
situation, so there are no values of earlier situations to reset.

    INIT      Idle         not started, or stopped
    BACKUP    Listening    takes over if it hears no master
              Paused       does not take over yet
              Deaf         has no link
    MASTER    Claiming     its up script runs
              Holding      answers for the addresses
              Leaving      its down script runs
"""

from dataclasses import dataclass
from typing import ClassVar

from carppcap.election.actions import Cause, State
from carppcap.units import Instant, Interval

REPEAT_ANNOUNCE_AFTER = 2
"""The number of advert intervals after which an announcement is repeated
(`sc_delayed_arp`)."""


class Idle:
    """INIT: not started yet, or stopped."""

    state = State.INIT
    deadline: ClassVar[Instant | None] = None


class Backup:
    """Base class of the situations of a BACKUP."""

    __slots__ = ()
    state = State.BACKUP


@dataclass(slots=True)
class Listening(Backup):
    """A BACKUP that takes over at `deadline` unless it hears a master.

    `refused_ns` is the interval that the last refused advert states, or None if the
    replay guard has refused none.  `has_probed` is True once the sender of refused
    adverts was probed.  `has_extended` is True once `deadline` was moved because frames
    were lost.
    """

    deadline: Instant
    refused_ns: Interval | None = None
    has_probed: bool = False
    has_extended: bool = False

    def extend_once(self, deadline: Instant) -> None:
        """Put our deadline off to `deadline`, since lost frames may have been adverts.

        Do so only once.  Otherwise a flood of frames could put it off for ever, and no
        host would take the addresses.
        """
        if not self.has_extended:
            self.has_extended = True
            self.deadline = max(self.deadline, deadline)


@dataclass(slots=True)
class Paused(Backup):
    """A BACKUP that does not take over before `until`.

    At that instant the host enters the situation `listening`.
    """

    until: Instant
    listening: Listening

    @property
    def deadline(self) -> Instant:
        """The deadline of `listening`, which is never before `until`."""
        return self.listening.deadline


@dataclass(slots=True)
class Deaf(Backup):
    """A BACKUP without a link: it hears no adverts, so it does not take over.

    `paused_until` is the end of a pause that still runs, or 0.
    """

    deadline: ClassVar[Instant | None] = None

    paused_until: Instant = 0


@dataclass(slots=True)
class Master:
    """Base class of the situations of a MASTER.

    Its next advert is due at `deadline`.
    """

    state: ClassVar = State.MASTER

    deadline: Instant

    def schedule_advert(self, interval_ns: Interval, now: Instant) -> None:
        """Set the deadline of the next advert: one interval after the last deadline.

        If that instant has passed already, set the deadline to one interval after
        `now`.  To count from `now` every time would be wrong: each late wake-up would
        delay all later adverts.
        """
        self.deadline += interval_ns
        if self.deadline <= now:  # We were stalled: do not send all that were missed.
            self.deadline = now + interval_ns


@dataclass(slots=True)
class Claiming(Master):
    """A MASTER whose up script runs.

    `regained_at` is the instant at which it last began to take lost addresses again, or
    None.
    """

    regained_at: Instant | None = None


@dataclass(slots=True)
class Holding(Master):
    """A MASTER that answers for the addresses.

    `regained_at` is that of `Claiming`.  `adverts_until_announce` counts down with each
    advert.  When it reaches 0, the addresses are announced again.
    """

    regained_at: Instant | None
    adverts_until_announce: int = REPEAT_ANNOUNCE_AFTER

    def is_announced_again(self, period: int) -> bool:
        """Count one advert; True if the addresses must be announced before it is sent.

        The next announcement is then due after `period` more adverts; 0 means never.
        """
        self.adverts_until_announce -= 1
        if self.adverts_until_announce != 0:
            return False
        self.adverts_until_announce = period
        return True


@dataclass(slots=True)
class Leaving(Master):
    """A MASTER whose down script runs.

    When the addresses are released, the state changes to `to` because of `cause`.  If
    `to` is BACKUP, the host then pauses for `pause_ns`.
    """

    to: State
    cause: Cause
    pause_ns: Interval = 0


Situation = Idle | Listening | Paused | Deaf | Claiming | Holding | Leaving
