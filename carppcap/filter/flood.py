"""A flood of frames that are no adverts of ours: when to narrow the kernel's filter.

    WIDE ──too many useless frames──> NARROW ──every 2..30 s──> GLIMPSE (50 ms, wide)
      ^                                 ^                          │       │
      │                                 └──────still a flood───────┘       │
      └────────────────────────────quiet───────────────────────────────────┘

Reading costs us some ten microseconds a frame, so that a flood takes all our time and
fills the ring, in which the adverts of the master then find no room.  The narrow filter
costs nothing, but hides what is wrong with other people's adverts, and the kernel does
not tell how much it holds back: whether the flood is over is seen only by looking.

A flood of the right shape, wrong only in its digest, passes the narrow filter.  If it
is too much to read, we go on hearing those whose authentic adverts we know, and take
turns with all others: an eighth of all addresses at a time, at the worst.

Why this leaves nobody unheard, and no two masters for ever:

1. Whatever `ingress` would accept passes the narrow filter (`bpf`).
2. Only who was never heard before has to wait for his turn.  A turn is longer than our
   own advert interval, so longer than that of anybody better than us; whoever is better
   and advertises is therefore heard before each address has had its turn, within nine
   of our intervals, is known from then on, and we yield to him.  Of two masters who
   filter, this is true of the worse.  That a flood in the name of the better one drowns
   him is beyond any filter; it would do so without ours, too.
3. A backup that has missed its master for three quarters of its patience hears
   everybody, lest the successor be a stranger.
4. All of it ends with the flood, at the latest one pause later.
"""

from dataclasses import dataclass
from enum import Enum

from carppcap.addresses import Address
from carppcap.filter.bpf import WIDE, Sieve
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval

READABLE_PER_S = 1_000
"""Useless frames a second that are no flood, for ever, and as many once on top."""

BEARABLE_PER_S = 10_000
"""Useless frames a second that we read under a flood: a tenth of our time."""

BACKLOG_MAX = 5_000
"""More than the ring holds: what it held before it was narrowed does not count."""

SLICES_MAX = 8
TURN_NS_MIN = 100 * NS_PER_MS

GLIMPSE_NS = 50 * NS_PER_MS
"""Longer than the kernel keeps a frame to itself."""

GLIMPSE_FRAMES_MAX = 500
"""Enough to know, and less than the ring holds."""

PAUSE_NS_MIN = 2 * NS_PER_S
PAUSE_NS_MAX = 30 * NS_PER_S
PROBATION_NS = 2 * NS_PER_S
"""A flood that comes back this soon has not been over."""

KNOWN_MAX = 16
FORGOTTEN_NS = 60 * NS_PER_S
"""Who was silent for so long makes room for another, if there is none."""


@dataclass(frozen=True, slots=True)
class FloodBegan:
    """The filter was narrowed; `rate` is useless frames a second."""

    rate: int


@dataclass(frozen=True, slots=True)
class FloodEnded:
    """The filter was widened for good.  `frames` of the flood were read meanwhile."""

    duration_ns: Interval
    frames: int


class Stage(Enum):
    """What is asked of the kernel."""

    WIDE = "wide"
    NARROW = "narrow"
    GLIMPSE = "glimpse"


_TOO_MANY = {
    Stage.WIDE: (READABLE_PER_S, READABLE_PER_S),
    Stage.NARROW: (BEARABLE_PER_S, BACKLOG_MAX),
    Stage.GLIMPSE: (1, GLIMPSE_FRAMES_MAX),
}
"""Useless frames a second, and at once on top of that."""


class Bucket:
    """Fills with frames and leaks at a constant rate; too many, and it runs over.

    `per_s` is the rate, `size` how many find room at once; `frames` were poured in
    since it was last empty.
    """

    def __init__(self, per_s: int, size: int) -> None:
        self._frame_ns = NS_PER_S // per_s
        self._size_ns = size * self._frame_ns
        self._empty_at: Instant = 0
        self._filling_since: Instant = 0
        self.frames = 0

    def pour(self, frames: int, now: Instant) -> bool:
        """Whether it runs over."""
        if self._empty_at <= now:
            self._empty_at = self._filling_since = now
            self.frames = 0
        self._empty_at += frames * self._frame_ns
        self.frames += frames
        return self._empty_at - now > self._size_ns

    def rate(self, now: Instant) -> int:
        """Frames a second since it was last empty; what comes at once took 1 ms."""
        return self.frames * NS_PER_S // max(now - self._filling_since, NS_PER_MS)


