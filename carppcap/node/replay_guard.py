"""The replay guard: was this advert sent before?

A digest covers the counter and not who sent it when, with which settings: whoever has
captured an advert can send it again, with any advbase, advskew and demotion.  He can
make none with another counter.  So the guard, which is asked after the digest was
found right, looks at counters, and at nothing that an attacker may choose:

Marked counters, those of `sequence`, carry a time and an id.  For each id the guard
keeps the highest time and which of the last few before it were heard; what is older,
or was heard, is refused.  At first the highest time is that of its own start, so that
adverts from before a restart are refused.  What comes late is taken once.

Other counters are remembered, tens of thousands of them.  One that is heard again is
refused, unless its sender may be one that repeats its counter, as OpenBSD does and
honestly so: one that was not heard to change it just before.  Such a sender is found
out by its regular repetitions, and exempt from then on; so is what others count on
from such a counter.

All tables have a fixed size, and only an authentic advert that is new can push
something out of them.
"""

from enum import Enum

from carppcap.addresses import Address
from carppcap.election.events import AdvertReceived
from carppcap.node.counter import ID_BITS, IDS, UNITS_PER_S, join, split
from carppcap.units import NS_PER_S, Instant, Interval

TYPE_CHECKING = False
if TYPE_CHECKING:  # For mypy alone: typing would cost the daemon 0.4 MB.
    from typing import Any

START_SLACK = 4 * UNITS_PER_S
"""How much older than our start an advert may claim to be: no two clocks agree, and
what was sent before may arrive after."""

WINDOW = 4 * UNITS_PER_S
"""How far behind the highest time of its id an advert may come late."""

REMEMBERED = 1 << 14
"""Unmarked counters, by their low bits: 4.5 hours of one sender each second, for which
there is just enough memory."""

REPEATS_MIN = 3
"""Repetitions that make a sender one which repeats its counter."""

COUNTED_MAX = 1 << 32
"""How far somebody may count on from a counter he has heard: 136 years of seconds."""

REPLACED_NS: Interval = 10 * NS_PER_S
"""Nobody puts another host in place of one, with its address, in less time."""

SENDERS_MAX = 256
CANDIDATES_MAX = 256
CONSTANTS_MAX = 64
RECENT_MAX = 64

HINT_PERIOD_NS: Interval = NS_PER_S // 4
"""The least time between two hints to one host."""

HINTED_MAX = 64

_WINDOW_MASK = (1 << WINDOW) - 1
_CLAIMS_PRIME = 16381
"""Below 2**14: an entry has 14 bits for the claims beside 50 of the counter."""


class Finding(Enum):
    """What the guard says of an authentic advert."""

    FRESH = "fresh"
    REPEATING = "repeating"
    """It was heard before, and its sender now counts as one that repeats counters."""

    CHANGED = "changed"
    """So, but what is not in the digest was changed: by its sender, or by another."""

    REPLAY = "replay"
    """It was heard before."""

    TAMPERED = "tampered"
    """It was heard before, with another advbase, advskew or demotion."""

    STALE = "stale"
    """It is older than others of its sender, or than we are."""


REFUSED = frozenset((Finding.REPLAY, Finding.TAMPERED, Finding.STALE))


class _Sender:
    """A source of unmarked adverts: when its counter was a new one the last time, and
    whether that was soon after the time before."""

    __slots__ = ("changes", "fresh_at")

    def __init__(self, fresh_at: Instant) -> None:
        self.fresh_at = fresh_at
        self.changes = False


class _Candidate:
    """A counter that may be repeated: by whom and since when, claiming what."""

    __slots__ = ("claims", "patience_ns", "repeats", "since", "source")

    def __init__(
        self, source: int, since: Instant, claims: int, patience_ns: Interval
    ) -> None:
        self.source = source
        self.since = since
        self.claims = claims
        self.patience_ns = patience_ns
        self.repeats = 0


class _Constant:
    """A counter that is repeated: with which claims the last time, and how far others
    have counted on from it since."""

    __slots__ = ("claims", "counted")

    def __init__(self, claims: int) -> None:
        self.claims = claims
        self.counted = 0


