"""Makes the adverts of a virtual host: their interval, demotion and counter.

A demoted host advertises a demotion above 0, which OpenBSD and carppcap compare.  It
also advertises a higher advskew, because all other implementations compare intervals
only.  A host that fails to send its adverts raises its advskew only.
"""

from collections import deque
from collections.abc import Callable

from carppcap.election.actions import Action, SendAdvert, SendSolicitation
from carppcap.election.config import VirtualHostConfig
from carppcap.units import NS_PER_SKEW_STEP, Instant, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

SEND_FAILURES_MAX = 3
"""Number of consecutive failures to send after which our advskew is raised
(`CARP_SENDAD_MAX_ERRORS`)."""

SEND_SUCCESSES_MIN = 3
"""Number of consecutive successes after which our advskew is lowered again
(`CARP_SENDAD_MIN_SUCCESS`)."""

SUPPRESSED_SKEW = 240
"""A host that cannot send adverts has at least this advskew.  Demotion raises an
advskew to at most this value (`CARP_MAXSKEW`)."""

OWN_COUNTERS_MAX = 64
"""Number of our latest counters that we remember, to recognise our own adverts."""

DrawCounter = Callable[[Instant], int]
"""A function that returns the 64-bit counter for an advert at the given instant.  It
never returns a counter twice."""

_PROBED_NS_MAX = advert_interval_ns(254, 255)
"""The longest interval to which a probe adds one step (1/256 s).  The result, 255 s, is
still shorter than the interval of a farewell."""


class Advertiser:
    """Makes the adverts of one virtual host.

    Every virtual host has its own sequence of counters.  If it continued a peer's
    counters, as ucarp does, two masters could use the same counter.  Each would then
    mistake the other's adverts for its own.
    """

    def __init__(self, config: VirtualHostConfig, draw_counter: DrawCounter) -> None:
        self._config = config
        self._families = config.families
        self._draw_counter = draw_counter
        self._own_counters: deque[int] = deque(maxlen=OWN_COUNTERS_MAX)
        self._demotion = config.demotion
        self._answered_at: Instant | None = None
        self._send_failures = 0
        self._send_successes = 0
        # Which part of how many of the interval is ours; None for any.
        self.place: tuple[int, int] | None = None

    @property
    def advskew(self) -> int:
        """Our effective advskew, 0..255: the configured one, raised by our demotion.

        It is at least 240 while adverts cannot be sent.  BSD kernels do the same
        (`DEMOTE_ADVSKEW`, `carp_send_ad`).
        """
        advskew = self._config.advskew
        if self._is_suppressed:
            return max(advskew, SUPPRESSED_SKEW)
        return max(advskew, min(advskew + self._demotion, SUPPRESSED_SKEW))

    @property
    def interval_ns(self) -> Interval:
        """The time between two of our adverts.  A shorter interval is a better rank."""
        return advert_interval_ns(self._config.advbase, self.advskew)

    @property
    def adverts_per_announcement(self) -> int:
        """The number of adverts after which a master announces its addresses again.

        It is 0 if there are no periodic announcements, otherwise at least 1.
        """
        wanted_ns = self._config.announce_interval_ns
        return max(1, wanted_ns // self.interval_ns) if wanted_ns else 0

    @property
    def demotion(self) -> int:
        """Our demotion, 0..255, which our adverts state (`carp_group_demote_count`).

        Failures to send do not change it, since no advert would tell the peers.
        """
        return self._demotion

    def demote(self, demotion: int) -> None:
        """Set our demotion, 0..255."""
        self._demotion = demotion

    def first_deadline(self, now: Instant) -> Instant:
        """Return when a host that became master at `now` sends its second advert.

        That is one interval later, or earlier if we have a place: then it is the last
        instant until then at which that part of the interval begins, counted from
        instant 0.  So the adverts of many groups are spread over the interval, even if
        all of them become master at once, and none is late.
        """
        latest, interval_ns = now + self.interval_ns, self.interval_ns
        if self.place is None:
            return latest
        part, parts = self.place
        return latest - (latest - interval_ns * part // parts) % interval_ns

    def next_deadline(self, deadline: Instant, now: Instant) -> Instant:
        """Return when to send the advert after the one that was due at `deadline`.

        That is one interval after `deadline`.  To count from `now` every time would be
        wrong: each late wake-up would delay all later adverts.  But if that instant has
        passed already, we were stalled: do not send all adverts that were missed.
        """
        following = deadline + self.interval_ns
        return following if following > now else self.first_deadline(now)

    def advert(self, now: Instant) -> list[Action]:
        """Return the regular advert of a master: one action for each address family."""
        return self._sign(self._config.advbase, self.advskew, now)

    def answer(self, now: Instant) -> list[Action]:
        """Return an extra advert, or an empty list if the last one was too recent.

        Two extra adverts are at least one interval apart.  Without this limit two hosts
        could answer each other for ever.
        """
        answered_at = self._answered_at
        if answered_at is not None and now - answered_at < self.interval_ns:
            return []
        self._answered_at = now
        return self.advert(now)

    def farewell(self, now: Instant) -> list[Action]:
        """Return the farewell of a master; an empty list if farewells are disabled."""
        return self._sign(BOW_OUT, BOW_OUT, now) if self._config.farewell else []

    def probe(self, interval_ns: Interval, now: Instant) -> list[Action]:
        """Return a probe: an advert to which a master of `interval_ns` does not yield.

        If that master is genuine, it continues the counter of the probe, and the replay
        guard accepts its next advert.  The probe states an interval one step (1/256 s)
        longer than `interval_ns`.  It states our own interval if ours is longer than
        `interval_ns`.  It also does so if `interval_ns` is more than twice ours,
        because `interval_ns` may be forged.
        """
        probe_ns = self.interval_ns
        if probe_ns <= interval_ns <= min(2 * probe_ns, _PROBED_NS_MAX):
            probe_ns = interval_ns + NS_PER_SKEW_STEP
        advbase, advskew = divmod(probe_ns // NS_PER_SKEW_STEP, 256)
        return self._sign(advbase, advskew, now)

    def solicit(self, now: Instant) -> list[Action]:
        """Return a solicitation, which asks the master for an advert, in each family.

        A family with peers has none (see `VirtualHostConfig.solicited`).
        """
        return [
            SendSolicitation(self._draw_counter(now), family)
            for family in self._families
            if self._config.solicited(family) is not None
        ]

    def is_own(self, counter: int) -> bool:
        """True if one of our last `OWN_COUNTERS_MAX` adverts had this counter."""
        return counter in self._own_counters

    def note_outcome(self, *, ok: bool) -> None:
        """Count an advert as sent if `ok` is True, otherwise as a failure to send."""
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
        for family in self._families:
            counter = self._draw_counter(now)
            self._own_counters.append(counter)
            adverts.append(SendAdvert(advbase, advskew, counter, self.demotion, family))
        return adverts
