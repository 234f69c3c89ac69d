"""When to narrow the kernel's filter in a flood of useless frames.

    WIDE ──too many useless frames──> NARROW ──every 2..30 s──> GLIMPSE (50 ms, wide)
      ^                                 ^                          │       │
      │                                 └──────still a flood───────┘       │
      └──────────────────────────────flood over────────────────────────────┘

It takes us about ten microseconds to read a frame.  A flood can therefore take all our
time and fill the kernel's ring of frames, so that adverts of the master are lost.  The
narrow filter (`bpf`) drops the flood without any work for us, but it also hides
misconfigured peers from the log.  The kernel does not count the frames that a filter
drops.  To find out whether the flood is over, we must therefore set the wide filter for
a short time: a glimpse.

A flood of well-formed adverts with wrong digests passes the narrow filter.  If it is
still too much for us, we divide the source addresses into up to eight slices.  The
filter passes one slice at a time; each slice has its turn.  Known senders, from which
we have received authentic adverts, pass at any time.

Why we hear every peer, and why two masters do not last:

1. The narrow filter passes every frame that `ingress` would accept.
2. Only unknown senders have to wait for their turn.  A turn is longer than our advert
   interval, and a better host has a shorter interval, so it sends an advert during its
   turn.  We hear this advert within nine of our intervals, and yield to the host.  If
   two masters filter, the worse one yields.  A flood from the address of the better
   master can hide its adverts, but it could do so without a filter, too.
3. A backup that has heard no advert for three quarters of its master-down interval
   lets all senders pass, because the new master may be an unknown one.
4. The first glimpse after the end of a flood makes the filter wide again.
"""

from enum import Enum
from typing import NamedTuple

from carppcap.addresses import Address
from carppcap.filter.bpf import WIDE, Sieve
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval

READABLE_PER_S = 1_000
"""Up to this many useless frames a second are no flood.

Nor are as many useless frames that arrive at once."""

BEARABLE_PER_S = 10_000
"""Up to this many useless frames a second are read during a flood.

Reading them takes a tenth of our time."""

BACKLOG_MAX = 5_000
"""Up to this many useless frames may be read at once after the filter was narrowed.

The kernel's ring holds fewer frames.  Frames that were in the ring at that moment
therefore do not look like a flood that passes the narrow filter."""

SLICES_MAX = 8
TURN_NS_MIN = 100 * NS_PER_MS

GLIMPSE_NS = 50 * NS_PER_MS
"""How long a glimpse lasts: longer than the kernel delays the delivery of a frame."""

GLIMPSE_FRAMES_MAX = 500
"""A glimpse ends early after this many useless frames.

They are enough to recognise a flood, and fewer than the ring holds."""

PAUSE_NS_MIN = 2 * NS_PER_S
PAUSE_NS_MAX = 30 * NS_PER_S
PROBATION_NS = 2 * NS_PER_S
"""A flood that returns within this time after its end counts as the same flood."""

KNOWN_MAX = 16
FORGOTTEN_NS = 60 * NS_PER_S
"""A known sender that was silent for this time may be replaced by a new one."""


class FloodBegan(NamedTuple):
    """Says that a flood has begun, for which the filter was narrowed.

    `rate` is in useless frames a second.
    """

    rate: int

    def __str__(self) -> str:
        return f"Flood: {self.rate} unrelated frames/s; narrowing the capture filter"


class FloodEnded(NamedTuple):
    """Says that a flood has ended and the filter is wide again.

    `frames` is the number of useless frames that were read during the flood.
    """

    duration_ns: Interval
    frames: int

    def __str__(self) -> str:
        return (
            f"Flood over after {self.duration_ns / NS_PER_S:.1f} s and {self.frames} "
            "frames read; widening the capture filter"
        )


class Stage(Enum):
    """A stage of the filter, with the rate of useless frames that it tolerates.

    The value is that rate, in frames a second, and the size of a burst in frames that
    is tolerated, too.
    """

    WIDE = (READABLE_PER_S, READABLE_PER_S)
    NARROW = (BEARABLE_PER_S, BACKLOG_MAX)
    GLIMPSE = (1, GLIMPSE_FRAMES_MAX)


class Bucket:
    """A leaky bucket, which leaks `per_s` frames a second and holds `size` frames.

    `frames` is the number of frames poured into it since it was last empty.
    """

    def __init__(self, per_s: int, size: int) -> None:
        self._frame_ns = NS_PER_S // per_s
        self._size_ns = size * self._frame_ns
        self._empty_at: Instant = 0
        self._filling_since: Instant = 0
        self.frames = 0

    def pour(self, frames: int, now: Instant) -> bool:
        """Add `frames` at `now`; return True if the bucket overflows."""
        if self._empty_at <= now:
            self._empty_at = self._filling_since = now
            self.frames = 0
        self._empty_at += frames * self._frame_ns
        self.frames += frames
        return self._empty_at - now > self._size_ns

    def rate(self, now: Instant) -> int:
        """Return how many frames a second were poured in since it was last empty.

        A time of less than 1 ms counts as 1 ms.
        """
        return self.frames * NS_PER_S // max(now - self._filling_since, NS_PER_MS)


