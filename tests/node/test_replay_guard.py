"""The replay guard: it refuses no genuine advert, and obeys no replay."""

import tracemalloc
from ipaddress import IPv4Address, IPv6Address
from itertools import count

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from carppcap.addresses import Address
from carppcap.election.events import AdvertReceived
from carppcap.node import replay_guard as module
from carppcap.node.counter import UNITS_PER_S, CounterSequence, join
from carppcap.node.findings import REFUSED, Finding
from carppcap.node.replay_guard import (
    CONSTANTS_MAX,
    REMEMBERED,
    START_SLACK,
    WINDOW,
    Guard,
)
from carppcap.units import NS_PER_S
from tests.builders import ns

A, B = IPv4Address("10.1.1.4"), IPv4Address("10.1.1.6")
A6 = IPv6Address("fe80::4")
START = 100_000
FRESH, REPEATING, CHANGED = Finding.FRESH, Finding.REPEATING, Finding.CHANGED
TWIN = Finding.TWIN
REPLAY, TAMPERED, STALE = Finding.REPLAY, Finding.TAMPERED, Finding.STALE

SOURCES: dict[str, Address] = {"": A, "B": B, "A6": A6}
FIRST = 0x1234_5678_9ABC_DEF0
"""An arbitrary counter.  Letters are counters after it, far from one another."""


def heard(
    counter: int, source: Address = A, base: int = 1, skew: int = 0, demotion: int = 0
) -> AdvertReceived:
    return AdvertReceived(source, base, skew, counter, demotion=demotion)


def examine(guard: Guard, advert: AdvertReceived, now: int) -> Finding:
    return guard.examine(advert, now).finding


def letter(name: str) -> int:
    return FIRST + ord(name) * 1_000_003


def findings(story: str, guard: Guard | None = None) -> list[Finding]:
    """Return the finding for each line of a story.

    `3.5 x@B 1/20+4` is an advert at 3.5 s, with counter x, from B, with advbase 1,
    advskew 20 and demotion 4.
    """
    guard = guard or Guard(START)
    result = []
    for line in story.strip().splitlines():
        second, what, claims, *_ = [*line.split(), "1/0"]
        name, _, source = what.partition("@")
        rank, _, demotion = claims.partition("+")
        base, skew = map(int, rank.split("/"))
        address = SOURCES[source]
        advert = heard(letter(name), address, base, skew, int(demotion or 0))
        result.append(examine(guard, advert, ns(float(second))))
    return result


