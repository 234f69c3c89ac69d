"""The replay guard: was this advert sent before?

The digest of an advert covers its counter, but not its sender, its time or its claims
(advbase, advskew, demotion).  An attacker can send a captured advert again, with other
claims, but cannot sign another counter.  So the guard, which is asked after the digest,
looks at counters.  These are its rules; the first row that fits decides.

A marked counter (see `counter`) carries a time and an id.  Each id has a window, which
ends at its newest time (RFC 4303, 3.4.3, has the same for IPsec):

    time of the counter                       finding   remembered
    newer than the window                     fresh     the time, the claims
    in the window, not heard                  fresh     the time, the claims
    heard or too old, with known claims       replay
    heard or too old, with other claims       tampered
    heard or too old, claims not known        stale

At the start, the newest time is that of the guard's own start: adverts from before a
restart are refused.

Any other counter has no order.  OpenBSD and OPNsense repeat one counter in all adverts:

    counter                                   finding    remembered
    constant, with the claims of last time    fresh
    constant, with other claims               changed    the claims
    candidate, repeated often enough          repeating  constant from now on
    candidate, with the same claims           fresh      one more repeat
    candidate, with other claims              changed    one more repeat
    not heard                                 fresh      counter, claims, sender
    heard, counts on from a constant one      fresh, or changed with other claims
    heard, with the same claims               replay     probe the master, once
    heard, with other claims                  tampered   probe the master, once

A new counter is a candidate until its sender is known to change its counter, which it
is once two new ones came within its pace.

All tables have a fixed size, and only an authentic new advert can push something out.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from carppcap.addresses import Address
from carppcap.election.events import AdvertReceived
from carppcap.node.counter import ID_BITS, IDS, UNITS_PER_S, join, split
from carppcap.units import NS_PER_S, Instant, Interval

START_SLACK = 4 * UNITS_PER_S
"""How much older than our start an advert may be: clocks differ, and an advert that was
sent before may arrive after."""

WINDOW = 4 * UNITS_PER_S
"""How far behind the newest time of its id an advert may come late."""

REMEMBERED = 1 << 14
"""Unmarked counters: 4.5 hours of one sender each second."""

REPEATS_MIN = 3
"""Repeats after which a counter counts as constant (OpenBSD)."""

COUNTED_MAX = 1 << 32
"""How far a sender may count on from a counter it has heard: 136 years of seconds."""

REPLACED_NS: Interval = 10 * NS_PER_S
"""The least time in which one host is replaced by another with its address."""

SENDERS_MAX = 256
CANDIDATES_MAX = 256
CONSTANTS_MAX = 64
RECENT_MAX = 64

HINT_PERIOD_NS: Interval = NS_PER_S // 4
"""The least time between two hints to one host."""

HINTED_MAX = 64

_WINDOW_MASK = (1 << WINDOW) - 1

Claims = tuple[int, int, int]
"""What the digest does not cover: advbase, advskew, demotion."""

T = TypeVar("T")


class Finding(Enum):
    """What the guard says of an authentic advert."""

    FRESH = "fresh"
    REPEATING = "repeating"
    """Its counter was heard before, and counts as constant from now on."""

    CHANGED = "changed"
    """Its counter is constant; sender or attacker changed the claims."""

    REPLAY = "replay"
    """It was sent before."""

    TAMPERED = "tampered"
    """It was sent before, with other claims."""

    STALE = "stale"
    """It is older than others of its sender, or than our start."""


REFUSED = frozenset((Finding.REPLAY, Finding.TAMPERED, Finding.STALE))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding; `probe` is True if a refused advert may be a genuine master's.

    A master that went back in time repeats its counters, each of them once.
    """

    finding: Finding
    probe: bool = False


@dataclass(slots=True)
class _Window:
    """The newest time of one id; bit n of `heard` is the time n units before it."""

    newest: int
    heard: int = _WINDOW_MASK

    def is_open_to(self, time: int) -> bool:
        behind = self.newest - time
        return behind < 0 or (behind < WINDOW and not self.heard >> behind & 1)

    def note(self, time: int) -> None:
        ahead = time - self.newest
        if ahead > 0:
            self.heard = (self.heard << min(ahead, WINDOW) | 1) & _WINDOW_MASK
            self.newest = time
        elif -ahead < WINDOW:
            self.heard |= 1 << -ahead


@dataclass(slots=True)
class _Sender:
    """A source of unmarked adverts: the instant of its last new counter, and whether it
    is known to change its counter."""

    fresh_at: Instant
    changes: bool = False


@dataclass(slots=True)
class _Candidate:
    """A counter that may be constant.  Its sender is never silent for `silence_ns`."""

    source: int
    since: Instant
    claims: Claims
    silence_ns: Interval
    repeats: int = 0


@dataclass(slots=True)
class _Constant:
    """A counter that its sender repeats, and how far others have counted on from it."""

    counter: int
    claims: Claims
    counted: int = 0

    def distance(self, counter: int) -> int:
        return (counter - self.counter) % (1 << 64)


