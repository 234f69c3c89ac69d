"""When the filter is narrowed and widened, and which senders take turns."""

from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import groupby, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.filter.bpf import WIDE, Sieve
from carppcap.filter.flood import (
    BACKLOG_MAX,
    BEARABLE_PER_S,
    FORGOTTEN_NS,
    GLIMPSE_FRAMES_MAX,
    GLIMPSE_NS,
    KNOWN_MAX,
    PROBATION_NS,
    READABLE_PER_S,
    SLICES_MAX,
    TURN_NS_MIN,
    FloodBegan,
    FloodEnded,
    FloodGate,
)
from carppcap.units import NS_PER_MS, NS_PER_S
from tests.builders import HIGHER, LOWER, ns

NARROW = Sieve(narrow=True)
STEP_NS = 10 * NS_PER_MS
TURN_S = 1.125
FLOODER = IPv4Address("10.1.1.66")


@dataclass(frozen=True, slots=True)
class Sender:
    """It sends authentic adverts, forged ones, or (not `shaped`) other frames."""

    source: IPv4Address
    per_s: int
    shaped: bool = True
    authentic: bool = False

    def passes(self, sieve: Sieve) -> bool:
        """True if the kernel's filter passes its frames."""
        if not sieve.narrow:
            return True
        is_turn = self.source.packed[-1] % sieve.slices == sieve.turn
        return self.shaped and (is_turn or self.source in sieve.known)


class Scene:
    """A gate and the senders on its segment, with what happened at which instant."""

    def __init__(self, *senders: Sender, interval_s: float = 1.0) -> None:
        self.senders = list(senders)
        self.gate = FloodGate(ns(interval_s), ns(3 * interval_s))
        self.waiting = False
        self.now = 0
        self.news: list[tuple[int, FloodBegan | FloodEnded]] = []
        self.sieves: list[tuple[int, Sieve]] = [(0, WIDE)]
        self.heard: list[tuple[int, IPv4Address]] = []

    def run(self, duration_s: float) -> "Scene":
        """Pass time in small steps and stop at each deadline."""
        end = self.now + ns(duration_s)
        while self.now < end:
            before = self.now
            self.now = min(
                before + STEP_NS, end, max(self.gate.deadline or end, before + 1)
            )
            useless = 0
            for sender in self.senders:
                first = before * sender.per_s // NS_PER_S
                count = self.now * sender.per_s // NS_PER_S - first
                if not count or not sender.passes(self.gate.sieve):
                    continue
                if sender.authentic:
                    self.gate.note_advert(sender.source, self.now)
                    self.heard.append((self.now, sender.source))
                else:
                    useless += count
            self.count(useless)
        return self

    def count(self, useless: int) -> None:
        said = self.gate.count(useless, self.now, waiting=self.waiting)
        if said is not None:
            self.news.append((self.now, said))
        if self.gate.sieve != self.sieves[-1][1]:
            self.sieves.append((self.now, self.gate.sieve))

    def glimpses(self) -> list[tuple[int, int]]:
        """Return the instant and the length of each time the filter was wide."""
        return [
            (at, after - at)
            for (at, sieve), (after, _) in pairwise(self.sieves[1:])
            if sieve == WIDE
        ]


@pytest.mark.parametrize(
    ("per_s", "seconds", "is_flood"),
    [
        (0, 10, False),
        (READABLE_PER_S, 60, False),
        (READABLE_PER_S + 100, 9, False),
        (READABLE_PER_S + 100, 12, True),
        (2 * READABLE_PER_S, 1.1, True),
        (100_000, 0.03, True),
    ],
)
def test_what_a_flood_is(per_s: int, seconds: float, is_flood: bool) -> None:
    """Two thousand useless frames within a second, or little less for long."""
    scene = Scene(Sender(FLOODER, per_s, shaped=False)).run(seconds)

    assert bool(scene.news) is is_flood
    assert (scene.gate.sieve == NARROW) is is_flood
    assert (scene.gate.deadline is not None) is is_flood


