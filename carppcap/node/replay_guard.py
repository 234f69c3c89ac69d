"""The replay guard: was this advert sent before?

The digest of an advert covers its counter.  It does not cover its sender, its time or
its *claims*: advbase, advskew and demotion.  So an attacker can send a recorded advert
again, also with other claims, but cannot sign another counter.  The guard examines
authentic adverts, and judges them by their counters.

A *marked* counter is one of carppcap's own kind: it carries a time and an id (see
`counter`).  Each id has a window of times, which ends at the latest time heard.  A
marked counter is *new* if its time is after the window, or is in the window and was not
heard (RFC 4303, 3.4.3, does the same for IPsec).  When the guard starts, the window of
each id ends at that moment, and no time in it is new.  So adverts from before a restart
are refused.

Every other counter is unmarked, and has no order:

 * A counter is *heard* if an advert with it was received before.
 * A counter is *constant* if its sender uses no other until it is restarted.  OpenBSD,
   pfSense and OPNsense do so.
 * A counter is a *candidate* if it may prove to be constant.  Every counter is one when
   it is first heard, unless its sender is known to change counters.  A sender is known
   to do so after two counters within `_pace_ns`.
 * A candidate is *repeated enough* after `REPEATS_MIN` repeats, if its sender used no
   other counter for 2.5 intervals.
 * A counter *continues* a constant one if it is a little larger.  ucarp and FreeBSD
   continue the counter of a peer.  They start again behind a constant counter whenever
   they hear it, so they repeat counters.
 * An advert is a *twin* if its counter was just heard in the other family.  jcarp sends
   each advert in both families.  A twin only shows that its family is heard, too
   (`events.TwinReceived`).
 * A refused advert is *probed* if its sender may be a genuine master, which is then
   asked for a new advert.  This happens once for each counter.

These are the rules.  The first that fits decides.  The finding depends on whether the
claims are those that were remembered with the counter:

       counter                         same claims  other claims  then remembered
    1  marked, new                     fresh        fresh         its time, its claims
    2  marked, one of the last 64      replay       tampered
    3  marked                          stale        stale

    4  constant                        fresh        changed       its claims
    5  candidate, repeated enough      repeating    repeating     that it is constant
    6  candidate                       fresh        changed       one more repeat
    7  heard, continues a constant     fresh        changed       how far it continues
    8  heard just now, other family    twin         tampered      both families
    9  heard                           replay       tampered      that it was probed
    10 not heard                       fresh        fresh         it, claims, sender

Under rule 10, too, the guard remembers how far a counter continues a constant one.  All
tables have a fixed size.  Of a refused advert only the counter is stored, as probed.
"""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeVar

from carppcap.addresses import Address, Family
from carppcap.election.events import AdvertReceived
from carppcap.node.counter import COUNTERS, IDS, UNITS_PER_S, Stamp, join, split
from carppcap.units import NS_PER_S, Instant, Interval

START_SLACK = 4 * UNITS_PER_S
"""How much older than our start an advert may be.  Clocks differ, and an advert sent
before our start may arrive after it."""

WINDOW = 4 * UNITS_PER_S
"""The length of a window: how far a late advert may be behind the latest of its id."""

REMEMBERED = 1 << 14
"""Number of unmarked counters stored: 4.5 hours of a sender with one each second."""

REPEATS_MIN = 3
"""Repeats after which a counter counts as constant (OpenBSD)."""

COUNTED_MAX = 1 << 32
"""How far a sender may continue a counter it has heard: 136 years of seconds."""

TWIN_NS: Interval = NS_PER_S // 4
"""The longest time between an advert and its twin, also if its interval is long."""

REPLACED_NS: Interval = 10 * NS_PER_S
"""The least silence after which another host may have taken a sender's address."""

SENDERS_MAX = 256
CANDIDATES_MAX = 256
CONSTANTS_MAX = 64
RECENT_MAX = 64

HINT_PERIOD_NS: Interval = NS_PER_S // 4
"""The shortest time between two hints to one host."""

