"""The replay guard: was this advert sent before?

The digest of an advert covers its counter, but not its sender, its time or its claims
(advbase, advskew, demotion).  An attacker can send a recorded advert again, with other
claims, but cannot sign another counter.  So the guard, which examines authentic adverts
only, looks at counters.  These are its rules; the first that fits decides:

       counter                         same claims  other claims  remembered
    1  marked, new                     fresh        fresh         time, claims
    2  marked, one of the last 64      replay       tampered
    3  marked                          stale        stale

    4  constant                        fresh        changed       claims
    5  candidate, repeated enough      repeating    repeating     it is constant
    6  candidate                       fresh        changed       one more repeat
    7  heard, counts on from constant  fresh        changed       how far
    8  heard in one family, just now   twin         tampered      both families
    9  heard                           replay       tampered      probed
    10 not heard                       fresh        fresh         it, claims, sender

A *marked* counter (see `counter`) carries a time and an id.  Each id has a window,
which ends at its latest time (RFC 4303, 3.4.3, has the same for IPsec).  A marked
counter is *new* if its time is beyond the window, or in it and not heard.  At the start
all windows end at the start of the guard, and nothing in them is new: adverts from
before a restart are refused.

Any other counter has no order.  OpenBSD and OPNsense repeat one until they are started
again: it is *constant*.  A counter that was not heard is a *candidate* for that until
its sender is known to change its counter, which it is after two within its pace.  The
candidate has been *repeated enough* after three repeats and 2.5 intervals without
another counter of its sender.  ucarp and FreeBSD *count on* from a counter that they
hear, and from a constant one again whenever they hear it; how far they did is also
remembered under rule 10.

jcarp sends one advert in both families.  The second is the *twin* of the first if it
arrives in the other family within `TWIN_NS` and a quarter of the interval.  It tells
that this family is heard, and nothing else (`events.TwinReceived`).

All tables have a fixed size.  Only authentic adverts get into them, and one that is
refused into the list of the probed alone.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeVar

from carppcap.addresses import Address, Family
from carppcap.election.events import AdvertReceived
from carppcap.node.counter import COUNTERS, IDS, UNITS_PER_S, Stamp, join, split
from carppcap.units import NS_PER_S, Instant, Interval

START_SLACK = 4 * UNITS_PER_S
"""How much older than our start an advert may be: clocks differ, and an advert that was
sent before may arrive after."""

WINDOW = 4 * UNITS_PER_S
"""How far behind the latest time of its id an advert may come late."""

REMEMBERED = 1 << 14
"""Unmarked counters: 4.5 hours of one sender each second."""

REPEATS_MIN = 3
"""Repeats after which a counter counts as constant (OpenBSD)."""

COUNTED_MAX = 1 << 32
"""How far a sender may count on from a counter it has heard: 136 years of seconds."""

TWIN_NS: Interval = NS_PER_S // 4
"""The longest time between an advert and its twin, whatever interval it states."""

REPLACED_NS: Interval = 10 * NS_PER_S
"""The least time in which one host is replaced by another with its address."""

SENDERS_MAX = 256
CANDIDATES_MAX = 256
CONSTANTS_MAX = 64
RECENT_MAX = 64

HINT_PERIOD_NS: Interval = NS_PER_S // 4
"""The least time between two hints to one host."""

HINTED_MAX = 64

Claims = tuple[int, int, int]
"""What the digest does not cover: advbase, advskew, demotion."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Finding(Enum):
    """What the guard says of an authentic advert."""

    FRESH = "fresh"
    REPEATING = "repeating"
    """Its counter was heard before, and counts as constant from now on."""

    TWIN = "twin"
    """It was heard in the other family just now."""

    CHANGED = "changed"
    """Its counter may be repeated; sender or attacker changed the claims."""

    REPLAY = "replay"
    """It was sent before."""

    TAMPERED = "tampered"
    """It was sent before, with other claims."""

    STALE = "stale"
    """It is older than others of its sender, or than our start."""


REFUSED = frozenset((Finding.REPLAY, Finding.TAMPERED, Finding.STALE))


class Verdict(NamedTuple):
    """A finding; `probe` is True if a refused advert may be a genuine master's.

    A master that went back in time repeats its counters, each of them once.
    """

    finding: Finding
    probe: bool = False


