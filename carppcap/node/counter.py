"""The counter of our adverts: a number that tells their order, and that it does.

    63                             28 27       20 19                  0
    +--------------------------------+-----------+--------------------+
    | time, 1/32 s since 2020 (UTC)  | id        | mark               |
    +--------------------------------+-----------+--------------------+

Time is that of the sender's wall clock when it started, carried on by its monotonic
clock, so setting the clock of a running host does nothing.  No number is used twice:
where the clock has not moved on, time does.  The id tells senders apart, whatever
address they have.  The mark is computed from the rest and says no more than "this is
such a number"; that it is authentic, the digest says.

To every other implementation these are the 64 arbitrary bits that they expect.  Those
that count on from a counter they have heard leave our marks behind with the first
step, because the mark is in the lowest bits.
"""

from collections.abc import Callable

from carppcap.units import NS_PER_S, Instant

Stamp = tuple[int, int]
"""Time and id of a marked counter."""

UNITS_PER_S = 32
EPOCH_S = 1_577_836_800
"""2020-01-01 00:00 UTC, in the seconds of Unix."""

TIME_BITS, ID_BITS, MARK_BITS = 36, 8, 20
IDS = 1 << ID_BITS
TIME_MAX = (1 << TIME_BITS) - 1
"""In 2088."""

CLOCK_MAX = TIME_MAX // 4 * 3
"""In 2071: a clock that reads more is as wrong as one from before 2020."""

SIDESTEPS_MAX = UNITS_PER_S
"""How often we step aside for who may have our id and our time: a second in all, which
is less than clocks may differ."""

_NS_PER_UNIT = NS_PER_S // UNITS_PER_S
_MARK_MASK = (1 << MARK_BITS) - 1
_ID_MASK = IDS - 1
_MASK = (1 << 64) - 1
_MULTIPLIER = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio, to the next odd number


def time_at(wall_ns: int) -> int:
    """The time field for a wall clock, in ns since 1970; 0 where it must be wrong."""
    time = (wall_ns - EPOCH_S * NS_PER_S) // _NS_PER_UNIT
    return time if 0 <= time <= CLOCK_MAX else 0


def join(time: int, number: int) -> int:
    """The marked counter of a time (36 bits) and an id (8 bits)."""
    top = time << ID_BITS | number
    return top << MARK_BITS | _mark(top)


def split(counter: int) -> Stamp | None:
    """Time and id of a marked counter; None: it is not marked, so not one of ours.

    One arbitrary number in a million looks marked.
    """
    top = counter >> MARK_BITS
    if counter & _MARK_MASK != _mark(top):
        return None
    return top >> ID_BITS, top & _ID_MASK


def _mark(top: int) -> int:
    # The high bits of a product depend on all bits of what is multiplied.  One is
    # added so that the counter 0 is not marked.
    return ((top + 1) * _MULTIPLIER & _MASK) >> (64 - MARK_BITS)


class CounterSequence:
    """The counters of one virtual host, each greater in time than those before.

    `wall_ns` is what the wall clock reads at `now`; `draw_id` gives 8 random bits.
    Instants must not decrease.
    """

    __slots__ = (
        "_began_at",
        "_draw_id",
        "_ids",
        "_last",
        "_offset",
        "_sidesteps",
        "id",
        "start",
    )

    def __init__(self, wall_ns: int, now: Instant, draw_id: Callable[[], int]) -> None:
        self.start = time_at(wall_ns)
        self._began_at = now
        self._draw_id = draw_id
        self._offset = 0
        self._last = -1
        self._ids = self._sidesteps = 0
        self._renumber()

    def avoid(self, counter: int) -> None:
        """Draw another id if this counter shows that somebody else has ours.

        Two in a group would take each other's adverts for old ones of their own.  But
        what we have sent ourselves may come back, and whoever could make us change our
        id with it would keep alive what we have said under the old one: nobody knows
        that to be old who has not heard it.  So only what is ahead of us is a proof.
        What is level with us may be a twin's, who began with us: now and then we go a
        unit ahead of him, and he sees the proof.
        """
        stamp = split(counter)
        if stamp is None or stamp[1] != self.id:
            return
        if stamp[0] > self._last:
            self._renumber()
        elif stamp[0] == self._last and self._sidesteps < SIDESTEPS_MAX:
            unit = self._draw_id() & 1
            self._sidesteps += unit
            self._offset += unit

    def _renumber(self) -> None:
        self.id = self._draw_id()
        self._ids |= 1 << self.id

    def draw(self, now: Instant) -> int:
        """The counter of the next advert."""
        self._last = min(self._next(now), TIME_MAX)
        return join(self._last, self.id)

    def is_behind(self, heard: int, now: Instant) -> bool:
        """True if our next counter is no newer than `heard`, which has an id of ours.

        A counter with the id of another sender says nothing about ours.
        """
        stamp = split(heard)
        if stamp is None:
            return False
        time, number = stamp
        is_ours = bool(self._ids >> number & 1)
        return is_ours and self._next(now) <= time < TIME_MAX

    def raise_beyond(self, heard: int, now: Instant) -> None:
        """Make the next counter newer than `heard`, which is marked."""
        stamp = split(heard)
        assert stamp is not None  # or we would not be behind it
        self._offset = stamp[0] + 1 - self._clock(now)

    def _next(self, now: Instant) -> int:
        return max(self._clock(now) + self._offset, self._last + 1)

    def _clock(self, now: Instant) -> int:
        return self.start + (now - self._began_at) // _NS_PER_UNIT