def test_a_burst_is_no_flood() -> None:
    """A thousand frames at once are none, once a second."""
    scene = Scene()
    scene.count(READABLE_PER_S)
    scene.now += NS_PER_S
    scene.count(READABLE_PER_S)
    assert scene.gate.sieve == WIDE

    scene.count(1)
    assert scene.gate.sieve == NARROW


def test_authentic_adverts_are_no_flood() -> None:
    """Only useless frames count."""
    scene = Scene(Sender(LOWER, 100_000, authentic=True)).run(2)

    assert scene.news == []


def test_looking_again() -> None:
    """The filter is wide for a glimpse after 2 s, 4 s and so on, up to every 30 s."""
    scene = Scene(Sender(FLOODER, 5_000, shaped=False)).run(130)

    [(began, news)] = scene.news
    assert isinstance(news, FloodBegan)
    assert 5_000 <= news.rate < 5_500
    looked = scene.glimpses()
    starts = [began, *(at + length for at, length in looked)]
    pauses = [at - start for start, (at, _) in zip(starts, looked, strict=False)]
    assert pauses == [ns(s) for s in (2, 4, 8, 16, 30, 30, 30)]
    assert {length for _, length in looked} == {GLIMPSE_NS}
    assert {sieve for _, sieve in scene.sieves} == {WIDE, NARROW}


def test_a_glimpse_ends_early() -> None:
    """It ends once it has shown a flood, before the ring is full."""
    scene = Scene(Sender(FLOODER, 100_000, shaped=False)).run(3)

    [(_, length)] = scene.glimpses()
    assert length == STEP_NS
    assert length * 100_000 >= GLIMPSE_FRAMES_MAX * NS_PER_S


@pytest.mark.parametrize("seconds", [1.0, 5.0, 50.0])
def test_the_end_of_a_flood(seconds: float) -> None:
    """It is seen at the next glimpse and logged later; then all starts over."""
    flooder = Sender(FLOODER, 100_000, shaped=False)
    scene = Scene(flooder).run(seconds)
    scene.senders.clear()
    scene.run(35)

    (began, first), (ended, last) = scene.news
    assert isinstance(first, FloodBegan)
    assert isinstance(last, FloodEnded)
    widened, wide = scene.sieves[-1]
    assert wide == WIDE
    assert ended == widened + GLIMPSE_NS + PROBATION_NS
    assert last.duration_ns == widened + GLIMPSE_NS - began
    assert READABLE_PER_S < last.frames < 20_000
    assert scene.gate.deadline is None

    scene.senders.append(flooder)
    again = scene.now
    scene.run(3)
    assert scene.glimpses()[-1][0] - again < ns(2.1)


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 1.5])
def test_a_backup_looks_between_two_adverts(interval_s: float) -> None:
    """The ring may overflow during a glimpse, so the next advert must be far."""
    scene = Scene(Sender(FLOODER, 100_000, shaped=False), interval_s=interval_s)
    scene.waiting = True
    scene.run(0.7)
    while scene.now < 70 * NS_PER_S:
        scene.gate.note_advert(LOWER, scene.now)
        scene.run(interval_s)

    assert len(scene.glimpses()) > 3
    for at, _ in scene.glimpses():
        assert (at - ns(0.7)) % ns(interval_s) < GLIMPSE_NS


def test_a_backup_without_a_master_looks_all_the_same() -> None:
    """It looks one turn later, or it would never see the end of the flood."""
    scene = Scene(Sender(FLOODER, 100_000, shaped=False))
    scene.waiting = True
    scene.run(3.5)

    [(at, _)] = scene.glimpses()
    assert at - scene.news[0][0] == ns(2 + TURN_S)


def test_a_flood_that_comes_back() -> None:
    """Within the probation it is the same flood: narrowed at once, and not logged."""
    flooder = Sender(FLOODER, 100_000, shaped=False)
    scene = Scene(flooder).run(1)
    scene.senders.clear()
    scene.run(2)
    assert scene.gate.sieve == WIDE

    scene.senders.append(flooder)
    scene.run(0.03)
    assert scene.gate.sieve == NARROW
    assert len(scene.news) == 1

    scene.run(3)
    assert len(scene.news) == 1