class Guard:
    """The memory of one group.  `start` is the time of its counter at the start.

    Instants must not decrease.
    """

    def __init__(self, start: int) -> None:
        self._marked = MarkedMemory(start)
        self._unmarked = UnmarkedMemory()
        self._probed: _Table[int, None] = _Table(RECENT_MAX)
        self._hinted_at: _Table[tuple[Address, int], Instant] = _Table(HINTED_MAX)

    def examine(self, advert: AdvertReceived, now: Instant) -> Verdict:
        """Return what the rules above say of `advert`, and remember what they name."""
        stamp = split(advert.counter)
        if stamp is not None:
            return Verdict(self._marked.examine(advert, stamp))
        finding = self._unmarked.examine(advert, now)
        probe = finding in REFUSED and advert.counter not in self._probed
        if probe:
            self._probed.put(advert.counter, None)
        return Verdict(finding, probe)

    def note_deaf_until(self, time: int) -> None:
        """Refuse what this host, without a link, missed before `time` (1/32 s).

        A sender that was started again meanwhile has another id, and nothing newer
        under its old one would come.
        """
        self._marked.raise_floor(time)

    def note_sent(self, counter: int) -> None:
        """Remember a counter of our own: an attacker may send it back."""
        stamp = split(counter)
        assert stamp is not None  # all of ours are marked
        self._marked.note(stamp)

    def hint(self, counter: int, source: Address, now: Instant) -> int | None:
        """Return the counter that `source` has to exceed, after a stale `counter`.

        None if it was told within `HINT_PERIOD_NS`, or if so many others were that they
        may be one attacker under many addresses.
        """
        stamp = split(counter)
        assert stamp is not None  # only marked ones are stale
        _, number = stamp
        told_at = self._hinted_at.get((source, number))
        if told_at is None and len(self._hinted_at) == HINTED_MAX:
            told_at = next(iter(self._hinted_at.values()))
        if told_at is not None and now - told_at < HINT_PERIOD_NS:
            return None
        self._hinted_at.put((source, number), now)
        return join(self._marked.latest(number), number)


class MarkedMemory:
    """The times of each id, heard or sent, that are in its window."""

    def __init__(self, start: int) -> None:
        self._floor = 0
        self.raise_floor(start)
        self._times: list[frozenset[int]] = [frozenset()] * IDS
        self._claims: _Table[int, Claims] = _Table(RECENT_MAX)

    def examine(self, advert: AdvertReceived, stamp: Stamp) -> Finding:
        """Return what rules 1 to 3 say, and remember what they name."""
        claims = _claims(advert)
        if self._is_new(stamp):  # 1
            self.note(stamp)
            self._claims.put(advert.counter, claims)
            return Finding.FRESH
        known = self._claims.get(advert.counter)
        if known is not None:  # 2
            return Finding.REPLAY if known == claims else Finding.TAMPERED
        return Finding.STALE  # 3

    def raise_floor(self, time: int) -> None:
        """Refuse from now on what is older than `time`, less `START_SLACK`."""
        self._floor = max(self._floor, time - START_SLACK)

    def latest(self, number: int) -> int:
        """Return the latest time of an id, at least the floor."""
        return max((self._floor, *self._times[number]))

    def note(self, stamp: Stamp) -> None:
        """Remember a time, and forget those that the window has passed."""
        time, number = stamp
        times = self._times[number] | {time}
        begin = max(times) - WINDOW
        self._times[number] = frozenset(each for each in times if each > begin)

    def _is_new(self, stamp: Stamp) -> bool:
        time, number = stamp
        begin = max(self._floor, self.latest(number) - WINDOW)
        return time > begin and time not in self._times[number]


@dataclass(slots=True)
class Sender:
    """A source of unmarked adverts, and the instant of its last new counter.

    `changes` is True if it is known to change its counter.
    """

    fresh_at: Instant
    changes: bool = False


@dataclass(slots=True)
class Candidate:
    """A counter that may be constant.  Its sender is never silent for `silence_ns`."""

    source: Address
    since: Instant
    claims: Claims
    silence_ns: Interval
    repeats: int = 0


@dataclass(slots=True)
class Constant:
    """A constant counter; `counted` is how far others have counted on from it since."""

    counter: int
    claims: Claims
    counted: int = 0

    def distance(self, counter: int) -> int:
        """Return how far `counter` is ahead of this one."""
        return (counter - self.counter) % COUNTERS