HINTED_MAX = 64

Claims = tuple[int, int, int]
"""advbase, advskew and demotion of an advert, which its digest does not cover."""

_K = TypeVar("_K")
_V = TypeVar("_V")


class Finding(Enum):
    """What the guard finds about an authentic advert."""

    FRESH = "fresh"
    REPEATING = "repeating"
    """Its counter was heard before, and counts as constant from now on."""

    TWIN = "twin"
    """It was just heard in the other family."""

    CHANGED = "changed"
    """Its counter may be repeated, but its claims changed; an attacker may have done
    that."""

    REPLAY = "replay"
    """It was sent before."""

    TAMPERED = "tampered"
    """It was sent before, with other claims."""

    STALE = "stale"
    """It is older than others of its sender, or than our start."""


REFUSED = frozenset((Finding.REPLAY, Finding.TAMPERED, Finding.STALE))


class Verdict(NamedTuple):
    """A finding.

    `probe` is True if the advert is refused and may come from a genuine master.  A
    master restored from a snapshot repeats its old counters, each of them once.
    """

    finding: Finding
    probe: bool = False


class Guard:
    """The replay guard of one group.

    `start` is the time at which the guard starts, in units of `counter`.  Instants
    must not decrease.
    """

    def __init__(self, start: int) -> None:
        self._marked = MarkedMemory(start)
        self._unmarked = UnmarkedMemory()
        self._probed: _Table[int, None] = _Table(RECENT_MAX)
        self._hinted_at: _Table[tuple[Address, int], Instant] = _Table(HINTED_MAX)

    def examine(self, advert: AdvertReceived, now: Instant) -> Verdict:
        """Return what the rules above find, and remember what they say."""
        stamp = split(advert.counter)
        if stamp is not None:
            return Verdict(self._marked.examine(advert, stamp))
        finding = self._unmarked.examine(advert, now)
        probe = finding in REFUSED and advert.counter not in self._probed
        if probe:
            self._probed.put(advert.counter, None)
        return Verdict(finding, probe)

    def note_deaf_until(self, time: int) -> None:
        """Refuse adverts from before `time` (1/32 s), when this host had no link.

        This host missed them.  If their sender was restarted meanwhile it has another
        id, so it sends no newer advert under the old id that would make them stale.
        """
        self._marked.raise_floor(time)

    def note_sent(self, counter: int) -> None:
        """Remember a counter of ours, since an attacker may send our advert again."""
        stamp = split(counter)
        assert stamp is not None  # all of ours are marked
        self._marked.note(stamp)

    def hint(self, counter: int, source: Address, now: Instant) -> int | None:
        """Return the counter that `source` has to exceed, after it sent `counter`.

        Return None if it got a hint less than `HINT_PERIOD_NS` ago, or if `HINTED_MAX`
        senders did: these may be one attacker with many addresses.
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
    """The marked counters: of each id, the times in its window, heard or sent."""

    def __init__(self, start: int) -> None:
        self._floor = 0
        self.raise_floor(start)
        self._times: list[frozenset[int]] = [frozenset()] * IDS
        self._claims: _Table[int, Claims] = _Table(RECENT_MAX)

    def examine(self, advert: AdvertReceived, stamp: Stamp) -> Finding:
        """Return what rules 1 to 3 find, and remember what they say."""
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
        """Refuse from now on all that is more than `START_SLACK` older than `time`."""
        self._floor = max(self._floor, time - START_SLACK)

    def latest(self, number: int) -> int:
        """Return the latest time of all counters with the id `number`.

        If there is none, return the floor: times up to the floor are refused.
        """
        return max((self._floor, *self._times[number]))

    def note(self, stamp: Stamp) -> None:
        """Remember the time of `stamp`; forget those that are now before the window."""
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
    """A sender of unmarked counters; `fresh_at` is the instant of its last new one.

    `changes` is True if the sender is known to change its counter.
    """

    fresh_at: Instant
    changes: bool = False


@dataclass(slots=True)
class Candidate:
    """A counter of `source` that may prove to be constant.

    If `source` sends no other counter for `silence_ns`, it does not change its counter.
    """

    source: Address
    since: Instant
    claims: Claims
    silence_ns: Interval
    repeats: int = 0


@dataclass(slots=True)
class Constant:
    """A constant counter; `counted` is how far others have continued it so far."""

    counter: int
    claims: Claims
    counted: int = 0

    def distance(self, counter: int) -> int:
        """Return how far `counter` is ahead of this one."""
        return (counter - self.counter) % COUNTERS


class UnmarkedMemory:
    """The unmarked counters that were heard, and what is known about their senders."""

    def __init__(self) -> None:
        self._heard: _Table[int, Claims] = _Table(REMEMBERED)
        self._senders: _Table[Address, Sender] = _Table(SENDERS_MAX)
        self._candidates: _Table[int, Candidate] = _Table(CANDIDATES_MAX)
        self._constants: _Table[int, Constant] = _Table(CONSTANTS_MAX)
        self._single: _Table[int, tuple[Family, Instant]] = _Table(RECENT_MAX)

    def examine(self, advert: AdvertReceived, now: Instant) -> Finding:
        """Return what rules 4 to 10 find, and remember what they say."""
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
        """True if this repeat proves that the candidate is a constant counter."""
        sender = self._senders.get(candidate.source)
        return (
            candidate.repeats + 1 >= REPEATS_MIN
            and now - candidate.since >= candidate.silence_ns
            and (sender is None or sender.fresh_at == candidate.since)
        )

    def _is_twin(self, advert: AdvertReceived, now: Instant) -> bool:
        """True if the same advert was just heard, and only in the other family.

        The source address is not compared.  It differs between the families, and it is
        not signed.
        """
        family, heard_at = self._single.get(advert.counter, (advert.family, now))
        longest_ns = min(advert.interval_ns // 4, TWIN_NS)
        return family is not advert.family and now - heard_at <= longest_ns

    def _origin(self, counter: int) -> Constant | None:
        """Return the constant counter that `counter` continues, or None.

        Whenever ucarp and FreeBSD hear the constant counter of an OpenBSD, they
        continue from there; until then they only count upwards.
        """
        for constant in self._constants.values():
            if constant.counted < constant.distance(counter) <= COUNTED_MAX:
                return constant
        return None

    def _note_sender(self, advert: AdvertReceived, now: Instant) -> None:
        """Note when a new counter was heard, and if its sender changes counters."""
        source, silence_ns = advert.source, _silence_ns(advert)
        sender = self._senders.get(source) or Sender(now)
        gap_ns = now - sender.fresh_at
        if gap_ns > max(silence_ns, REPLACED_NS):
            # Another host may have the address now, one with a constant counter.
            sender.changes = False
        elif 0 < gap_ns <= _pace_ns(advert):
            # It changes its counter.  After a longer gap it might have been restarted.
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
    """A dict of at most `length_max` entries: a new one displaces the oldest."""

    def __init__(self, length_max: int) -> None:
        super().__init__()
        self._length_max = length_max

    def put(self, key: _K, value: _V) -> None:
        """Set an entry, which is the newest from now on."""
        self.pop(key, None)
        if len(self) >= self._length_max:
            del self[next(iter(self))]
        self[key] = value


def _claims(advert: AdvertReceived) -> Claims:
    return advert.advbase, advert.advskew, advert.demotion


def _silence_ns(advert: AdvertReceived) -> Interval:
    """Return a time longer than a live sender is ever silent: 2.5 of its intervals."""
    return max(advert.interval_ns * 5 // 2, NS_PER_S)


def _pace_ns(advert: AdvertReceived) -> Interval:
    """Return a time long enough for a live sender to send its next advert.

    It is too short for a host to restart and send one.
    """
    return max(advert.interval_ns * 5 // 4, NS_PER_S)
