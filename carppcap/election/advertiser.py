"""The adverts of a virtual host: its rank, its demotion, its counters.

A host that is demoted or cannot send raises both its demotion, which OpenBSD looks
at, and its skew, which all others look at.
"""

from collections import deque
from collections.abc import Callable

from carppcap.election.actions import Action, SendAdvert
from carppcap.election.config import VirtualHostConfig
from carppcap.units import NS_PER_SKEW_STEP, Instant, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

SEND_FAILURES_MAX = 3
"""Failures in a row after which our skew is raised (`CARP_SENDAD_MAX_ERRORS`)."""

SEND_SUCCESSES_MIN = 3
"""Successes in a row after which it is lowered again (`CARP_SENDAD_MIN_SUCCESS`)."""

SUPPRESSED_SKEW = 240
"""Skew of a host that cannot send, and the limit for a skew that demotion raises
(`CARP_MAXSKEW`)."""

OWN_COUNTERS_MAX = 64
"""Counters we remember, to recognise our own adverts when they come back."""

DrawCounter = Callable[[Instant], int]
"""Return a 64-bit counter for an advert of that instant, never twice the same."""

_PROBED_NS_MAX = advert_interval_ns(254, 255)
"""The longest interval that can be advertised a step slower without a farewell."""


class Advertiser:
    """The adverts of one virtual host.

    Each has a counter of its own.  Following a peer's counter, as ucarp does once it
    has heard one, would let two masters use the same number, and each would take the
    other's adverts for its own.
    """

    def __init__(self, config: VirtualHostConfig, draw_counter: DrawCounter) -> None:
        self._config = config
        self._draw_counter = draw_counter
        self._own_counters: deque[int] = deque(maxlen=OWN_COUNTERS_MAX)
        self._demotion = config.demotion
        self._answered_at: Instant | None = None
        self._send_failures = 0
        self._send_successes = 0

    @property
    def advskew(self) -> int:
        """Our skew as advertised and compared, raised by demotion (`DEMOTE_ADVSKEW`).

        0..255; at least 240 while adverts cannot be sent (`carp_send_ad`).
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
    def adverts_per_announcement(self) -> int:
        """Adverts from one periodic announcement to the next; 0 for none.

        At least 1: an interval longer than that of the announcements counts instead.
        """
        wanted_ns = self._config.announce_interval_ns
        return max(1, wanted_ns // self.interval_ns) if wanted_ns else 0

    @property
    def demotion(self) -> int:
        """Our demotion as advertised and compared, 0..255 (`carp_group_demote_count`).

        Failures to send do not change it: no peer would hear of them.
        """
        return self._demotion

    def demote(self, demotion: int) -> None:
        """Set our demotion, 0..255."""
        self._demotion = demotion

    def advert(self, now: Instant) -> list[Action]:
        """Return the regular advert of a master, one for each family."""
        return self._sign(self._config.advbase, self.advskew, now)

    def answer(self, now: Instant) -> list[Action]:
        """Return an advert beside the regular ones, at most one in an interval.

        Without the limit, hosts that answer each other would never come to an end.
        """
        answered_at = self._answered_at
        if answered_at is not None and now - answered_at < self.interval_ns:
            return []
        self._answered_at = now
        return self.advert(now)

    def farewell(self, now: Instant) -> list[Action]:
        """Return the last advert of a master, none if farewells are off."""
        return self._sign(BOW_OUT, BOW_OUT, now) if self._config.farewell else []

    def probe(self, interval_ns: Interval, now: Instant) -> list[Action]:
        """Return an advert to which a master of `interval_ns` answers without yielding.

        It is a step slower than that master, or has our own rank if that is slower.  An
        attacker may have forged `interval_ns`: beyond twice our own it is ignored.
        """
        probe_ns = self.interval_ns
        if probe_ns <= interval_ns <= min(2 * probe_ns, _PROBED_NS_MAX):
            probe_ns = interval_ns + NS_PER_SKEW_STEP
        advbase, advskew = divmod(probe_ns // NS_PER_SKEW_STEP, 256)
        return self._sign(advbase, advskew, now)

    def is_own(self, counter: int) -> bool:
        """True if an advert with this counter is one of our own, come back."""
        return counter in self._own_counters

    def note_outcome(self, *, ok: bool) -> None:
        """Count an advert that was sent, or could not be sent."""
        if not ok:
            self._send_failures += 1
            self._send_successes = 0
            return
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