STORIES = {
    "a sender that changes its counter may not repeat one": (
        "0 a\n 1 b\n 2 b\n 2 a\n 2 c\n 2 c\n 3 d\n 9 a",
        [FRESH, FRESH, REPLAY, REPLAY, FRESH, REPLAY, FRESH, REPLAY],
    ),
    "the source of a replay does not matter": (
        "0 a\n 1 b\n 2 b@B\n 2 a@B\n 2 a@A6",
        [FRESH, FRESH, REPLAY, REPLAY, REPLAY],
    ),
    "a replay with other claims is called tampered": (
        "0 a\n 1 b\n 2 c\n 3 d\n 4 d 0/1\n 4 a 1/1\n 4 b 255/255\n 4 c 1/0+1",
        [FRESH] * 4 + [TAMPERED] * 4,
    ),
    "other claims are obeyed until the sender is known to change its counter": (
        "0 a\n 0.5 a 255/255\n 0.5 a\n 1 b\n 1 b 0/1\n 1 a 0/1",
        [FRESH, CHANGED, FRESH, FRESH, TAMPERED, TAMPERED],
    ),
    "two adverts prove that a sender changes its counter": (
        "0 a\n 0.4 b\n 9 b\n 10 b\n 11 b\n 12 b 0/1",
        [FRESH, FRESH, REPLAY, REPLAY, REPLAY, TAMPERED],
    ),
    "a sender that has changed its counter may not repeat a later one": (
        "0 a\n 1 b\n 9 c\n 10 c\n 11 c\n 18 d\n 9001 d",
        [FRESH, FRESH, FRESH, REPLAY, REPLAY, FRESH, REPLAY],
    ),
    "three repeats prove a constant counter": (
        "0 a\n 1 a\n 2 a\n 3 a\n 4 a\n 4000 a",
        [FRESH, FRESH, FRESH, REPEATING, FRESH, FRESH],
    ),
    "repeats in less than 2.5 intervals prove nothing": (
        "0 a\n 0.1 a\n 0.2 a\n 2.4 a\n 2.5 a\n 2.6 a",
        [FRESH, FRESH, FRESH, FRESH, REPEATING, FRESH],
    ),
    "repeats in less than a second prove nothing": (
        "0 a 0/1\n 0.1 a 0/1\n 0.2 a 0/1\n 0.9 a 0/1\n 1 a 0/1",
        [FRESH] * 4 + [REPEATING],
    ),
    "time without repeats proves nothing": (
        "0 a\n 10 a\n 20 a\n 30 a",
        [FRESH, FRESH, FRESH, REPEATING],
    ),
    "the proof takes as long as the interval demands": (
        "0 a 3/0\n 3 a 3/0\n 6 a 3/0\n 7 a 3/0\n 7.5 a 3/0",
        [FRESH] * 4 + [REPEATING],
    ),
    "a constant counter in both families": (
        "0 a\n 0 a@A6\n 1 a\n 1 a@A6\n 2 a\n 2 a@A6\n 3 a\n 3 a@A6",
        [FRESH] * 6 + [REPEATING, FRESH],
    ),
    "a constant sender may change its claims, and that is reported": (
        "0 a\n 1 a\n 2 a\n 3 a\n 4 a 255/255\n 5 a 255/255\n 6 a 1/0+1",
        [FRESH] * 3 + [REPEATING, CHANGED, FRESH, CHANGED],
    ),
    "a constant sender may change its claims before the proof": (
        "0 a 1/0+128\n 1 a 1/0+1\n 2 a\n 3 a\n 4 a",
        [FRESH, CHANGED, CHANGED, REPEATING, FRESH],
    ),
    "a constant sender that is restarted has another counter": (
        "0 a\n 1 a\n 2 a\n 3 a\n 60 b\n 61 b\n 62 b\n 63 b\n 64 a\n 65 b",
        [FRESH] * 3 + [REPEATING] + [FRESH] * 3 + [REPEATING, FRESH, FRESH],
    ),
    "many restarts do not make a changing sender": (
        "0 a\n 60 b\n 120 c\n 180 d\n 240 e\n 241 e\n 242 e\n 243 e",
        [FRESH] * 7 + [REPEATING],
    ),
    "a second counter after more than 1.25 intervals proves nothing": (
        "0 a\n 1.26 b\n 3.51 b\n 3.51 a\n 4.51 a\n 5.51 a\n 6.51 a",
        [FRESH] * 7,
    ),
    "a second counter after 1.25 intervals proves a changing sender": (
        "0 a\n 1.25 b\n 3.5 b\n 3.5 a",
        [FRESH, FRESH, REPLAY, REPLAY],
    ),
    "replays with other claims do not prevent the proof": (
        "0 a\n 0.5 a 0/1\n 1 a\n 1.5 a 0/1\n 2 a\n 2.5 a 0/1",
        [FRESH, CHANGED, FRESH, CHANGED, FRESH, REPEATING],
    ),
    "a constant sender that changes its counter now may not repeat the new one": (
        "0 z\n 1 z\n 2 z\n 3 z\n 60 b\n 61 c\n 62 c\n 65 z",
        [FRESH] * 3 + [REPEATING] + [FRESH] * 2 + [REPLAY, FRESH],
    ),
    "after ten seconds of silence the sender is still known": (
        "0 z\n 1 y\n 2 y\n 11 x\n 12 x\n 13 x\n 14 x\n 15 z\n 16 y",
        [FRESH, FRESH, REPLAY, FRESH, REPLAY, REPLAY, REPLAY, REPLAY, REPLAY],
    ),
    "after more than ten seconds another host may have the address": (
        "0 a\n 1 b\n 2 b\n 11.5 z\n 12 z\n 13 z\n 14.5 z\n 15 a\n 16 c\n 17 c",
        [FRESH, FRESH, REPLAY, FRESH, FRESH, FRESH, REPEATING, REPLAY, FRESH, FRESH],
    ),
    "ucarp counts on from a constant counter again and again": (
        "0 a\n 1 a\n 2 a\n 3 a\n 60 b\n 61 c\n 70 a\n 90 b 0/1\n 91 c\n 92 d",
        [FRESH] * 3 + [REPEATING] + [FRESH] * 3 + [CHANGED, FRESH, FRESH],
    ),
    "what ucarp has counted on may not step back": (
        "0 a\n 1 a\n 2 a\n 3 a\n 60 b\n 61 c\n 62 b\n 63 c\n 64 c 0/1\n 65 d",
        [FRESH] * 3 + [REPEATING] + [FRESH] * 2 + [REPLAY] * 2 + [TAMPERED, FRESH],
    ),
    "ucarp counts on from a constant counter only while that is heard": (
        "0 a@B\n 1 a@B\n 2 a@B\n 3 a@B\n 4 b\n 5 c\n 6 d\n 7 a@B\n 8 b\n 9 c\n 10 c",
        [FRESH] * 3 + [REPEATING] + [FRESH] * 6 + [REPLAY],
    ),
    "a counter before the constant one does not count on from it": (
        "0 z@B\n 1 z@B\n 2 z@B\n 3 z@B\n 4 a\n 5 b\n 6 c\n 7 z@B\n 8 b\n 9 c",
        [FRESH] * 3 + [REPEATING] + [FRESH] * 4 + [REPLAY] * 2,
    ),
    "two senders that change their counters": (
        "0 a\n 1 b\n 2 c@B\n 3 d@B\n 4 c\n 5 e\n 6 d\n 7 e@B",
        [FRESH] * 4 + [REPLAY, FRESH, REPLAY, REPLAY],
    ),
    "a counter of a sender that may be constant, also from a changing one": (
        "0 a\n 1 b\n 2 c@B\n 3 c\n 4 d\n 5 c@B\n 6 e",
        [FRESH] * 7,
    ),
    "a changing sender that is replaced by a constant one, which is replaced": (
        "0 a\n 1 b\n 2 c\n 30 d\n 31 d\n 32 d\n 33 d\n 34 e",
        [FRESH] * 6 + [REPEATING, FRESH],
    ),
    "replays do not keep a silent sender known": (
        "0 z\n 1 y\n 5 y\n 9 y\n 11.5 x\n 12 x",
        [FRESH, FRESH, REPLAY, REPLAY, FRESH, FRESH],
    ),
    "one counter in both families": (
        "0 a\n 0 a@A6\n 1 b\n 1 b@A6\n 2 c\n 2.1 c@A6\n 3 d\n 4 e\n 4 e@A6",
        [FRESH, FRESH, FRESH, TWIN, FRESH, TWIN, FRESH, FRESH, TWIN],
    ),
    "either family may come first": (
        "0 a@A6\n 0 a\n 1 b@A6\n 1 b\n 2 c\n 2.1 c@A6\n 3 d@A6\n 3 d",
        [FRESH, FRESH, FRESH, TWIN, FRESH, FRESH, FRESH, TWIN],
    ),
    "an advert has one twin": (
        "0 a\n 1 b\n 1 b@A6\n 1.1 b@A6\n 1.1 b\n 1.1 b@B",
        [FRESH, FRESH, TWIN, REPLAY, REPLAY, REPLAY],
    ),
    "a twin comes in the other family": (
        "0 a\n 1 b\n 1 b@B\n 1.1 b\n 1.1 b@A6\n 2 c\n 2 c",
        [FRESH, FRESH, REPLAY, REPLAY, TWIN, FRESH, REPLAY],
    ),
    "a twin comes within a quarter of the interval": (
        "0 a\n 0.25 b 0/64\n 0.3125 b@A6 0/64\n 0.5 c 0/64\n 0.5626 c@A6 0/64",
        [FRESH, FRESH, TWIN, FRESH, REPLAY],
    ),
    "a twin comes within 0.25 s, even that of a farewell": (
        "0 a\n 1 b 2/0\n 1.25 b@A6 2/0\n 2 c 255/255\n 2.26 c@A6 255/255",
        [FRESH, FRESH, TWIN, FRESH, REPLAY],
    ),
    "a twin has the same claims": (
        "0 a\n 1 b\n 1 b@A6 1/1\n 1 b@A6 1/0+1\n 1 b@A6 0/1\n 1.1 b@A6",
        [FRESH, FRESH, TAMPERED, TAMPERED, TAMPERED, TWIN],
    ),
    "a twin tells nothing of the host that has its address": (
        "0 a\n 1 b\n 2 c\n 2 c@A6\n 3 d\n 3 d@A6\n 4 z@A6\n 5 z@A6\n 6 z@A6\n 7 z@A6",
        [FRESH, FRESH, FRESH, TWIN, FRESH, TWIN, FRESH, FRESH, FRESH, REPEATING],
    ),
    "a counter is not proved constant once its sender has had another": (
        "0 a\n 1 a\n 2 a@B\n 2.5 b\n 3 a\n 4 a\n 9 a",
        [FRESH] * 7,
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_unmarked_counters(name: str) -> None:
    """Each line of a story has its finding."""
    story, expected = STORIES[name]

    assert findings(story) == expected


def marked(seconds: float, number: int = 7) -> int:
    """Return a marked counter of so many seconds after our start."""
    return join(START + round(seconds * UNITS_PER_S), number)


MARKED: dict[str, list[tuple[float, Finding]]] = {
    "in order": [(1, FRESH), (2, FRESH), (3, FRESH)],
    "a replay": [(1, FRESH), (1, REPLAY), (2, FRESH), (1, REPLAY), (2, REPLAY)],
    "two in the wrong order": [(2, FRESH), (1, FRESH), (1, REPLAY), (3, FRESH)],
    "more than four seconds late": [(5, FRESH), (1, STALE), (1 + 1 / 32, FRESH)],
    "from before our start": [(-5, STALE), (-4, STALE), (-60, STALE)],
    "less than four seconds before our start": [(-4 + 1 / 32, FRESH), (0, FRESH)],
    "from before our start, after others": [(1000, FRESH), (-60, STALE), (990, STALE)],
    "after a pause": [(1, FRESH), (1000, FRESH), (999, FRESH), (999, REPLAY)],
    "a clock that was set back": [(1000, FRESH), (10, STALE), (11, STALE)],
}


@pytest.mark.parametrize("name", MARKED)
def test_marked_counters(name: str) -> None:
    """The time of a counter decides."""
    guard = Guard(START)
    story = MARKED[name]

    found = [examine(guard, heard(marked(second)), ns(1)) for second, _ in story]
    assert found == [finding for _, finding in story]


def test_each_id_has_a_window_of_its_own() -> None:
    """Another id may be far ahead."""
    guard = Guard(START)
    story = [(1000, 8), (1, 9), (1, 8), (2, 9), (0, 255), (0, 0)]

    found = [examine(guard, heard(marked(s, number)), ns(1)) for s, number in story]
    assert found == [FRESH, FRESH, STALE, FRESH, FRESH, FRESH]


def test_the_source_does_not_matter() -> None:
    """An attacker can send from any address."""
    guard = Guard(START)

    assert examine(guard, heard(marked(1), A), ns(1)) is FRESH
    assert examine(guard, heard(marked(1), B), ns(1)) is REPLAY
    assert examine(guard, heard(marked(1), A6), ns(1)) is REPLAY


@pytest.mark.parametrize("claims", [(0, 0, 0), (1, 1, 0), (255, 255, 0), (1, 0, 1)])
def test_other_claims_under_a_marked_counter(claims: tuple[int, int, int]) -> None:
    """The advert is called tampered while its claims are remembered, then stale."""
    guard = Guard(START)
    base, skew, demotion = claims
    examine(guard, heard(marked(1)), ns(1))

    assert examine(guard, heard(marked(1), A, base, skew, demotion), ns(1)) is TAMPERED
    for second in range(2, 2 + module.RECENT_MAX):
        assert examine(guard, heard(marked(second)), ns(1)) is FRESH
    assert examine(guard, heard(marked(1), A, base, skew, demotion), ns(1)) is STALE


def test_what_a_host_without_a_link_missed_stays_missed() -> None:
    """Under every id, also if its sender has another since then."""
    guard = Guard(START)
    for number in (7, 8):
        assert examine(guard, heard(marked(1, number)), ns(1)) is FRESH
    guard.note_deaf_until(START + 60 * UNITS_PER_S)
    guard.note_deaf_until(START)

    missed = [(30, 7), (56, 7), (30, 8), (56, 9), (57, 9), (57, 7), (60, 8)]
    found = [examine(guard, heard(marked(s, number)), ns(61)) for s, number in missed]
    assert found == [STALE, STALE, STALE, STALE, FRESH, FRESH, FRESH]
    assert guard.hint(marked(30, 5), A, ns(61)) == marked(56, 5)


def test_a_start_with_an_unset_clock() -> None:
    """No time is older than this start."""
    guard = Guard(0)

    assert examine(guard, heard(join(0, 7)), ns(1)) is STALE
    assert examine(guard, heard(join(1, 7)), ns(1)) is FRESH


def test_late_adverts_at_the_edges_of_the_window() -> None:
    """The window is exact to the unit."""
    guard = Guard(START)
    highest = START + 10 * WINDOW
    behind = [WINDOW, WINDOW - 1, 1, 1, 0]

    assert examine(guard, heard(join(highest, 7)), ns(1)) is FRESH
    found = [examine(guard, heard(join(highest - n, 7)), ns(1)) for n in behind]
    assert found == [STALE, FRESH, FRESH, REPLAY, REPLAY]


def test_the_window_moves_on() -> None:
    """A time is remembered while it is inside the window."""
    guard = Guard(START)
    base = START + 10 * WINDOW
    for time in (base, base + 2, base + WINDOW, base + WINDOW - 1):
        assert examine(guard, heard(join(time, 7)), ns(1)) is FRESH

    again = [base, base + 1, base + 2, base + WINDOW - 1]
    found = [examine(guard, heard(join(time, 7)), ns(1)) for time in again]
    assert found == [REPLAY, FRESH, REPLAY, REPLAY]


def test_replays_of_our_own_adverts_are_refused() -> None:
    """The guard remembers them for longer than the virtual host does."""
    guard, sequence = Guard(START), CounterSequence(0, ns(0), lambda: 7)
    sequence.start = START
    ours = [sequence.draw(ns(second)) for second in range(100)]
    for counter in ours:
        guard.note_sent(counter)

    assert {examine(guard, heard(counter), ns(100)) for counter in ours} == {STALE}


def test_an_own_counter_far_behind_changes_nothing() -> None:
    """A peer may have our id and a clock that is years ahead."""
    guard = Guard(START)
    examine(guard, heard(marked(10**9)), ns(1))
    guard.note_sent(marked(1))

    assert guard.hint(marked(1), A, ns(1)) == marked(10**9)
    assert examine(guard, heard(marked(10**9)), ns(1)) is REPLAY


def test_a_hint_carries_the_latest_time_of_the_id() -> None:
    """At first that is the time of our start, less the slack."""
    guard = Guard(START)
    examine(guard, heard(marked(50)), ns(1))

    assert guard.hint(marked(1), A, ns(1)) == marked(50)
    assert guard.hint(marked(1, 8), A, ns(1)) == join(START - START_SLACK, 8)


def test_a_second_hint_comes_too_soon() -> None:
    """It is left out (see `HintLimit`)."""
    guard = Guard(START)

    assert guard.hint(marked(1), A, ns(1)) is not None
    assert guard.hint(marked(1), A, ns(1)) is None


def test_each_solicitation_counts_once() -> None:
    """However often it is sent again; and not if it is older than our start."""
    guard = Guard(START)
    guard.note_sent(marked(9, 8))
    examine(guard, heard(marked(57)), ns(1))

    assert [
        guard.examine_solicitation(counter)
        for counter in (
            marked(60), marked(60), marked(57), marked(9, 8), join(5, 7), FIRST,
        )
    ] == [FRESH, REPLAY, REPLAY, REPLAY, STALE, REPLAY]  # fmt: skip
    assert examine(guard, heard(marked(60)), ns(2)) is STALE


def test_a_refused_advert_is_probed_once() -> None:
    """A genuine master repeats each of its old counters once; a replay comes again."""
    guard = Guard(START)
    findings("0 a\n 1 b\n 2 c", guard)

    def probes(counter: int) -> list[bool]:
        return [guard.examine(heard(counter), ns(3)).probe for _ in range(2)]

    assert probes(letter("a")) == [True, False]
    assert probes(letter("b")) == [True, False]
    assert probes(letter("d")) == [False, True]  # new, and then a replay of it
    assert probes(marked(1)) == [False, False]
    many = [FIRST + number for number in range(module.RECENT_MAX)]
    assert [probes(counter)[1] for counter in many] == [True] * len(many)
    assert probes(letter("a")) == [True, False]


def test_counters_are_remembered_for_hours() -> None:
    """16 384 are remembered; the next one takes the place of the first."""
    guard = Guard(START)
    for number in range(REMEMBERED):
        assert examine(guard, heard(FIRST + number), ns(number)) is FRESH
    now = ns(REMEMBERED)

    assert examine(guard, heard(FIRST), now) is REPLAY
    assert examine(guard, heard(FIRST, A, 0, 1), now) is TAMPERED
    assert examine(guard, heard(FIRST + REMEMBERED), now) is FRESH
    assert examine(guard, heard(FIRST + 1), now) is REPLAY
    assert examine(guard, heard(FIRST), now) is FRESH


@pytest.mark.parametrize(
    ("ahead", "finding"),
    [
        (-1, REPLAY),
        (1, FRESH),
        (module.COUNTED_MAX, FRESH),
        (module.COUNTED_MAX + 1, REPLAY),
    ],
)
def test_how_far_a_sender_counts_on(ahead: int, finding: Finding) -> None:
    """It counts on from a constant counter, and from the greatest one to 0."""
    for first in (FIRST, 2**64 - 1):
        guard = Guard(START)
        for second in range(4):
            examine(guard, heard(first), ns(second))
        other = (first + ahead) % 2**64
        examine(guard, heard(other, B), ns(60))
        examine(guard, heard((first + 2**60) % 2**64, B), ns(61))
        examine(guard, heard(first), ns(62))

        assert examine(guard, heard(other, B), ns(63)) is finding


def test_a_constant_counter_outlives_the_memory() -> None:
    """It stays known while it is heard, however many others are heard."""
    guard = Guard(START)
    assert findings("0 a\n 1 a\n 2 a\n 3 a", guard)[-1] is REPEATING
    for number in range(REMEMBERED + 1):
        assert examine(guard, heard(FIRST - number, B), ns(10 + number)) is FRESH

    now = ns(10 + REMEMBERED)
    assert examine(guard, heard(FIRST, A6), now) is FRESH  # it is forgotten
    assert examine(guard, heard(letter("a")), now) is FRESH
    assert examine(guard, heard(letter("a"), A, 0, 1), now) is CHANGED


def test_memory_is_bounded() -> None:
    """A guard needs little next to carppcap, and less than 4 MB next to any other."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    guard = Guard(START)
    for second in range(1000):
        assert examine(guard, heard(marked(second)), ns(second)) is FRESH
    after_ours = tracemalloc.get_traced_memory()[0]
    for number in range(2 * REMEMBERED):
        assert examine(guard, heard(FIRST + number), ns(1000 + number)) is FRESH
    after_others = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert after_ours - before < 32 * 1024
    assert after_others - before < 4 * 1024**2


def flood(guard: Guard, senders: range) -> None:
    """Let the guard find constant counters of so many senders."""
    for sender in senders:
        advert = heard(letter("z") + 7919 * sender, IPv4Address(0x0B000000 + sender))
        found = [examine(guard, advert, ns(second)) for second in range(4)]
        assert found == [FRESH] * 3 + [REPEATING]


def test_the_constant_counter_heard_longest_ago_is_forgotten() -> None:
    """64 are remembered."""
    guard = Guard(START)
    assert findings("0 a\n 1 a\n 2 a\n 3 a", guard)[-1] is REPEATING
    flood(guard, range(1, CONSTANTS_MAX))
    assert findings("9 a", guard) == [FRESH]
    flood(guard, range(CONSTANTS_MAX, CONSTANTS_MAX + 1))
    assert findings("9 a", guard) == [FRESH]

    second = heard(letter("z") + 7919 * 2, IPv4Address(0x0B000002))
    first = heard(letter("z") + 7919, IPv4Address(0x0B000001))
    assert [examine(guard, second, ns(9)) for _ in range(2)] == [FRESH, FRESH]
    # Once it counts on from the others.
    assert [examine(guard, first, ns(9)) for _ in range(2)] == [FRESH, REPLAY]


def hear_once(guard: Guard, senders: range) -> None:
    """Let the guard hear one new counter of each of so many senders."""
    for sender in senders:
        once = heard(FIRST - 31 * sender, IPv4Address(0x0C000000 + sender))
        assert examine(guard, once, ns(5)) is FRESH


@pytest.mark.parametrize(
    ("others", "finding"),
    [(module.CANDIDATES_MAX - 1, FRESH), (module.CANDIDATES_MAX, REPLAY)],
)
def test_the_candidate_heard_longest_ago_is_forgotten(
    others: int, finding: Finding
) -> None:
    """256 are remembered."""
    guard = Guard(START)
    findings("0 a", guard)
    hear_once(guard, range(others))

    assert findings("6 a", guard) == [finding]


@pytest.mark.parametrize(
    ("others", "finding"),
    [(module.SENDERS_MAX - 1, REPLAY), (module.SENDERS_MAX, FRESH)],
)
def test_the_sender_heard_longest_ago_is_forgotten(
    others: int, finding: Finding
) -> None:
    """256 are remembered, with whether they change their counters."""
    guard = Guard(START)
    findings("0 a\n 1 b", guard)
    hear_once(guard, range(others))

    assert findings("6 c\n 7 c", guard) == [FRESH, finding]


def test_a_candidate_whose_sender_is_forgotten() -> None:
    """It can be proved constant all the same."""
    guard = Guard(START)
    findings("0 a", guard)
    for number in range(module.SENDERS_MAX):
        source = IPv4Address(0x0C000000 + number)
        examine(guard, heard(FIRST - 31 * number, source), ns(number / 256))
        if number == 100:
            findings("0.5 a", guard)

    assert findings("2 a\n 3 a", guard) == [FRESH, REPEATING]


# Laws.

INTERVALS = st.sampled_from([(0, 10), (1, 0), (1, 128), (3, 0)])
KINDS = st.sampled_from(["random", "counting", "marked"])


@st.composite
def arrivals(draw: st.DrawFn) -> list[tuple[int, float]]:
    """Return which adverts of a sender arrive, and after how many intervals.

    Some are lost, and some arrive after the next one.
    """
    late = draw(st.lists(st.floats(0, 1.9), min_size=5, max_size=40))
    lost = draw(st.sets(st.integers(0, 39)))
    arriving = [(n, n + by) for n, by in enumerate(late) if n not in lost]
    return sorted(arriving, key=lambda arrival: arrival[1])


def counters_of(kind: str, interval_ns: int) -> list[int]:
    """Return the counters of a sender of this kind, in the order they are sent."""
    sequence = CounterSequence(0, 0, lambda: 3)
    sequence.start = START
    match kind:
        case "random":
            return [(n + 1) * 0xD1342543DE82EF95 % (1 << 64) for n in range(60)]
        case "counting":
            return [FIRST + n for n in range(60)]
        case _:
            return [sequence.draw((n + 1) * interval_ns) for n in range(60)]


@given(arrivals(), INTERVALS, KINDS)
def test_no_genuine_advert_is_refused(
    arriving: list[tuple[int, float]], rank: tuple[int, int], kind: str
) -> None:
    """Adverts may be lost, or arrive after the next one."""
    guard, (base, skew) = Guard(START), rank
    interval_ns = heard(0, A, base, skew).interval_ns
    # Frames do not arrive that late; the window does not reach as far.
    assume(kind != "marked" or 2 * interval_ns < WINDOW * NS_PER_S // UNITS_PER_S)
    drawn = counters_of(kind, interval_ns)
    for n, intervals in arriving:
        advert = heard(drawn[n], A, base, skew)
        assert examine(guard, advert, round(intervals * interval_ns)) is FRESH


@given(
    st.lists(st.tuples(st.integers(1, 40), st.floats(20, 400)), min_size=1, max_size=9),
    st.sampled_from([(A,), (A, A6)]),
    INTERVALS,
)
def test_no_constant_sender_is_refused(
    lives: list[tuple[int, float]],
    sources: tuple[Address, ...],
    rank: tuple[int, int],
) -> None:
    """It has another counter after each restart, and adverts in one family or two."""
    guard, now, cookies = Guard(START), 0, count(FIRST, 1_000_003)
    base, skew = rank
    for adverts, pause_s in lives:
        cookie = next(cookies)
        for _ in range(adverts):
            advert = heard(cookie, A, base, skew)
            now += advert.interval_ns
            for source in sources:
                event = heard(cookie, source, base, skew)
                assert examine(guard, event, now) not in REFUSED
        now += round(pause_s * NS_PER_S)


@given(
    st.integers(2, 60),
    st.lists(st.tuples(st.integers(0, 200), INTERVALS, st.booleans()), max_size=60),
    KINDS,
)
def test_no_replay_of_a_changing_sender_is_obeyed(
    adverts: int, replays: list[tuple[int, tuple[int, int], bool]], kind: str
) -> None:
    """The attacker chooses advert, source, claims and how often it is sent."""
    guard = Guard(START)
    sent = counters_of(kind, ns(1))[:adverts]
    for n, counter in enumerate(sent):
        assert examine(guard, heard(counter), ns(n)) is FRESH
    for n, (which, (base, skew), moved) in enumerate(replays):
        counter = sent[which % adverts]
        advert = heard(counter, B if moved else A, base, skew)
        assert examine(guard, advert, ns(adverts + n)) in REFUSED


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=8), st.integers(1, 9))
def test_a_restarted_host_is_heard_after_one_hint(
    steps_s: list[float], adverts: int
) -> None:
    """Its clock may have gone either way, and it may draw the same id each time."""
    guard, wall_ns, now = Guard(START), START * NS_PER_S // UNITS_PER_S, ns(0)
    wall_ns += 1_577_836_800 * NS_PER_S
    for step_s in steps_s:
        wall_ns += round(step_s * NS_PER_S)
        sequence = CounterSequence(wall_ns, now, lambda: 3)
        for _ in range(adverts):
            now, wall_ns = now + ns(1), wall_ns + ns(1)
            counter = sequence.draw(now)
            if examine(guard, heard(counter), now) is STALE:
                hint = guard.hint(counter, A, now)
                assert hint is not None
                assert sequence.is_behind(hint, now)
                sequence.raise_beyond(hint, now)
                assert examine(guard, heard(sequence.draw(now)), now) is FRESH
