"""The simulated kernels beside recordings of real ones.

A kernel of some kind is put in the place of a recorded one: it hears what that heard,
and is started, stopped and demoted when that was.  What it then sends is compared with
what the recorded one sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest

import pytest

from carppcap.addresses import Address
from carppcap.election.script_queue import Job
from carppcap.options.command_line import parse
from carppcap.simulation.programs.bsd import BsdHost
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import INTERFACE, Kind, Member
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US, Instant
from carppcap.wire import header
from carppcap.wire.decode import Datagram, LinkType, decode, decode_announcement
from carppcap.wire.header import Advert
from tests import captures
from tests.timelines import FIXTURES

INTERVAL_OFF_NS = 7 * NS_PER_MS
"""How far an advert may be off the last one if nothing has happened between them."""

OFF_NS = 20 * NS_PER_MS
"""The same after anything else, over which late adverts of a busy machine add up."""

Stamped = tuple[Instant, bytes]


@dataclass(frozen=True)
class Recording:
    """What happened to the kernel with `flags` in a fixture.

    `story` are seconds and what was done to it then, and `deaf` when it was cut off.
    """

    fixture: str
    kind: Kind
    flags: str
    story: tuple[tuple[float, str], ...]
    deaf: tuple[tuple[float, float], ...] = ()


FREEBSD, NETBSD = Kind.FREEBSD, Kind.NETBSD
_ONE = "-v 42 -p love -s 10.99.1.2 -a 10.99.1.252"
_BOTH = f"{_ONE} -s fd00:1::2 -a fd00:1::fc"
_OF_NETBSD = "-p pw1 -v 42 -s 10.1.1.3 -a 10.1.1.252"

RECORDINGS = [
    Recording(
        "freebsd-election",
        FREEBSD,
        f"{_ONE} -k 100",
        ((0, "start"), (22, "stop"), (28.1, "start")),
    ),
    Recording(
        "freebsd-first",
        FREEBSD,
        f"{_ONE} -k 0",
        ((0, "start"), (8.5, "crash"), (14.3, "start"), (32.9, "crash")),
    ),
    Recording(
        "freebsd-both-families",
        FREEBSD,
        f"{_BOTH} -k 100",
        ((0, "start"), (22, "stop")),
    ),
    Recording(
        "freebsd-demotion",
        FREEBSD,
        f"{_ONE} -k 0",
        (
            *((0, "start"), (7.5095, "demote 240"), (16, "demote 0")),
            *((18, "preempt"), (26, "pull"), (31.9, "plug")),
        ),
    ),
    Recording(
        "freebsd-tie",
        FREEBSD,
        "-v 42 -p love -s 10.99.1.1 -a 10.99.1.252 -k 20",
        ((0, "start"),),
        ((0, 13.5), (20.7, 28.2), (34.4, 43.2)),
    ),
    Recording(
        "freebsd-link-local",
        FREEBSD,
        "-v 42 -p love -s fd00:1::1 -a fe80::fc,fd00:1::fc -k 100",
        ((4.4416, "start"),),
    ),
    Recording(
        "netbsd-crash",
        NETBSD,
        f"{_OF_NETBSD} -k 0",
        ((0, "start"), (9.5, "crash"), (15.9, "start"), (27.5515, "stop")),
    ),
    Recording(
        "netbsd-ucarp-preemption", NETBSD, f"{_OF_NETBSD} -k 100", ((0, "start"),)
    ),
    Recording(
        "netbsd-several-addresses",
        NETBSD,
        "-p pw1 -v 43 -s 10.1.1.4 -a 10.1.1.130,10.1.1.252,10.1.1.9 -k 100",
        ((4.0256, "start"), (14.705, "stop")),
    ),
]


class Stage:
    """The machine of the kernel: it keeps what is sent."""

    link_up = True
    has_address = False
    mac = bytes((2, 0, 0, 0, 0, 1))

    def __init__(self) -> None:
        self.now: Instant = 0
        self.sent: list[Stamped] = []

    def wall(self, now: Instant) -> Instant:
        return now

    def neighbour(self, address: Address) -> bytes | None:
        return None

    def send(self, frame: bytes) -> None:
        self.sent.append((self.now, frame))

    def run_script(self, job: Job) -> None:
        raise AssertionError("a kernel runs no scripts")

    kill_script = exit = lambda _: None
    set_address = record = reject = lambda *_: None


class Play:
    """A kernel of `kind` with what happened to the recorded one."""

    def __init__(self, recording: Recording, kind: Kind) -> None:
        self._flags, self._kind = recording.flags, kind
        self._stage = Stage()
        self._host: BsdHost | None = None
        self._dice = Dice(1)

    def run(
        self, heard: Sequence[Stamped], recording: Recording, end: Instant
    ) -> list[Stamped]:
        """Return what it sends up to `end`."""
        scenes: list[tuple[Instant, str | bytes]] = [*heard]
        scenes += [(int(at_s * NS_PER_S), what) for at_s, what in recording.story]
        for at, what in sorted(scenes, key=lambda scene: scene[0]):
            self._pass_time(at)
            self._stage.now = at
            if isinstance(what, str):
                self._do(what, at)
            elif self._host is not None and self._stage.link_up:
                self._host.frame_arrived(what, at)
        self._pass_time(end)
        return self._stage.sent

    def _pass_time(self, until: Instant) -> None:
        while self._host is not None:
            due = self._host.deadline
            if due is None or due >= until:
                return
            self._stage.now = due
            self._host.wake(due)

    def _do(self, what: str, now: Instant) -> None:
        verb, _, number = what.partition(" ")
        if verb in ("start", "preempt"):
            # What became of a backup does not depend on when it was given leave.
            flags = f"{self._flags} -P" if verb == "preempt" else self._flags
            settings, _ = parse(flags.split())
            member = Member("host", settings.virtual_host(INTERFACE), self._kind)
            self._host = BsdHost(member, self._stage, self._dice.fork(str(now)))
            self._host.start(now)
            return
        assert self._host is not None
        match verb:
            case "stop":
                self._host.stop(now)
                self._host = None
            case "crash":
                self._host = None
            case "demote":
                self._host.demoted(int(number), now)
            case _:
                self._stage.link_up = verb == "plug"
                self._host.link_changed(now)


def sources(recording: Recording) -> set[Address]:
    settings, _ = parse(recording.flags.split())
    return {s for s in (settings.source, settings.source6) if s is not None}


def frames(recording: Recording) -> tuple[list[Stamped], list[Stamped]]:
    """Return what the recorded kernel sent, as far as it is compared, and heard."""
    own, is_own = sources(recording), False
    records = captures.read(FIXTURES / recording.fixture / "capture.pcap")
    sent, heard = [], []
    for at_us, raw in records:
        at = (at_us - records[0][0]) * NS_PER_US
        datagram = decode(raw, LinkType.ETHERNET)
        if isinstance(datagram, Datagram) and datagram.source not in own:
            if not any(a * NS_PER_S < at < b * NS_PER_S for a, b in recording.deaf):
                heard.append((at, raw))
        elif isinstance(datagram, Datagram) or (is_own and is_announced(raw)):
            sent.append((at, raw))
        if isinstance(datagram, Datagram):
            # What is announced is so behind an advert, by the virtual MAC of both.
            is_own = datagram.source in own
    return sent, heard


def is_announced(raw: bytes) -> bool:
    """True for an ARP announcement of the virtual MAC, which kernels alone have.

    No neighbour advertisement of the recorded FreeBSD left its stack.
    """
    announced = decode_announcement(raw, LinkType.ETHERNET)
    return (
        announced is not None
        and announced.address.version == 4
        and announced.mac.startswith(bytes.fromhex("00005e0001"))
    )


def described(sent: Sequence[Stamped], heard: Sequence[Stamped]) -> list[str]:
    """Return each frame in words, its counter by what it has to do with the last."""
    told, last = [], -1
    ours = {id(raw) for _, raw in sent}
    for _, raw in sorted((*heard, *sent), key=lambda stamped: stamped[0]):
        datagram = decode(raw, LinkType.ETHERNET)
        if not isinstance(datagram, Datagram):
            told.append(f"announces {decode_announcement(raw, LinkType.ETHERNET)}")
            continue
        advert = header.decode(datagram.payload)
        assert advert is not None
        if id(raw) in ours:
            counter = {last: "the last", last + 1: "the next"}.get(
                advert.counter, "any"
            )
            told.append(
                f"{datagram.source} to {datagram.destination} from "
                f"{datagram.source_mac!r}: {advert.advbase}/{advert.advskew}"
                f"+{advert.demotion}, {counter} counter"
            )
        last = advert.counter
    return told


def differences(recording: Recording, kind: Kind) -> list[str]:
    """Return how a kernel of `kind` differs from the recorded one."""
    real, heard = frames(recording)
    end = real[-1][0] + OFF_NS
    played = [
        (at, raw)
        for at, raw in Play(recording, kind).run(heard, recording, end)
        if is_announced(raw) or isinstance(decode(raw, LinkType.ETHERNET), Datagram)
    ]
    words = zip_longest(described(real, heard), described(played, heard))
    found = [f"it was: {was}; played: {now}" for was, now in words if was != now]
    others = [at for at, _ in heard] + [int(at * NS_PER_S) for at, _ in recording.story]
    begun = int(recording.story[0][0] * NS_PER_S)
    instants = [(begun, *(at for at, _ in sent)) for sent in (real, played)]
    for (before, at), (before_now, now) in zip(*map(pairwise, instants), strict=False):
        is_calm = not any(before <= other <= at for other in others)
        off_ns = abs((at - before) - (now - before_now))
        if off_ns > (INTERVAL_OFF_NS if is_calm else OFF_NS):
            found.append(f"{at / NS_PER_S} s: {off_ns / NS_PER_MS} ms off")
    return found


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda each: each.fixture)
def test_a_kernel_does_what_the_recorded_one_did(recording: Recording) -> None:
    """Take-overs, intervals, skew, counters, farewells, and what is announced."""
    assert differences(recording, recording.kind) == []


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind.is_kernel])
@pytest.mark.parametrize("recorded", [FREEBSD, NETBSD])
def test_kernels_of_other_kinds_do_something_else(kind: Kind, recorded: Kind) -> None:
    """So the comparison can tell them apart."""
    found = [
        difference
        for recording in RECORDINGS
        if recording.kind is recorded
        for difference in differences(recording, kind)
    ]

    assert (found == []) == (kind is recorded)


@pytest.mark.parametrize("kind", [Kind.JCARP, Kind.OPENBSD])
def test_the_rules_of_openbsd_are_those_of_the_recorded_jcarp(kind: Kind) -> None:
    """Interval and skew, farewell, and the answer to one.

    The recorded one waits 3 s for a master whatever its skew, which is not compared.
    """
    recording = Recording(
        "jcarp-election",
        kind,
        f"{_ONE} -k 100",
        ((0, "start"), (22.347, "stop"), (26.9, "start")),
    )
    real, heard = frames(recording)
    played = Play(recording, recording.kind).run(heard, recording, real[-1][0])
    (told,) = [at for at, raw in heard if advert_of(raw).advbase == header.BOW_OUT]
    for sent in (real, played):
        adverts = [(at, advert_of(raw)) for at, raw in sent if not is_announced(raw)]
        farewells = [at for at, advert in adverts if advert.advbase == header.BOW_OUT]
        assert [at // NS_PER_MS for at in farewells] == [22_347]
        assert {a.advskew for _, a in adverts} == {100, header.BOW_OUT}
        next_at = next(at for at, _ in adverts if at >= told)
        assert next_at - told < 30 * NS_PER_MS
        gaps = [b - a for (a, _), (b, _) in pairwise(adverts) if b < farewells[0]]
        assert len(gaps) >= 6
        assert all(0 <= gap - 1_390_625_000 < 20 * NS_PER_MS for gap in gaps)


@pytest.mark.parametrize("kind", [Kind.JCARP, Kind.OPENBSD])
def test_one_counter_for_both_families_as_the_recorded_jcarp(kind: Kind) -> None:
    """The two adverts of an interval differ in nothing but their addresses."""
    recording = Recording(
        "jcarp-both-families",
        kind,
        "-v 42 -p love -s 10.99.1.2 -s fe80::686c:41ff:fe06:53a8 -k 0 "
        "-a 10.99.1.252,fd00:1::fc",
        ((0, "start"), (7.5, "crash")),
    )
    real, heard = frames(recording)
    played = Play(recording, recording.kind).run(heard, recording, real[-1][0])
    for sent in (real, played):
        told = [decode(raw, LinkType.ETHERNET) for _, raw in sent]
        datagrams = [each for each in told if isinstance(each, Datagram)]
        fours, sixes = datagrams[::2], datagrams[1::2]
        assert len(fours) == len(sixes) == 5
        assert [each.source.version for each in fours + sixes] == [4] * 5 + [6] * 5
        assert [each.payload for each in fours] == [each.payload for each in sixes]
        counters = {each.payload[8:16] for each in fours}
        repeats = sent is played and kind.repeats_counter
        assert len(counters) == (1 if repeats else 5)


def advert_of(raw: bytes) -> Advert:
    datagram = decode(raw, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    advert = header.decode(datagram.payload)
    assert advert is not None
    return advert