class FloodGate:
    """Decides how narrow the kernel's filter is for one host.

    Call `note_advert` for each authentic advert, and `count` after each read and at
    `deadline`.  After each call of `count`, set the filter that `sieve` describes.
    `interval_ns` is our advert interval, and `master_down_ns` is our master-down
    interval.  Instants must not decrease.
    """

    def __init__(self, interval_ns: Interval, master_down_ns: Interval) -> None:
        self._turn_ns = max(interval_ns + interval_ns // 8, TURN_NS_MIN)
        self._silence_ns = master_down_ns * 3 // 4
        self._known: dict[Address, Instant] = {}
        self._advert_at: Instant | None = None
        self._stage = Stage.WIDE
        self._stage_ends: Instant | None = None
        self._bucket = Bucket(*Stage.WIDE.value)
        self._pause_ns = PAUSE_NS_MIN
        self._slices = 1
        self._turn = 0
        self._turn_ends: Instant = 0
        self._began: Instant | None = None
        self._widened: Instant = 0
        self._frames = 0
        self.deadline: Instant | None = None
        self.sieve = WIDE

    def note_advert(self, source: Address, at: Instant) -> None:
        """Remember `source` as a known sender; it sent an authentic advert at `at`."""
        self._advert_at = at
        self.note_sender(source, at)

    def note_sender(self, source: Address, at: Instant) -> None:
        """Remember `source` as a known sender; it sent an authentic message at `at`."""
        if source not in self._known and len(self._known) >= KNOWN_MAX:
            # Replayed adverts under many addresses must not displace active senders.
            silent = min(self._known, key=self._known.__getitem__)
            if at - self._known[silent] < FORGOTTEN_NS:
                return
            del self._known[silent]
        self._known[source] = at

    def count(
        self, useless: int, now: Instant, *, waiting: bool
    ) -> FloodBegan | FloodEnded | None:
        """Count the `useless` frames of one read; return what is to be logged, or None.

        `waiting` is True if we are a backup.
        """
        news: FloodBegan | FloodEnded | None = None
        self._frames += useless
        overflows = self._bucket.pour(useless, now)
        is_over = self._stage_ends is not None and now >= self._stage_ends
        match self._stage:
            case Stage.WIDE if overflows:
                news = self._begin(now)
            case Stage.WIDE if is_over:
                news = self._end()
            case Stage.NARROW if is_over and self._may_look(now, waiting):
                self._enter(Stage.GLIMPSE, now + GLIMPSE_NS)
            case Stage.NARROW if overflows and self._slices < SLICES_MAX:
                self._slices *= 2
                self._turn_ends = now + self._turn_ns
                self._bucket = Bucket(*Stage.NARROW.value)
            case Stage.GLIMPSE if overflows or is_over:
                self._end_glimpse(now, overflows)
        self._take_turns(now, waiting)
        return news

    def _may_look(self, now: Instant, waiting: bool) -> bool:
        """True if a glimpse may begin now.

        During a glimpse, the flood could make us miss an advert.  A backup (`waiting`)
        therefore begins a glimpse just after an advert, long before the next one is
        due.  If no advert comes within one turn (`_turn_ns`), the glimpse begins
        anyway.
        """
        assert self._stage_ends is not None
        just_heard = self._advert_at is not None and now - self._advert_at < GLIMPSE_NS
        return just_heard or not waiting or now >= self._stage_ends + self._turn_ns

    def _begin(self, now: Instant) -> FloodBegan | None:
        rate, frames = self._bucket.rate(now), self._bucket.frames
        self._narrow(now)
        if self._began is not None:
            return None
        self._began, self._frames = now, frames
        return FloodBegan(rate)

    def _end_glimpse(self, now: Instant, overflows: bool) -> None:
        if not overflows:
            self._slices = 1
        if overflows or self._bucket.frames * NS_PER_S > READABLE_PER_S * GLIMPSE_NS:
            self._narrow(now)
        else:
            self._enter(Stage.WIDE, now + PROBATION_NS)
            self._widened = now

    def _end(self) -> FloodEnded:
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
        self._bucket = Bucket(*stage.value)

    def _take_turns(self, now: Instant, waiting: bool) -> None:
        """Set `sieve` and `deadline` for the current stage and turn."""
        ends = self._stage_ends
        if ends is not None and now >= ends:
            ends += self._turn_ns
        self.deadline = ends
        self.sieve = Sieve(narrow=self._stage is Stage.NARROW)
        if ends is None or self._stage is not Stage.NARROW or self._slices == 1:
            return
        if waiting:
            heard_at = self._advert_at
            missed_at = now if heard_at is None else heard_at + self._silence_ns
            if now >= missed_at:
                return
            ends = min(ends, missed_at)
        if now >= self._turn_ends:
            self._turn += 1
            self._turn_ends = now + self._turn_ns
        turn, known = self._turn % self._slices, tuple(self._known)
        self.sieve = Sieve(True, self._slices, turn, known)
        self.deadline = min(ends, self._turn_ends)
