"""Advert counters that are recognisable and ordered in time.

    63                             28 27       20 19                  0
    +--------------------------------+-----------+--------------------+
    | time, 1/32 s since 2020 (UTC)  | id        | mark               |
    +--------------------------------+-----------+--------------------+

The time is the wall clock of the sender at its start, continued by its monotonic clock,
so setting the clock of a running host has no effect.  The time grows with each counter,
so no counter is used twice: if two counters are needed in the same 1/32 s, the time of
the second is one unit ahead of the clock.  The id distinguishes senders, whatever their
addresses are.  The mark is computed from time and id.  It shows that a counter has this
form (a *marked* counter).  It does not show who made the counter, as a digest does.

All other implementations treat a counter as 64 arbitrary bits, as CARP itself does.
ucarp and FreeBSD add 1 to the counter of a peer that they hear.  The mark is in the
lowest bits, so the result has no valid mark.
"""

from collections.abc import Callable

from carppcap.units import NS_PER_S, Instant

Stamp = tuple[int, int]
"""The time (in units of 1/32 s since 2020) and the id in a marked counter."""

COUNTERS = 1 << 64
"""The number of possible counters: a counter has 64 bits."""

UNITS_PER_S = 32
EPOCH_S = 1_577_836_800
"""2020-01-01 00:00 UTC, in seconds since 1970."""

TIME_BITS, ID_BITS, MARK_BITS = 36, 8, 20
IDS = 1 << ID_BITS
TIME_MAX = (1 << TIME_BITS) - 1
"""The last time that fits into a counter, in 2088."""

CLOCK_MAX = TIME_MAX // 4 * 3
"""The last time, in 2071, at which a wall clock is believed.  A clock that shows a
later time, or one before 2020, must be wrong."""

SIDESTEPS_MAX = UNITS_PER_S
"""The most units of 1/32 s that a sequence goes ahead of its clock because another host
has its id (see `avoid`).  They add up to one second, which is less than the clocks of
two hosts may differ."""

_NS_PER_UNIT = NS_PER_S // UNITS_PER_S
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, to the next odd number


def time_at(wall_ns: int) -> int:
    """Return `wall_ns`, a wall clock in ns since 1970, in units of 1/32 s since 2020.

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

    About one random number in a million has a valid mark by chance.
    """
    top, mark = divmod(counter, 1 << MARK_BITS)
    return divmod(top, IDS) if mark == _mark(top) else None


def _mark(top: int) -> int:
    # The high bits of a product depend on all bits of its factors.  The 1 is added so
    # that the counter 0 is not marked.
    return (top + 1) * _MULTIPLIER % COUNTERS >> (64 - MARK_BITS)


class CounterSequence:
    """Makes the counters of our adverts in one group, each later than the last one.

    `wall_ns` is the wall clock at the instant `now`, in ns since 1970.  `draw_id`
    returns 8 random bits.  Instants must not decrease.
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

        Two hosts with the same id would take each other's adverts for old ones.  The
        proof is a counter with our id and a later time than our last counter.  A
        counter with an earlier time is no proof: an attacker may have sent an advert of
        ours again.  If it made us draw another id, our last adverts under the old id
        would stay valid at peers that missed them.

        Two hosts that were started in the same 1/32 s with the same id would use the
        same times, so neither would ever hear a later one.  Therefore, when a counter
        has the same time as our last counter, we go one unit ahead or not, at random.
        As soon as only one of the hosts goes ahead, the other has the proof.
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
        """True if `heard` has an id of ours and our next counter would not exceed it.

        Our ids are the present one and all that we had before.  False if `heard` is not
        marked.
        """
        stamp = split(heard)
        if stamp is None:
            return False
        time, number = stamp
        return number in self._ids and self._next(now) <= time < TIME_MAX

    def raise_beyond(self, heard: int, now: Instant) -> None:
        """Give our next counter a later time than `heard`, a marked counter."""
        stamp = split(heard)
        assert stamp is not None  # or we would not be behind it
        self._offset = stamp[0] + 1 - self.clock(now)

    def clock(self, now: Instant) -> int:
        """Return the time at `now`, in units of 1/32 s since 2020.

        The time in our counters may be ahead of it.
        """
        return self.start + (now - self._began_at) // _NS_PER_UNIT

    def _next(self, now: Instant) -> int:
        return max(self.clock(now) + self._offset, self._last + 1)
