"""The replay guard: was this advert sent before?

The digest of an advert covers its counter.  It does not cover its sender, its time or
its *claims*: advbase, advskew and demotion.  So an attacker can send a recorded advert
again, with its own claims or with other ones, but cannot sign another counter.  The
guard judges authentic adverts by their counters.

A *marked* counter was made by carppcap: it contains a time and an id (see `counter`).
For each id the guard remembers the times in a window, which ends at the latest time
heard.  A marked counter is *new* if its time is after the window, or is in the window
and was not heard (RFC 4303, 3.4.3, does the same for IPsec).  Times 4 s or more before
our start (`START_SLACK`) are not new, so adverts from before a restart are refused.
The claims of the last 64 new counters are remembered.

Every other counter is unmarked, and has no order:
 * A counter is *heard* if an advert with it was received before.
 * A counter is *constant* if its sender uses no other until it is restarted (OpenBSD).
 * A counter is a *candidate* if it may prove to be constant.  Every counter is one when
   it is first heard, unless its sender has sent two new ones within `_pace_ns`.
 * A candidate is *repeated enough* at its third repeat (`REPEATS_MIN`), if its sender
   has sent no other counter for 2.5 intervals.
 * A counter *continues* a constant one if it is a little larger.  ucarp and FreeBSD
   count on from a counter that they hear.  Each time they hear a constant counter, they
   count on from it again, so they repeat counters.
 * An advert is a *twin* if it was heard just before in the other family.  jcarp sends
   each advert in both families, so a twin is no replay (see `events.TwinReceived`).
 * A refused advert is *probed* if its sender may be a genuine master: we then ask that
   sender for a new advert.  This happens only once for each counter.

The first rule that fits decides.  The finding depends on whether the claims are those
that were remembered with the counter.  The last column is what is then remembered:

       counter                         same claims  other claims  remembered
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
from typing import NamedTuple

from carppcap.addresses import Address, Family
from carppcap.election.events import AdvertReceived
from carppcap.node.bounded_table import BoundedTable
from carppcap.node.counter import COUNTERS, IDS, UNITS_PER_S, Stamp, join, split
from carppcap.node.findings import REFUSED, Finding
from carppcap.node.hints import HintLimit
from carppcap.units import NS_PER_S, Instant, Interval

START_SLACK = 4 * UNITS_PER_S
"""How much earlier than our start the time of an accepted advert may be, in 1/32 s.
Clocks differ, and an advert sent before our start may arrive after it."""

WINDOW = 4 * UNITS_PER_S
"""How much earlier than the latest advert with its id an advert may be, in 1/32 s."""

REMEMBERED = 1 << 14
"""Number of unmarked counters remembered: 4.5 hours with one advert each second."""

REPEATS_MIN = 3
"""Number of repeats after which a counter may count as constant (OpenBSD)."""

COUNTED_MAX = 1 << 32
"""How far a sender may count on from a counter it has heard: 136 years of seconds."""

TWIN_NS: Interval = NS_PER_S // 4
"""The longest time between an advert and its twin, however long the interval is."""

REPLACED_NS: Interval = 10 * NS_PER_S
"""The shortest silence of a sender after which another host may have its address."""

SENDERS_MAX = 256
CANDIDATES_MAX = 256
CONSTANTS_MAX = 64
RECENT_MAX = 64

Claims = tuple[int, int, int]
"""advbase, advskew and demotion of an advert, which its digest does not cover."""


class Verdict(NamedTuple):
    """A finding about an advert, and whether to probe its sender.

    `probe` is True if the advert is refused and may come from a genuine master.  Such a
    master was restored from a snapshot, so it repeats old counters, each of them once.
    """

    finding: Finding
    probe: bool = False


class Guard:
    """The replay guard of one group.

    `start` is the time of our start, in units of 1/32 s since 2020.  Instants must not
    decrease.
    """

    def __init__(self, start: int) -> None:
        self._marked = MarkedMemory(start)
        self._unmarked = UnmarkedMemory()
        self._probed: BoundedTable[int, None] = BoundedTable(RECENT_MAX)
        self._hints = HintLimit()

    def examine(self, advert: AdvertReceived, now: Instant) -> Verdict:
        """Apply the rules of this module to `advert`; return the verdict."""
        stamp = split(advert.counter)
        if stamp is not None:
            return Verdict(self._marked.examine(advert, stamp))
        finding = self._unmarked.examine(advert, now)
        probe = finding in REFUSED and advert.counter not in self._probed
        if probe:
            self._probed.put(advert.counter, None)
        return Verdict(finding, probe)

    def examine_solicitation(self, counter: int) -> Finding:
        """Return FRESH, REPLAY or STALE, by rules 1 to 3 of this module.

        All senders of solicitations have marked counters, so any other is a REPLAY.
        """
        stamp = split(counter)
        return Finding.REPLAY if stamp is None else self._marked.take(stamp)

    def note_deaf_until(self, time: int) -> None:
        """Refuse adverts from before `time` (1/32 s since 2020), when we had no link.

        We did not hear those adverts, so an attacker may have recorded them for a
        replay.  They become stale when their sender sends a newer one.  But if the
        sender was restarted, it has another id, so they would never become stale.
        """
        self._marked.raise_floor(time)

    def note_sent(self, counter: int) -> None:
        """Remember a counter of ours, since an attacker may send our advert again."""
        stamp = split(counter)
        assert stamp is not None  # all of ours are marked
        self._marked.note(stamp)

    def hint(self, counter: int, source: Address, now: Instant) -> int | None:
        """Return the counter for a hint to `source`, which sent the stale `counter`.

        Return None if there are too many hints (see `HintLimit`).
        """
        stamp = split(counter)
        assert stamp is not None  # only marked ones are stale
        _, number = stamp
        if not self._hints.admit(source, number, now):
            return None
        return join(self._marked.latest(number), number)


class MarkedMemory:
    """Remembers marked counters: for each id the times heard or sent in its window."""

    def __init__(self, start: int) -> None:
        self._floor = 0
        self.raise_floor(start)
        self._times: list[frozenset[int]] = [frozenset()] * IDS
        self._claims: BoundedTable[int, Claims] = BoundedTable(RECENT_MAX)

    def take(self, stamp: Stamp) -> Finding:
        """Return FRESH and remember `stamp` if it is new; otherwise REPLAY or STALE."""
        time, number = stamp
        if self._is_new(stamp):
            self.note(stamp)
            return Finding.FRESH
        return Finding.REPLAY if time in self._times[number] else Finding.STALE

    def examine(self, advert: AdvertReceived, stamp: Stamp) -> Finding:
        """Apply rules 1 to 3 of this module to `advert`; return the finding."""
        claims = _claims(advert)
        if self.take(stamp) is Finding.FRESH:  # 1
            self._claims.put(advert.counter, claims)
            return Finding.FRESH
        known = self._claims.get(advert.counter)
        if known is not None:  # 2
            return Finding.REPLAY if known == claims else Finding.TAMPERED
        return Finding.STALE  # 3

    def raise_floor(self, time: int) -> None:
        """Refuse from now on all times up to `START_SLACK` before `time` (1/32 s)."""
        self._floor = max(self._floor, time - START_SLACK)

    def latest(self, number: int) -> int:
        """Return the latest remembered time of the id `number`.

        If that is not above the floor, return the floor: times up to the floor are
        refused.
        """
        return max((self._floor, *self._times[number]))

    def note(self, stamp: Stamp) -> None:
        """Remember the time in `stamp`; forget times of its id that left the window."""
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
    """A sender of unmarked counters; `fresh_at` is when its last new counter was heard.

    `changes` is True if the sender is known to change its counter.
    """

    fresh_at: Instant
    changes: bool = False


@dataclass(slots=True)
class Candidate:
    """A counter that may prove to be constant; `source` is its sender.

    It was first heard at `since` and was repeated `repeats` times.  It counts as
    constant if `source` sends no other counter for `silence_ns`.
    """

    source: Address
    since: Instant
    claims: Claims
    silence_ns: Interval
    repeats: int = 0


@dataclass(slots=True)
class Constant:
    """A constant counter; `counted` is how far other senders counted on from it."""

    counter: int
    claims: Claims
    counted: int = 0

    def distance(self, counter: int) -> int:
        """Return how far `counter` is ahead of this one."""
        return (counter - self.counter) % COUNTERS


class UnmarkedMemory:
    """Remembers the unmarked counters that were heard, and their senders."""

    def __init__(self) -> None:
        self._heard: BoundedTable[int, Claims] = BoundedTable(REMEMBERED)
        self._senders: BoundedTable[Address, Sender] = BoundedTable(SENDERS_MAX)
        self._candidates: BoundedTable[int, Candidate] = BoundedTable(CANDIDATES_MAX)
        self._constants: BoundedTable[int, Constant] = BoundedTable(CONSTANTS_MAX)
        self._single: BoundedTable[int, tuple[Family, Instant]] = BoundedTable(
            RECENT_MAX
        )

    def examine(self, advert: AdvertReceived, now: Instant) -> Finding:
        """Apply rules 4 to 10 of this module to `advert`; return the finding."""
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
        """True if the same advert was heard just before, and only in the other family.

        The source address is not compared: it differs between the families and is not
        signed.
        """
        family, heard_at = self._single.get(advert.counter, (advert.family, now))
        longest_ns = min(advert.interval_ns // 4, TWIN_NS)
        return family is not advert.family and now - heard_at <= longest_ns

    def _origin(self, counter: int) -> Constant | None:
        """Return the constant counter that `counter` continues, or None.

        Each time ucarp or FreeBSD hears the constant counter of OpenBSD, it counts on
        from that counter again.  In between it only counts upwards.
        """
        for constant in self._constants.values():
            if constant.counted < constant.distance(counter) <= COUNTED_MAX:
                return constant
        return None

    def _note_sender(self, advert: AdvertReceived, now: Instant) -> None:
        """Record a new counter, and whether its sender changes its counters."""
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


def _claims(advert: AdvertReceived) -> Claims:
    return advert.advbase, advert.advskew, advert.demotion


def _silence_ns(advert: AdvertReceived) -> Interval:
    """Return 2.5 intervals, at least 1 s: a live sender is never silent for so long."""
    return max(advert.interval_ns * 5 // 2, NS_PER_S)


def _pace_ns(advert: AdvertReceived) -> Interval:
    """Return 1.25 intervals, at least 1 s: a live sender sends its next advert by then.

    A host that is restarted needs longer to send its next advert.
    """
    return max(advert.interval_ns * 5 // 4, NS_PER_S)
