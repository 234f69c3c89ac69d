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

from carppcap.election.actions import (
    Action,
    AnnounceAddresses,
    Cause,
    RivalAnswered,
    State,
)
from carppcap.election.events import RivalHeard
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval

REPEAT_ANNOUNCE_AFTER = 2
"""The number of advert intervals after which an announcement is repeated
(`sc_delayed_arp`)."""

ANSWER_AFTER_NS = 50 * NS_PER_MS
"""How long a master waits before it answers a rival by an announcement.

A ucarp that takes over announces just before its first advert, to which we may have to
yield.  If we answered at once, neighbours would believe us and not the new master."""

ANSWER_INTERVAL_NS = NS_PER_S
"""The least time between two answers to rivals: anyone can send such frames."""

SOLICIT_BEFORE = (10, 20)
"""A BACKUP asks for an advert a tenth of its master-down interval before it takes over,
and again a twentieth before, since a frame may be lost."""


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
    """A BACKUP that takes over at `master_down_at` unless it hears a master.

    Before that it asks for an advert, at each of `SOLICIT_BEFORE`.  `asked_at` is when
    it did so last, or 0.  `master_down_ns` is its master-down interval.

    `refused_ns` is the interval that the last refused advert states, or None if the
    replay guard has refused none.  `has_probed` is True once the sender of refused
    adverts was probed.  `has_extended` is True once `master_down_at` was moved because
    frames were lost.
    """

    until: ClassVar[Instant] = 0  # there is no pause

    master_down_at: Instant
    master_down_ns: Interval
    asked_at: Instant = 0
    refused_ns: Interval | None = None
    has_probed: bool = False
    has_extended: bool = False

    @property
    def deadline(self) -> Instant:
        """When to ask for an advert, or after that to take over."""
        for part in SOLICIT_BEFORE:
            ask_at = self.master_down_at - self.master_down_ns // part
            if ask_at > self.asked_at:
                return ask_at
        return self.master_down_at

    def extend_once(self, master_down_at: Instant) -> None:
        """Put the takeover off, since lost frames may have been adverts.

        Do so only once.  Otherwise a flood of frames could put it off for ever, and no
        host would take the addresses.
        """
        if not self.has_extended:
            self.has_extended = True
            self.master_down_at = max(self.master_down_at, master_down_at)


@dataclass(slots=True)
class Paused(Backup):
    """A BACKUP that does not take over before `until`.

    At that instant the host enters the situation `listening`.
    """

    until: Instant
    listening: Listening

    @property
    def deadline(self) -> Instant:
        """The deadline of `listening`, but not before `until`."""
        return max(self.until, self.listening.deadline)


@dataclass(slots=True)
class Deaf(Backup):
    """A BACKUP without a link: it hears no adverts, so it does not take over."""

    deadline: ClassVar[Instant | None] = None

    paused_until: Instant = 0


@dataclass(slots=True)
class Master:
    """Base class of the situations of a MASTER.

    Its next advert is due at `advert_at`.
    """

    state: ClassVar = State.MASTER

    advert_at: Instant

    @property
    def deadline(self) -> Instant:
        """The instant at which there is something to do."""
        return self.advert_at


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
    advert.  When it reaches 0, the addresses are announced again.  `rival` was heard
    since the last answer, or is None; it is answered by an announcement at `answer_at`.
    """

    regained_at: Instant | None
    adverts_until_announce: int = REPEAT_ANNOUNCE_AFTER
    rival: RivalHeard | None = None
    answer_at: Instant = 0

    @property
    def deadline(self) -> Instant:
        """The instant of the next advert or answer, whichever is earlier."""
        if self.rival is None:
            return self.advert_at
        return min(self.advert_at, self.answer_at)

    def note_rival(self, rival: RivalHeard, now: Instant) -> None:
        """Record the first rival since the last answer: an answer is due soon."""
        self.rival = rival
        self.answer_at = max(now + ANSWER_AFTER_NS, self.answer_at)

    def take_answer(self, now: Instant) -> list[Action]:
        """Return the answer to the rival if it is due, and forget the rival."""
        rival = self.rival
        if rival is None or now < self.answer_at:
            return []
        # Not before then the next one is answered.
        self.rival, self.answer_at = None, now + ANSWER_INTERVAL_NS
        return [RivalAnswered(rival.address, rival.mac), AnnounceAddresses()]

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