def test_a_flood_of_the_right_shape() -> None:
    """The slices become smaller until the rest can be read."""
    senders = [Sender(IPv4Address(f"10.1.1.{n}"), 6_000) for n in range(8, 24)]
    scene = Scene(*senders).run(1.9)

    slices = [sieve.slices for _, sieve in scene.sieves[1:]]
    assert slices == [1, 2, 4, 8, 8]
    assert slices[-1] == SLICES_MAX


@pytest.mark.parametrize(
    ("per_s", "slices"),
    [
        (BEARABLE_PER_S - 500, 1),
        (2 * BEARABLE_PER_S, 2),
        (3 * BEARABLE_PER_S, 4),
        (30 * BEARABLE_PER_S, 8),
    ],
)
def test_how_many_take_turns(per_s: int, slices: int) -> None:
    """As many slices as it takes, and no more than eight."""
    scene = Scene(
        *(Sender(IPv4Address(f"10.1.1.{n}"), per_s // 8) for n in range(8, 16))
    )
    scene.run(1.9)

    assert scene.gate.sieve.slices == slices


def test_what_the_ring_held_does_not_count() -> None:
    """Frames captured before the filter was narrowed do not make it narrower."""
    scene = Scene(Sender(FLOODER, 100_000, shaped=False)).run(0.1)
    scene.count(BACKLOG_MAX - 1000)

    assert scene.gate.sieve == NARROW


FLOODERS = [Sender(IPv4Address(f"10.1.2.{n}"), 8_000) for n in range(16, 32)]


@pytest.mark.parametrize("last", range(1, 9))
@pytest.mark.parametrize("per_s", [1, 3])
def test_a_newcomer_gets_its_turn(last: int, per_s: int) -> None:
    """A sender no slower than us is heard within nine intervals, and then always."""
    newcomer = Sender(IPv4Address(f"10.1.1.{last}"), per_s, authentic=True)
    scene = Scene(*FLOODERS).run(3)
    scene.senders.append(newcomer)
    came = scene.now
    scene.run(20)

    first = scene.heard[0][0]
    assert first - came <= ns(SLICES_MAX * TURN_S)
    assert newcomer.source in scene.gate.sieve.known
    assert len(scene.heard) >= per_s * (came + ns(20) - first) // NS_PER_S


def test_turns_are_longer_than_an_interval() -> None:
    """They are longer than our interval, and at least 100 ms."""
    for interval_s, turn_ns in ((2.0, ns(2.25)), (0.03125, TURN_NS_MIN)):
        scene = Scene(*FLOODERS, interval_s=interval_s).run(15)

        turns = [(at, s.turn) for at, s in scene.sieves if s.slices == SLICES_MAX]
        # A glimpse may fall into a turn, but does not end it.
        starts = [next(same)[0] for _, same in groupby(turns, lambda turn: turn[1])]
        lengths = [after - start for start, after in pairwise(starts)]
        assert all(turn_ns <= length <= turn_ns + GLIMPSE_NS for length in lengths)
        assert len(lengths) > 5


def test_a_glimpse_ends_no_turn() -> None:
    """Glimpses come every two seconds at first, turns every nine eighths of one."""
    scene = Scene(*FLOODERS).run(14)

    turns = [s.turn for _, s in scene.sieves if s.slices == SLICES_MAX]
    assert set(turns) == set(range(SLICES_MAX))


def test_a_known_sender_is_always_heard() -> None:
    """No advert of a master that was heard before is lost."""
    scene = Scene(Sender(LOWER, 1, authentic=True)).run(3)
    scene.senders += FLOODERS
    scene.run(60)

    assert scene.gate.sieve.known == (LOWER,)
    assert len(scene.heard) == 63


def test_a_backup_that_misses_its_master() -> None:
    """It reads all senders after 3/4 of the master-down interval."""
    master = Sender(LOWER, 1, authentic=True)
    scene = Scene(master, *FLOODERS)
    scene.waiting = True
    scene.run(5)
    assert scene.gate.sieve.slices == SLICES_MAX

    scene.senders.remove(master)
    scene.run(2.24)
    assert scene.gate.sieve.slices == SLICES_MAX
    scene.run(0.02)
    assert scene.gate.sieve == NARROW

    scene.gate.note_advert(HIGHER, scene.now)
    scene.count(0)
    assert scene.gate.sieve.slices == SLICES_MAX
    assert set(scene.gate.sieve.known) == {LOWER, HIGHER}


def test_a_backup_that_knows_no_master() -> None:
    """It reads all senders, because any of them may be the master."""
    scene = Scene(*FLOODERS)
    scene.waiting = True
    scene.run(1.5)

    assert scene.gate.sieve == NARROW

    scene.waiting = False
    scene.run(STEP_NS / NS_PER_S)
    assert scene.gate.sieve.slices == SLICES_MAX


def test_a_weaker_flood() -> None:
    """A glimpse that shows less than before ends the turns, but not the flood."""
    scene = Scene(*FLOODERS).run(1.9)
    assert scene.gate.sieve.slices == SLICES_MAX
    scene.senders[:] = [Sender(FLOODER, 5_000)]
    scene.run(0.3)

    assert scene.gate.sieve == NARROW
    assert len(scene.news) == 1


def test_only_so_many_are_known() -> None:
    """New senders do not displace known ones that are still active."""
    gate = FloodGate(NS_PER_S, 3 * NS_PER_S)
    names = [IPv4Address(0x0A010100 + number) for number in range(KNOWN_MAX + 2)]
    for name in names[:KNOWN_MAX]:
        gate.note_advert(name, 0)
    gate.note_advert(names[0], FORGOTTEN_NS)
    gate.note_advert(names[-2], FORGOTTEN_NS - 1)
    gate.note_advert(names[-1], FORGOTTEN_NS)
    scene = Scene(*FLOODERS)
    scene.gate, scene.now = gate, FORGOTTEN_NS
    scene.run(1.9)

    known = set(gate.sieve.known)
    assert len(known) == KNOWN_MAX
    assert {names[0], names[-1]} <= known
    assert names[1] not in known
    assert names[-2] not in known


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * NS_PER_S),
            st.sampled_from((0, 0, 0, 1, 64, 600, 4_000)),
            st.booleans(),
        ),
        max_size=200,
    )
)
def test_whatever_comes(
    turns: list[tuple[int, int, bool]],
) -> None:
    """Events alternate, no deadline is past, and an early call changes nothing."""
    gate = FloodGate(NS_PER_S, 3 * NS_PER_S)
    now = 0
    kinds = []
    for passed_ns, useless, waiting in turns:
        now += passed_ns
        news = gate.count(useless, now, waiting=waiting)
        if news is not None:
            kinds.append(type(news))
        state = gate.sieve, gate.deadline
        assert gate.count(0, now, waiting=waiting) is None
        assert (gate.sieve, gate.deadline) == state
        assert gate.deadline is None or gate.deadline > now
        assert gate.sieve.turn < gate.sieve.slices <= SLICES_MAX
        assert gate.sieve == WIDE or gate.deadline is not None
    assert kinds == [FloodBegan, FloodEnded] * (len(kinds) // 2) + [FloodBegan] * (
        len(kinds) % 2
    )


def test_news_as_the_log_has_them() -> None:
    """Both lines begin with the same word, for whoever searches the log."""
    assert str(FloodBegan(rate=12_345)) == (
        "Flood: 12345 unrelated frames/s; narrowing the capture filter"
    )
    assert str(FloodEnded(duration_ns=2_360_000_000, frames=4_711)) == (
        "Flood over after 2.4 s and 4711 frames read; widening the capture filter"
    )


def test_the_sender_of_a_solicitation_is_known_and_is_no_master() -> None:
    """A backup that hears no adverts still listens to all senders in time."""
    gate = FloodGate(NS_PER_S, 3 * NS_PER_S)
    gate.note_sender(LOWER, 0)
    for second in range(20):
        gate.count(60_000, second * NS_PER_S // 10, waiting=False)

    assert gate.sieve.known == (LOWER,)
    gate.count(0, 2 * NS_PER_S, waiting=True)
    assert gate.sieve.slices == 1