class Guard:
    """The memory of one virtual host.  `start` is the time of its `Sequence` then."""

    def __init__(self, start: int) -> None:
        floor = max(0, start - START_SLACK)
        self._floors = [floor] * IDS
        self._heard = [_WINDOW_MASK] * IDS
        self._recent: dict[int, int] = {}
        self._memory: memoryview[int] | None = None
        self._senders: dict[int, _Sender] = {}
        self._candidates: dict[int, _Candidate] = {}
        self._constants: dict[int, _Constant] = {}
        self._steady: AdvertReceived | None = None
        self._steady_sender: _Sender | None = None
        self._steady_digest = 0
        self._asked: dict[int, None] = {}
        self._hinted_at: dict[int, Instant] = {}

    def admit(self, advert: AdvertReceived, counter: int, now: Instant) -> bool:
        """Take note of `advert`, as if it had `counter`, if it is plainly fresh.

        So is one of a sender that is known to repeat its counter, if it says what it
        said before.  Otherwise `judge` knows more, and nothing has changed.
        """
        if advert is self._steady and self._is_next(counter, now):
            return True
        stamp = split(counter)
        if stamp is None:
            return self._remember(advert, counter, now)
        if not self._mark_heard(*stamp):
            return False
        _keep(self._recent, counter, _claims(advert), RECENT_MAX)
        return True

    def judge(self, advert: AdvertReceived, now: Instant) -> Finding:
        """What to think of `advert`, and take note of it."""
        counter = advert.counter
        if self.admit(advert, counter, now):
            return Finding.FRESH
        if split(counter) is None:
            return self._judge_repetition(advert, now)
        known = self._recent.get(counter)
        if known is None:
            return Finding.STALE
        return Finding.REPLAY if known == _claims(advert) else Finding.TAMPERED

    def sent(self, counter: int) -> None:
        """Take note of a counter of our own: it may come back, too."""
        stamp = split(counter)
        assert stamp is not None  # all of ours are marked
        self._mark_heard(*stamp)

    def hint(self, counter: int, source: Address, now: Instant) -> int | None:
        """What to tell `source` of its stale counter; None: it was told just now.

        Or too many others were, who may be one attacker under many names.
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
        return join(self._floors[number], number)

    def is_worth_a_question(self, counter: int) -> bool:
        """Whether a refused advert may be that of an honest host, gone back in time.

        Such a one repeats its counters one after the other, never the same again.
        """
        if split(counter) is not None or counter in self._asked:
            return False
        _keep(self._asked, counter, None, RECENT_MAX)
        return True

    # Marked counters.

    def _mark_heard(self, time: int, number: int) -> bool:
        """Whether it had not been heard, and was not too old, before this."""
        floor, heard = self._floors[number], self._heard[number]
        if time > floor:
            ahead = time - floor
            self._heard[number] = (
                1 if ahead >= WINDOW else (heard << ahead | 1) & _WINDOW_MASK
            )
            self._floors[number] = time
            return True
        behind = floor - time
        if behind >= WINDOW or heard >> behind & 1:
            return False
        self._heard[number] = heard | 1 << behind
        return True

    # Other counters.

    def _is_next(self, counter: int, now: Instant) -> bool:
        """The same as `_remember` finds of a sender that changes its counter.

        In a file of millions there is no time to find the sender and all it claims
        again and again.
        """
        sender, memory = self._steady_sender, self._memory
        assert sender is not None
        assert memory is not None
        index = counter % REMEMBERED
        if (
            memory[index] // REMEMBERED == counter // REMEMBERED
            or now - sender.fresh_at > REPLACED_NS
            or self._constants
            or counter in self._candidates
            or split(counter) is not None
        ):
            return False
        memory[index] = counter - index + self._steady_digest
        sender.fresh_at = now
        return True

    def _remember(self, advert: AdvertReceived, counter: int, now: Instant) -> bool:
        constant = self._constants.get(counter)
        if constant is not None:
            _keep(self._constants, counter, constant, CONSTANTS_MAX)
            constant.counted = 0
            return constant.claims == _claims(advert)
        if counter in self._candidates:
            return False
        if self._memory is None:
            self._memory = memoryview(bytearray(8 * REMEMBERED)).cast("Q")
        index = counter % REMEMBERED
        entry = self._memory[index]
        # The low bits of an entry in use are not 0.
        if entry // REMEMBERED == counter // REMEMBERED and entry % REMEMBERED:
            return False
        self._memory[index] = counter - index + _digest_of(_claims(advert))
        self._counts_on(counter)
        self._note_sender(advert, counter, now)
        return True

    def _note_sender(self, advert: AdvertReceived, counter: int, now: Instant) -> None:
        source = int(advert.source)
        sender = self._senders.get(source)
        patience_ns = _patience(advert)
        # After such a silence another host may have the address, one that repeats.
        if sender is None or now - sender.fresh_at > max(patience_ns, REPLACED_NS):
            sender = _Sender(now)
        if not sender.changes:
            candidate = _Candidate(source, now, _claims(advert), patience_ns)
            _keep(self._candidates, counter, candidate, CANDIDATES_MAX)
            # Later than that it may be OpenBSD, started again.
            if sender.fresh_at < now <= sender.fresh_at + _pace(advert):
                sender.changes = True
                self._forget_candidates(source)
        sender.fresh_at = now
        _keep(self._senders, source, sender, SENDERS_MAX)
        if sender.changes:
            self._steady, self._steady_sender = advert, sender
            self._steady_digest = _digest_of(_claims(advert))

    def _forget_candidates(self, source: int) -> None:
        for counter in [c for c, it in self._candidates.items() if it.source == source]:
            del self._candidates[counter]

    def _judge_repetition(self, advert: AdvertReceived, now: Instant) -> Finding:
        counter, claims = advert.counter, _claims(advert)
        constant = self._constants.get(counter)
        if constant is not None:
            constant.claims = claims
            return Finding.CHANGED
        candidate = self._candidates.get(counter)
        if candidate is not None:
            return self._judge_candidate(candidate, advert, now)
        assert self._memory is not None  # it was found there
        known = self._memory[counter % REMEMBERED] % REMEMBERED
        is_same = known == _digest_of(claims)
        if self._counts_on(counter):
            return Finding.FRESH if is_same else Finding.CHANGED
        return Finding.REPLAY if is_same else Finding.TAMPERED

    def _counts_on(self, counter: int) -> bool:
        """Whether an original or FreeBSD may have sent it, next to one that repeats.

        They begin anew behind the counter of OpenBSD whenever they have heard it, and
        go on from there without a step back.
        """
        for first, constant in self._constants.items():
            ahead = (counter - first) % (1 << 64)
            if constant.counted < ahead <= COUNTED_MAX:
                constant.counted = ahead
                return True
        return False

    def _judge_candidate(
        self, candidate: _Candidate, advert: AdvertReceived, now: Instant
    ) -> Finding:
        counter, claims = advert.counter, _claims(advert)
        sender = self._senders.get(candidate.source)
        if sender is None or sender.fresh_at == candidate.since:
            candidate.repeats += 1
            span_ns = now - candidate.since
            if candidate.repeats >= REPEATS_MIN and span_ns >= candidate.patience_ns:
                del self._candidates[counter]
                _keep(self._constants, counter, _Constant(claims), CONSTANTS_MAX)
                return Finding.REPEATING
        _keep(self._candidates, counter, candidate, CANDIDATES_MAX)
        return Finding.FRESH if claims == candidate.claims else Finding.CHANGED


def _claims(advert: AdvertReceived) -> int:
    """What its digest does not cover, in one number."""
    return advert.demotion << 16 | advert.advbase << 8 | advert.advskew


def _digest_of(claims: int) -> int:
    """1 to 16381, less than `REMEMBERED`; one in 16381 other claims has the same."""
    return claims % _CLAIMS_PRIME + 1


def _patience(advert: AdvertReceived) -> Interval:
    """Longer than a live sender is silent."""
    return max(advert.interval_ns * 5 // 2, NS_PER_S)


def _pace(advert: AdvertReceived) -> Interval:
    """In which a live sender speaks again, and nobody is started again and speaks."""
    return max(advert.interval_ns * 5 // 4, NS_PER_S)


def _keep(table: "dict[int, Any]", key: int, value: object, length_max: int) -> None:
    """Put it at the end; the first makes room where there is none."""
    table.pop(key, None)
    if len(table) >= length_max:
        del table[next(iter(table))]
    table[key] = value