class FloodGate:
    """Decides how much the kernel is to hold back for one host.

    Tell it of each authentic advert with `heard` and of all that was read with `judge`,
    and call `judge` also when `deadline` has come; then put `sieve` in force.
    `interval_ns` is our own between two adverts, `patience_ns` the silence after which
    we take a master for dead.  Instants must not decrease.
    """

    def __init__(self, interval_ns: Interval, patience_ns: Interval) -> None:
        self._turn_ns = max(interval_ns + interval_ns // 8, TURN_NS_MIN)
        self._hush_ns = patience_ns * 3 // 4
        self._known: dict[Address, Instant] = {}
        self._heard_at: Instant | None = None
        self._stage = Stage.WIDE
        self._stage_ends: Instant | None = None
        self._bucket = Bucket(*_TOO_MANY[Stage.WIDE])
        self._pause_ns = PAUSE_NS_MIN
        self._slices = 1
        self._turn = 0
        self._turn_ends: Instant = 0
        self._began: Instant | None = None
        self._widened: Instant = 0
        self._frames = 0
        self.deadline: Instant | None = None
        self.sieve = WIDE

    def heard(self, source: Address, at: Instant) -> None:
        """An authentic advert came from `source`."""
        self._heard_at = at
        if source not in self._known and len(self._known) >= KNOWN_MAX:
            # Whoever repeats what others said, under ever new names, displaces nobody
            # who is still there.
            silent = min(self._known, key=self._known.__getitem__)
            if at - self._known[silent] < FORGOTTEN_NS:
                return
            del self._known[silent]
        self._known[source] = at

    def judge(
        self, useless: int, now: Instant, *, waiting: bool
    ) -> FloodBegan | FloodEnded | None:
        """So many frames were read and moved nothing; what is to be said, if anything.

        `waiting` tells whether we are a backup, whom silence makes a master.
        """
        news: FloodBegan | FloodEnded | None = None
        self._frames += useless
        overflows = self._bucket.pour(useless, now)
        is_over = self._stage_ends is not None and now >= self._stage_ends
        match self._stage:
            case Stage.WIDE if overflows:
                news = self._flooded(now)
            case Stage.WIDE if is_over:
                news = self._dry()
            case Stage.NARROW if is_over and self._may_look(now, waiting):
                self._enter(Stage.GLIMPSE, now + GLIMPSE_NS)
            case Stage.NARROW if overflows and self._slices < SLICES_MAX:
                self._slices *= 2
                self._turn_ends = now + self._turn_ns
                self._bucket = Bucket(*_TOO_MANY[Stage.NARROW])
            case Stage.GLIMPSE if overflows or is_over:
                self._glimpsed(now, much=overflows)
        self._take_turns(now, waiting)
        return news

    def _may_look(self, now: Instant, waiting: bool) -> bool:
        """A backup looks when its master was heard, so that it misses no advert."""
        assert self._stage_ends is not None
        just_heard = self._heard_at is not None and now - self._heard_at < GLIMPSE_NS
        return just_heard or not waiting or now >= self._stage_ends + self._turn_ns

    def _flooded(self, now: Instant) -> FloodBegan | None:
        rate, frames = self._bucket.rate(now), self._bucket.frames
        self._narrow(now)
        if self._began is not None:
            return None
        self._began, self._frames = now, frames
        return FloodBegan(rate)

    def _glimpsed(self, now: Instant, *, much: bool) -> None:
        """A look at all there is has shown too much of it, some, or next to nothing."""
        if not much:
            self._slices = 1
        if much or self._bucket.frames * NS_PER_S > READABLE_PER_S * GLIMPSE_NS:
            self._narrow(now)
        else:
            self._enter(Stage.WIDE, now + PROBATION_NS)
            self._widened = now

    def _dry(self) -> FloodEnded:
        assert self._began is not None
        ended = FloodEnded(self._widened - self._began, self._frames)
        self._began = self._stage_ends = None
        self._pause_ns = PAUSE_NS_MIN
        return ended

    def _narrow(self, now: Instant) -> None:
        self._enter(Stage.NARROW, now + self._pause_ns)
        self._pause_ns = min(2 * self._pause_ns, PAUSE_NS_MAX)

    def _enter(self, stage: Stage, ends: Instant) -> None:
        self._stage, self._stage_ends = stage, ends
        self._bucket = Bucket(*_TOO_MANY[stage])

    def _take_turns(self, now: Instant, waiting: bool) -> None:
        """What follows for the sieve, and when to look again."""
        ends = self._stage_ends
        if ends is not None and now >= ends:
            ends += self._turn_ns
        self.deadline = ends
        self.sieve = Sieve(narrow=self._stage is Stage.NARROW)
        if ends is None or self._stage is not Stage.NARROW or self._slices == 1:
            return
        if waiting:
            hushed = now if self._heard_at is None else self._heard_at + self._hush_ns
            if now >= hushed:
                return
            ends = min(ends, hushed)
        if now >= self._turn_ends:
            self._turn += 1
            self._turn_ends = now + self._turn_ns
        turn, known = self._turn % self._slices, tuple(self._known)
        self.sieve = Sieve(True, self._slices, turn, known)
        self.deadline = min(ends, self._turn_ends)
