"""Advert counters that are recognisable and ordered in time.

    63                             28 27       20 19                  0
    +--------------------------------+-----------+--------------------+
    | time, 1/32 s since 2020 (UTC)  | id        | mark               |
    +--------------------------------+-----------+--------------------+

The time is the wall clock of the sender at its start, continued by its monotonic clock,
so setting the clock of a running host has no effect.  The time grows with each counter,
so no counter is used twice: for a second counter in the same 1/32 s it goes one unit
ahead of the clock.  The id tells senders apart, whatever their addresses are.  The mark
is computed from time and id, and shows that a counter is of this kind.  It proves
nothing; the digest of the advert does.

All other implementations treat a counter as 64 arbitrary bits, as CARP itself does.
ucarp and FreeBSD add 1 to the counter of a peer that they hear.  The mark is in the
lowest bits, so their sum is no longer marked.
"""

from collections.abc import Callable

from carppcap.units import NS_PER_S, Instant

Stamp = tuple[int, int]
"""Time (in units of 1/32 s since 2020) and id of a marked counter."""

COUNTERS = 1 << 64
"""A counter has 64 bits."""

UNITS_PER_S = 32
EPOCH_S = 1_577_836_800
"""2020-01-01 00:00 UTC, in seconds since 1970."""

TIME_BITS, ID_BITS, MARK_BITS = 36, 8, 20
IDS = 1 << ID_BITS
TIME_MAX = (1 << TIME_BITS) - 1
"""The last time, in 2088."""

CLOCK_MAX = TIME_MAX // 4 * 3
"""The last time, in 2071, that we believe of a clock.  A later one must be wrong, as
must one before 2020."""

SIDESTEPS_MAX = UNITS_PER_S
"""How many units a sequence goes ahead in all because another host has its id (see
`avoid`): one second, which is less than clocks may differ."""

_NS_PER_UNIT = NS_PER_S // UNITS_PER_S
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, to the next odd number


def time_at(wall_ns: int) -> int:
    """Return the time of a counter for a wall clock in ns since 1970.

    Return 0 if the clock must be wrong: before 2020 or after `CLOCK_MAX`.
    """
    time = (wall_ns - EPOCH_S * NS_PER_S) // _NS_PER_UNIT
    return time if 0 <= time <= CLOCK_MAX else 0


def join(time: int, number: int) -> int:
    """Return the marked counter with this time (36 bits) and this id (8 bits)."""
    top = time << ID_BITS | number
    return top << MARK_BITS | _mark(top)


def split(counter: int) -> Stamp | None:
    """Return time and id of a marked counter; None if `counter` is not marked.

    One arbitrary number in a million looks marked.
    """
    top, mark = divmod(counter, 1 << MARK_BITS)
    return divmod(top, IDS) if mark == _mark(top) else None


def _mark(top: int) -> int:
    # The high bits of a product depend on all bits of its factors.  The 1 is added so
    # that the counter 0 is not marked.
    return (top + 1) * _MULTIPLIER % COUNTERS >> (64 - MARK_BITS)


class CounterSequence:
    """The counters of our adverts in one group; the time in each is later than before.

    `wall_ns` is what the wall clock reads at `now`, in ns since 1970; `draw_id` returns
    8 random bits.  Instants must not decrease.
    """

    def __init__(self, wall_ns: int, now: Instant, draw_id: Callable[[], int]) -> None:
        self.start = time_at(wall_ns)
        self._began_at = now
        self._draw_id = draw_id
        self._offset = 0
        self._last = -1
        self._sidesteps = 0
        self.id = draw_id()
        self._ids = {self.id}

    def draw(self, now: Instant) -> int:
        """Return the counter of the next advert."""
        self._last = min(self._next(now), TIME_MAX)
        return join(self._last, self.id)

    def peek(self, now: Instant, ahead: int = 0) -> int:
        """Return a counter that `draw` would return now, or `ahead` draws later."""
        return join(min(self._next(now) + ahead, TIME_MAX), self.id)

    def avoid(self, counter: int) -> None:
        """Draw another id if `counter`, which was heard, proves that a peer has our id.

        Two hosts with one id would take adverts of each other for old ones.  A counter
        with our id and a later time than ours proves it.  One with an earlier time may
        be ours, sent again by an attacker.  It must not make us draw another id: our
        last adverts under the old id would then stay valid at peers that missed them.

        A counter with the same time may be that of a host that was started in the same
        1/32 s as we were, and whose time would never be later than ours.  So we go one
        unit ahead at random, and then that host sees the proof.
        """
        stamp = split(counter)
        if stamp is None or stamp[1] != self.id:
            return
        if stamp[0] > self._last:
            self.id = self._draw_id()
            self._ids.add(self.id)
        elif stamp[0] == self._last and self._sidesteps < SIDESTEPS_MAX:
            unit = self._draw_id() & 1
            self._sidesteps += unit
            self._offset += unit

    def is_behind(self, heard: int, now: Instant) -> bool:
        """True if `heard` has an id of ours and our next counter would not be later.

        Our ids are the present one and all that we had before.
        """
        stamp = split(heard)
        if stamp is None:
            return False
        time, number = stamp
        return number in self._ids and self._next(now) <= time < TIME_MAX

    def raise_beyond(self, heard: int, now: Instant) -> None:
        """Give our next counter a later time than `heard`, which must be marked."""
        stamp = split(heard)
        assert stamp is not None  # or we would not be behind it
        self._offset = stamp[0] + 1 - self.clock(now)

    def clock(self, now: Instant) -> int:
        """Return the time of our clock at `now`; our counters may be ahead of it."""
        return self.start + (now - self._began_at) // _NS_PER_UNIT

    def _next(self, now: Instant) -> int:
        return max(self.clock(now) + self._offset, self._last + 1)
