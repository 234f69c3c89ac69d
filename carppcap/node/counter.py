"""Advert counters that are recognisable and ordered in time.

    63                             28 27       20 19                  0
    +--------------------------------+-----------+--------------------+
    | time, 1/32 s since 2020 (UTC)  | id        | mark               |
    +--------------------------------+-----------+--------------------+

The time is the wall clock of the sender at its start, continued by its monotonic clock:
setting the clock of a running host has no effect.  It always grows, so no counter is
used twice: where the clock is still in the same unit, the time goes one ahead of it.
The id tells senders apart, whatever address they have.  The mark is computed from time
and id, and identifies such a counter.  It is no signature: the digest of the advert is.

To all other implementations these are 64 arbitrary bits, as in CARP itself.  ucarp and
FreeBSD continue the counters they hear by counting on.  The mark is in the lowest bits,
so that it is lost with their first step.
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
"""The last time that a clock may read, in 2071.  A later one is as wrong as one before
2020."""

SIDESTEPS_MAX = UNITS_PER_S
"""How many units in all a sequence goes ahead to part from a twin: one second, which is
less than clocks may differ."""

_NS_PER_UNIT = NS_PER_S // UNITS_PER_S
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, to the next odd number


def time_at(wall_ns: int) -> int:
    """Return the time for a wall clock (ns since 1970); 0 if that must be wrong."""
    time = (wall_ns - EPOCH_S * NS_PER_S) // _NS_PER_UNIT
    return time if 0 <= time <= CLOCK_MAX else 0


def join(time: int, number: int) -> int:
    """Return the marked counter of a time (36 bits) and an id (8 bits)."""
    top = time << ID_BITS | number
    return top << MARK_BITS | _mark(top)


def split(counter: int) -> Stamp | None:
    """Return time and id of a marked counter; None if it is not marked.

    One arbitrary number in a million looks marked.
    """
    top, mark = divmod(counter, 1 << MARK_BITS)
    return divmod(top, IDS) if mark == _mark(top) else None


def _mark(top: int) -> int:
    # The high bits of a product depend on all bits of its factors.  The 1 is added so
    # that the counter 0 is not marked.
    return (top + 1) * _MULTIPLIER % COUNTERS >> (64 - MARK_BITS)


class CounterSequence:
    """The counters of one group, each greater in time than those before.

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

    def avoid(self, counter: int) -> None:
        """Draw another id if a counter that was heard proves that a peer has ours.

        Two hosts with one id would take adverts of each other for old ones.  The proof
        is a counter that is ahead of ours.  Any other one may be ours, sent again by an
        attacker.  If that made us draw another id, our last adverts under the old one
        would stay good for all peers that have missed them.

        A counter level with ours may be that of a twin, which was started in the same
        unit and would never be ahead.  So we go a unit ahead at random, to let the twin
        see the proof.
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
        """True if our next counter is no later than `heard`, which has an id of ours.

        The present id is ours, and so are those before it.
        """
        stamp = split(heard)
        if stamp is None:
            return False
        time, number = stamp
        return number in self._ids and self._next(now) <= time < TIME_MAX

    def raise_beyond(self, heard: int, now: Instant) -> None:
        """Make the next counter later than `heard`, which is marked."""
        stamp = split(heard)
        assert stamp is not None  # or we would not be behind it
        self._offset = stamp[0] + 1 - self.clock(now)

    def clock(self, now: Instant) -> int:
        """Return the time of our clock, which our counters may be ahead of."""
        return self.start + (now - self._began_at) // _NS_PER_UNIT

    def _next(self, now: Instant) -> int:
        return max(self.clock(now) + self._offset, self._last + 1)