class Guard:
    """The memory of one group.  `start` is the time of its counter at the start."""

    def __init__(self, start: int) -> None:
        floor = max(0, start - START_SLACK)
        self._windows = [_Window(floor) for _ in range(IDS)]
        self._recent: dict[int, Claims] = {}
        self._heard: dict[int, Claims] = {}
        self._senders: dict[int, _Sender] = {}
        self._candidates: dict[int, _Candidate] = {}
        self._constants: dict[int, _Constant] = {}
        self._probed: dict[int, None] = {}
        self._hinted_at: dict[int, Instant] = {}

    def examine(self, advert: AdvertReceived, now: Instant) -> Verdict:
        """Return what the rules above say of `advert`, and remember what they name.

        Instants must not decrease.
        """
        counter, claims = advert.counter, _claims(advert)
        stamp = split(counter)
        if stamp is not None:
            return Verdict(self._examine_marked(counter, *stamp, claims))
        constant = self._constants.get(counter)
        if constant is not None:
            return Verdict(self._repeat_constant(constant, claims))
        candidate = self._candidates.get(counter)
        if candidate is not None:
            return Verdict(self._repeat_candidate(candidate, counter, claims, now))
        known, origin = self._heard.get(counter), self._origin(counter)
        if origin is not None:
            origin.counted = origin.distance(counter)
        if known is None:
            _keep(self._heard, counter, claims, REMEMBERED)
            self._note_sender(advert, now)
            return Verdict(Finding.FRESH)
        if origin is not None:
            return Verdict(Finding.FRESH if known == claims else Finding.CHANGED)
        is_first = counter not in self._probed
        if is_first:
            _keep(self._probed, counter, None, RECENT_MAX)
        finding = Finding.REPLAY if known == claims else Finding.TAMPERED
        return Verdict(finding, probe=is_first)

    def note_sent(self, counter: int) -> None:
        """Remember a counter of our own: an attacker may send it back."""
        stamp = split(counter)
        assert stamp is not None  # all of ours are marked
        time, number = stamp
        self._windows[number].note(time)

    def hint(self, counter: int, source: Address, now: Instant) -> int | None:
        """Return the counter that `source` has to exceed, after a stale `counter`.

        None if it was told within `HINT_PERIOD_NS`, or if so many others were that they
        may be one attacker under many names.
        """
        stamp = split(counter)
        assert stamp is not None  # only marked ones are stale
        _, number = stamp
        key = int(source) << ID_BITS | number
        is_full = len(self._hinted_at) >= HINTED_MAX and key not in self._hinted_at
        other = next(iter(self._hinted_at)) if is_full else key
        if now - self._hinted_at.get(other, now - HINT_PERIOD_NS) < HINT_PERIOD_NS:
            return None
        _keep(self._hinted_at, key, now, HINTED_MAX)
        return join(self._windows[number].newest, number)

    def _examine_marked(
        self, counter: int, time: int, number: int, claims: Claims
    ) -> Finding:
        window = self._windows[number]
        if window.is_open_to(time):
            window.note(time)
            _keep(self._recent, counter, claims, RECENT_MAX)
            return Finding.FRESH
        known = self._recent.get(counter)
        if known is None:
            return Finding.STALE
        return Finding.REPLAY if known == claims else Finding.TAMPERED

    def _repeat_constant(self, constant: _Constant, claims: Claims) -> Finding:
        _keep(self._constants, constant.counter, constant, CONSTANTS_MAX)
        finding = Finding.FRESH if constant.claims == claims else Finding.CHANGED
        constant.claims, constant.counted = claims, 0
        return finding

    def _repeat_candidate(
        self, candidate: _Candidate, counter: int, claims: Claims, now: Instant
    ) -> Finding:
        sender = self._senders.get(candidate.source)
        if sender is None or sender.fresh_at == candidate.since:
            candidate.repeats += 1
            span_ns = now - candidate.since
            if candidate.repeats >= REPEATS_MIN and span_ns >= candidate.silence_ns:
                del self._candidates[counter]
                constant = _Constant(counter, claims)
                _keep(self._constants, counter, constant, CONSTANTS_MAX)
                return Finding.REPEATING
        _keep(self._candidates, counter, candidate, CANDIDATES_MAX)
        return Finding.FRESH if candidate.claims == claims else Finding.CHANGED

    def _origin(self, counter: int) -> _Constant | None:
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
        source, silence_ns = int(advert.source), _silence_ns(advert)
        sender = self._senders.get(source)
        # After such a silence a constant-counter host may have the address.
        if sender is None or now - sender.fresh_at > max(silence_ns, REPLACED_NS):
            sender = _Sender(now)
        if not sender.changes:
            candidate = _Candidate(source, now, _claims(advert), silence_ns)
            _keep(self._candidates, advert.counter, candidate, CANDIDATES_MAX)
            # After a longer time, it may be an OpenBSD that was restarted.
            if sender.fresh_at < now <= sender.fresh_at + _pace_ns(advert):
                sender.changes = True
                for counter, other in list(self._candidates.items()):
                    if other.source == source:
                        del self._candidates[counter]
        sender.fresh_at = now
        _keep(self._senders, source, sender, SENDERS_MAX)


def _claims(advert: AdvertReceived) -> Claims:
    return advert.advbase, advert.advskew, advert.demotion


def _silence_ns(advert: AdvertReceived) -> Interval:
    """Return a time that is longer than any silence of a live sender."""
    return max(advert.interval_ns * 5 // 2, NS_PER_S)


def _pace_ns(advert: AdvertReceived) -> Interval:
    """Return a time in which a live sender adverts again, but no restarted host."""
    return max(advert.interval_ns * 5 // 4, NS_PER_S)


def _keep(table: dict[int, T], key: int, value: T, length_max: int) -> None:
    """Put `value` at the end of `table`; the oldest entry makes room if need be."""
    table.pop(key, None)
    if len(table) >= length_max:
        del table[next(iter(table))]
    table[key] = value
