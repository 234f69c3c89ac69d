"""The adverts of a virtual host: its rank, its demotion, its counters.

A demoted host advertises a higher demotion, which OpenBSD and carppcap compare, and a
higher skew, which all others compare.  A host that cannot send raises its skew only.
"""

from collections import deque
from collections.abc import Callable

from carppcap.election.actions import Action, SendAdvert
from carppcap.election.config import VirtualHostConfig
from carppcap.units import NS_PER_SKEW_STEP, Instant, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

SEND_FAILURES_MAX = 3
"""Failures to send in a row that raise our skew (`CARP_SENDAD_MAX_ERRORS`)."""

SEND_SUCCESSES_MIN = 3
"""Successes in a row that lower our skew again (`CARP_SENDAD_MIN_SUCCESS`)."""

SUPPRESSED_SKEW = 240
"""Skew of a host that cannot send.  Demotion raises a skew up to this, too
(`CARP_MAXSKEW`)."""

OWN_COUNTERS_MAX = 64
"""Number of our counters that we remember, to recognise our own adverts."""

DrawCounter = Callable[[Instant], int]
"""Return a 64-bit counter for an advert at the given instant, never twice the same."""

_PROBED_NS_MAX = advert_interval_ns(254, 255)
"""The longest interval that we probe.  One step longer is not yet a farewell."""


class Advertiser:
    """Makes the adverts of one virtual host.

    No two of them have the same counter, and none continues a peer's counter, as ucarp
    does.  Otherwise two masters could use the same number, and each would mistake the
    adverts of the other for its own.
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
        """Our effective skew: the configured one, raised by demotion
        (`DEMOTE_ADVSKEW`).

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
        """Number of adverts from one periodic announcement to the next.

        0 if there are no periodic announcements, else at least 1.
        """
        wanted_ns = self._config.announce_interval_ns
        return max(1, wanted_ns // self.interval_ns) if wanted_ns else 0

    @property
    def demotion(self) -> int:
        """Our demotion, 0..255, as advertised (`carp_group_demote_count`).

        Failures to send do not change it, as the peers would not hear of it anyway.
        """
        return self._demotion

    def demote(self, demotion: int) -> None:
        """Set our demotion, 0..255."""
        self._demotion = demotion

    def advert(self, now: Instant) -> list[Action]:
        """Return the regular advert of a master, as an action for each family."""
        return self._sign(self._config.advbase, self.advskew, now)

    def answer(self, now: Instant) -> list[Action]:
        """Return an extra advert, at most one in an interval, else nothing.

        Without this limit two hosts could answer each other for ever.
        """
        answered_at = self._answered_at
        if answered_at is not None and now - answered_at < self.interval_ns:
            return []
        self._answered_at = now
        return self.advert(now)

    def farewell(self, now: Instant) -> list[Action]:
        """Return the farewell of a master; nothing if farewells are off."""
        return self._sign(BOW_OUT, BOW_OUT, now) if self._config.farewell else []

    def probe(self, interval_ns: Interval, now: Instant) -> list[Action]:
        """Return an advert that a master with `interval_ns` answers without yielding.

        The advert states an interval one step longer than `interval_ns`, or our own
        interval if that is longer.  If `interval_ns` is more than twice our own, it may
        be forged, and the advert states our own interval.
        """
        probe_ns = self.interval_ns
        if probe_ns <= interval_ns <= min(2 * probe_ns, _PROBED_NS_MAX):
            probe_ns = interval_ns + NS_PER_SKEW_STEP
        advbase, advskew = divmod(probe_ns // NS_PER_SKEW_STEP, 256)
        return self._sign(advbase, advskew, now)

    def is_own(self, counter: int) -> bool:
        """True if one of our last `OWN_COUNTERS_MAX` adverts had this counter."""
        return counter in self._own_counters

    def note_outcome(self, *, ok: bool) -> None:
        """Count an advert that was sent (`ok`), or one that could not be sent."""
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
