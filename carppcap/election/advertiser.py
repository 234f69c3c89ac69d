"""What a virtual host says of itself: its rank, its demotion, its adverts.

A host that cannot do well says so in every way that some peer understands: OpenBSD
looks at the demotion of an advert, all others at its skew.
"""

from collections import deque
from collections.abc import Callable

from carppcap.election.actions import Action, SendAdvert
from carppcap.election.config import VirtualHostConfig
from carppcap.units import NS_PER_SKEW_STEP, Instant, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

SEND_FAILURES_MAX = 3
"""Failures in a row that make us a poor master (`CARP_SENDAD_MAX_ERRORS`)."""

SEND_SUCCESSES_MIN = 3
"""Successes in a row that make up for them (`CARP_SENDAD_MIN_SUCCESS`)."""

SUPPRESSED_SKEW = 240
"""The least skew of a host that cannot send, and the most that a demotion makes of one
(`CARP_MAXSKEW`)."""

OWN_COUNTERS_MAX = 64
"""How many of our counters we remember, to know our own adverts when they return."""

_QUESTIONED_NS_MAX = advert_interval_ns(254, 255)
"""A step more can still be said, and is no farewell."""


class Advertiser:
    """The adverts of one virtual host.

    `draw_counter` gives a fresh 64-bit number for each, never twice the same.
    Following a peer's counter, as the original does once it has heard one, would let
    two masters use the same number and be taken for each other's echo.
    """

    def __init__(
        self, config: VirtualHostConfig, draw_counter: Callable[[Instant], int]
    ) -> None:
        self._config = config
        self._draw_counter = draw_counter
        self._own_counters: deque[int] = deque(maxlen=OWN_COUNTERS_MAX)
        self._demotion = config.demotion
        self._send_failures = 0
        self._send_successes = 0

    @property
    def advskew(self) -> int:
        """Our skew as advertised and compared, raised by demotion (`DEMOTE_ADVSKEW`).

        Not being able to send raises it to the utmost (`carp_send_ad`).
        """
        advskew = self._config.advskew
        if self._is_suppressed:
            return max(advskew, SUPPRESSED_SKEW)
        return max(advskew, min(advskew + self._demotion, SUPPRESSED_SKEW))

    @property
    def interval_ns(self) -> Interval:
        """Time between our adverts, which is also our rank: the shorter the better."""
        return advert_interval_ns(self._config.advbase, self.advskew)

    @property
    def demotion(self) -> int:
        """Our demotion as advertised and compared, 0..255 (`carp_group_demote_count`).

        Not being able to send is no part of it: nobody hears of that anyway.
        """
        return self._demotion

    def demote(self, demotion: int) -> None:
        """Set our demotion, 0..255."""
        self._demotion = demotion

    def advert(self, now: Instant) -> list[Action]:
        """What a master says all the time, in each family."""
        return self._sign(self._config.advbase, self.advskew, now)

    def farewell(self, now: Instant) -> list[Action]:
        """What a master says last, if it is to say anything."""
        return self._sign(BOW_OUT, BOW_OUT, now) if self._config.farewell else []

    def question(self, interval_ns: Interval, now: Instant) -> list[Action]:
        """An advert to which a master of that interval does not yield, but answers.

        A step slower than it, or our own rank if that is slower.  And no slower than
        others can bear, whatever interval somebody has forged.
        """
        asked_ns = self.interval_ns
        if asked_ns <= interval_ns <= min(2 * asked_ns, _QUESTIONED_NS_MAX):
            asked_ns = interval_ns + NS_PER_SKEW_STEP
        advbase, advskew = divmod(asked_ns // NS_PER_SKEW_STEP, 256)
        return self._sign(advbase, advskew, now)

    def is_own(self, counter: int) -> bool:
        """Whether an advert with this counter is one of our own, come back."""
        return counter in self._own_counters

    def note_failure(self) -> None:
        """An advert could not be sent."""
        self._send_failures += 1
        self._send_successes = 0

    def note_success(self) -> None:
        """An advert was sent."""
        if not self._is_suppressed:
            self._send_failures = 0
            return
        self._send_successes += 1
        if self._send_successes >= SEND_SUCCESSES_MIN:
            self._send_failures = self._send_successes = 0

    @property
    def _is_suppressed(self) -> bool:
        return self._send_failures >= SEND_FAILURES_MAX

    def _sign(self, advbase: int, advskew: int, now: Instant) -> list[Action]:
        adverts: list[Action] = []
        for family in self._config.families:
            counter = self._draw_counter(now)
            self._own_counters.append(counter)
            adverts.append(SendAdvert(advbase, advskew, counter, self.demotion, family))
        return adverts