class UnmarkedMemory:
    """The unmarked counters that were heard, and what is known of their senders."""

    def __init__(self) -> None:
        self._heard: _Table[int, Claims] = _Table(REMEMBERED)
        self._senders: _Table[Address, Sender] = _Table(SENDERS_MAX)
        self._candidates: _Table[int, Candidate] = _Table(CANDIDATES_MAX)
        self._constants: _Table[int, Constant] = _Table(CONSTANTS_MAX)
        self._single: _Table[int, tuple[Family, Instant]] = _Table(RECENT_MAX)

    def examine(self, advert: AdvertReceived, now: Instant) -> Finding:
        """Return what rules 4 to 10 say, and remember what they name."""
        counter, claims = advert.counter, _claims(advert)
        constant = self._constants.get(counter)
        if constant is not None:  # 4
            self._constants.put(counter, Constant(counter, claims))
            return Finding.FRESH if constant.claims == claims else Finding.CHANGED
        candidate = self._candidates.get(counter)
        if candidate is not None and self._is_repeated_enough(candidate, now):  # 5
            del self._candidates[counter]
            self._constants.put(counter, Constant(counter, claims))
            return Finding.REPEATING
        if candidate is not None:  # 6
            candidate.repeats += 1
            self._candidates.put(counter, candidate)
            return Finding.FRESH if candidate.claims == claims else Finding.CHANGED
        known, origin = self._heard.get(counter), self._origin(counter)
        if origin is not None:
            origin.counted = origin.distance(counter)
        if known is not None and origin is not None:  # 7
            return Finding.FRESH if known == claims else Finding.CHANGED
        if known == claims and self._is_twin(advert, now):  # 8
            del self._single[counter]
            return Finding.TWIN
        if known is not None:  # 9
            return Finding.REPLAY if known == claims else Finding.TAMPERED
        self._heard.put(counter, claims)  # 10
        self._single.put(counter, (advert.family, now))
        self._note_sender(advert, now)
        return Finding.FRESH

    def _is_repeated_enough(self, candidate: Candidate, now: Instant) -> bool:
        """True if this repeat is the last one that it takes."""
        sender = self._senders.get(candidate.source)
        return (
            candidate.repeats + 1 >= REPEATS_MIN
            and now - candidate.since >= candidate.silence_ns
            and (sender is None or sender.fresh_at == candidate.since)
        )

    def _is_twin(self, advert: AdvertReceived, now: Instant) -> bool:
        """True if this advert was heard just now, in the other family alone.

        Its source proves nothing: it is not signed, and differs between the families.
        """
        family, heard_at = self._single.get(advert.counter, (advert.family, now))
        longest_ns = min(advert.interval_ns // 4, TWIN_NS)
        return family is not advert.family and now - heard_at <= longest_ns

    def _origin(self, counter: int) -> Constant | None:
        """Return the constant counter that `counter` counts on from, if any.

        ucarp and FreeBSD begin again behind the counter of an OpenBSD whenever they
        hear it, and go on from there without a step back.
        """
        for constant in self._constants.values():
            if constant.counted < constant.distance(counter) <= COUNTED_MAX:
                return constant
        return None

    def _note_sender(self, advert: AdvertReceived, now: Instant) -> None:
        """Remember when the sender of a new counter was heard, and its habit."""
        source, silence_ns = advert.source, _silence_ns(advert)
        sender = self._senders.get(source) or Sender(now)
        gap_ns = now - sender.fresh_at
        if gap_ns > max(silence_ns, REPLACED_NS):
            # A constant-counter host may have the address now.
            sender.changes = False
        elif 0 < gap_ns <= _pace_ns(advert):
            # After a longer time, it may be an OpenBSD that was restarted.
            sender.changes = True
            for counter, other in list(self._candidates.items()):
                if other.source == source:
                    del self._candidates[counter]
        if not sender.changes:
            candidate = Candidate(source, now, _claims(advert), silence_ns)
            self._candidates.put(advert.counter, candidate)
        sender.fresh_at = now
        self._senders.put(source, sender)


class _Table(dict[_K, _V]):
    """A dict of at most `length_max` entries: the oldest makes room for another."""

    def __init__(self, length_max: int) -> None:
        super().__init__()
        self._length_max = length_max

    def put(self, key: _K, value: _V) -> None:
        """Put an entry at the end."""
        self.pop(key, None)
        if len(self) >= self._length_max:
            del self[next(iter(self))]
        self[key] = value


def _claims(advert: AdvertReceived) -> Claims:
    return advert.advbase, advert.advskew, advert.demotion


def _silence_ns(advert: AdvertReceived) -> Interval:
    """Return a time that is longer than any silence of a live sender."""
    return max(advert.interval_ns * 5 // 2, NS_PER_S)


def _pace_ns(advert: AdvertReceived) -> Interval:
    """Return a time in which a live sender adverts again, but no restarted host."""
    return max(advert.interval_ns * 5 // 4, NS_PER_S)
