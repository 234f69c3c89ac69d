"""Each thing that the medium can do to a frame."""

from collections.abc import Callable

import pytest

from carppcap.node.ingress import Ingress
from carppcap.simulation.model.medium import REORDER_NS_MAX, Medium, forge
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Cut, Disturb, Mute, Quality
from carppcap.units import NS_PER_MS, NS_PER_S
from carppcap.wire.decode import Datagram, LinkType, decode
from tests.builders import LOWER, config, frame, payload

PEER = config(source=LOWER)
ADVERT = frame(payload(PEER, counter=5))
ARP = bytes(12) + b"\x08\x06" + bytes(28)
STATIONS = ("a", "b", "c")
SENT = 400


class Receivers:
    """Which frame arrived at which station, and when."""

    def __init__(self) -> None:
        self.arrived: list[tuple[int, str, bytes]] = []

    def __call__(self, at: int, receiver: str, data: bytes) -> None:
        self.arrived.append((at, receiver, data))

    def names(self) -> list[str]:
        return [receiver for _, receiver, _ in self.arrived]


def wire(**quality: float) -> tuple[Medium, Receivers]:
    receivers = Receivers()
    values = {"delay_ns": NS_PER_MS} | quality
    return Medium(STATIONS, Quality(**values), Dice(1), receivers), receivers  # type: ignore[arg-type]


def send_many(line: Medium) -> None:
    """Send one frame each 10 ms from station a."""
    for number in range(SENT):
        line.send("a", ADVERT, number * 10 * NS_PER_MS)


def test_a_frame_reaches_all_others_intact() -> None:
    """A frame reaches every station but its sender, after the delay."""
    line, receivers = wire()

    line.send("b", ADVERT, NS_PER_S)

    expected_at = NS_PER_S + NS_PER_MS
    assert receivers.arrived == [(expected_at, "a", ADVERT), (expected_at, "c", ADVERT)]


@pytest.mark.parametrize(
    ("quality", "least", "most"),
    [
        ({"loss": 0.25}, 1.4 * SENT, 1.6 * SENT),
        ({"loss": 1.0}, 0, 0),
        ({"duplicate": 0.25}, 2.4 * SENT, 2.6 * SENT),
        ({"duplicate": 1.0}, 4 * SENT, 4 * SENT),
    ],
)
def test_loss_and_duplication(
    quality: dict[str, float], least: float, most: float
) -> None:
    """Loss and duplication are drawn for each receiver by itself."""
    line, receivers = wire(**quality)

    send_many(line)

    assert least <= len(receivers.arrived) <= most
    count = receivers.names().count("b")
    assert least / 2 * 0.8 <= count <= most / 2 * 1.2


def test_jitter_keeps_the_order() -> None:
    """Jitter delays frames, but none overtakes another."""
    line, receivers = wire(jitter_ns=50 * NS_PER_MS)

    send_many(line)

    at_b = [at for at, receiver, _ in receivers.arrived if receiver == "b"]
    late_ns = [at - number * 10 * NS_PER_MS for number, at in enumerate(at_b)]
    assert at_b == sorted(at_b)
    assert min(late_ns) >= NS_PER_MS
    assert max(late_ns) <= 51 * NS_PER_MS
    assert max(late_ns) - min(late_ns) > 20 * NS_PER_MS


def test_reordering() -> None:
    """Some frames come so late that others overtake them."""
    line, receivers = wire(reorder=0.1)

    send_many(line)

    at_b = [at for at, receiver, _ in receivers.arrived if receiver == "b"]
    late_ns = [at - number * 10 * NS_PER_MS for number, at in enumerate(at_b)]
    held_back = [late for late in late_ns if late > NS_PER_MS]
    assert at_b != sorted(at_b)
    assert SENT * 0.05 < len(held_back) < SENT * 0.15
    assert max(late_ns) <= REORDER_NS_MAX + NS_PER_MS


def test_corruption() -> None:
    """One bit of a frame is wrong, at any place."""
    line, receivers = wire(corrupt=0.5)

    send_many(line)

    flipped = [
        int.from_bytes(data, "big") ^ int.from_bytes(ADVERT, "big")
        for _, _, data in receivers.arrived
        if data != ADVERT
    ]
    assert 0.8 * SENT < len(flipped) < 1.2 * SENT
    assert all(bits.bit_count() == 1 for bits in flipped)
    assert len(set(flipped)) > 200


@pytest.mark.parametrize(
    ("cut", "expected"),
    [
        (Cut(("a",), ("b",)), ["a->c", "b->c", "c->a", "c->b"]),
        (Cut(("a",), ("b",), both=False), ["a->c", "b->a", "b->c", "c->a", "c->b"]),
        (Cut(("a",), ("b", "c")), ["b->c", "c->b"]),
        (Cut(STATIONS, STATIONS), []),
    ],
)
def test_cuts(cut: Cut, expected: list[str]) -> None:
    """A cut separates stations one way or both ways, until it is removed."""
    line, receivers = wire()

    def paths() -> list[str]:
        receivers.arrived.clear()
        found = []
        for sender in STATIONS:
            receivers.arrived.clear()
            line.send(sender, ADVERT, 0)
            found += [f"{sender}->{name}" for name in receivers.names()]
        return found

    line.add(cut)
    assert paths() == expected
    line.remove(cut)
    assert len(paths()) == 6


BROADCAST = b"\xff" * 6 + ADVERT[6:]
UNICAST = bytes.fromhex("020000000001") + ADVERT[6:]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (ADVERT, ["b->c", "c->b"]),
        (BROADCAST, ["a->b", "a->c", "b->a", "b->c", "c->a", "c->b"]),
        (UNICAST, ["a->b", "a->c", "b->a", "b->c", "c->a", "c->b"]),
    ],
    ids=["multicast", "broadcast", "unicast"],
)
def test_mute_multicast(data: bytes, expected: list[str]) -> None:
    """Only multicast to and from the host is lost, until all such faults are over."""
    line, receivers = wire()

    def paths() -> list[str]:
        found = []
        for sender in STATIONS:
            receivers.arrived.clear()
            line.send(sender, data, 0)
            found += [f"{sender}->{name}" for name in receivers.names()]
        return found

    for _ in range(2):
        line.add(Mute(("a",)))
    assert paths() == expected
    line.remove(Mute(("a",)))
    assert paths() == expected
    line.remove(Mute(("a",)))
    assert len(paths()) == 6


def test_two_cuts_that_overlap() -> None:
    """The end of one cut does not end the other."""
    line, receivers = wire()
    cut = Cut(("a",), ("b",))
    line.add(cut)
    line.add(cut)
    line.remove(cut)

    line.send("a", ADVERT, 0)

    assert receivers.names() == ["c"]


def test_disturbances() -> None:
    """Of two disturbances the later counts; when it ends, the earlier counts again."""
    line, receivers = wire(loss=0.0)
    storm, rain = Disturb("loss", 1.0), Disturb("loss", 0.0)
    slow = Disturb("delay_ns", NS_PER_S)

    def arrivals() -> list[int]:
        receivers.arrived.clear()
        line.send("a", ADVERT, 0)
        return [at for at, _, _ in receivers.arrived]

    line.add(storm)
    assert arrivals() == []
    line.add(rain)
    line.add(slow)
    assert arrivals() == [NS_PER_S, NS_PER_S]
    line.remove(rain)
    assert arrivals() == []
    line.remove(storm)
    line.remove(slow)
    line.send("c", ADVERT, 5 * NS_PER_S)
    assert receivers.arrived[0][0] == 5 * NS_PER_S + NS_PER_MS


def test_an_attacker_overhears_the_last_advert() -> None:
    """An attacker keeps adverts of each station, not ARP."""
    line, _ = wire()
    other = frame(payload(PEER, counter=6))

    assert line.overheard("a") is None
    for data in (ADVERT, other, ARP):
        line.send("a", data, 0)

    assert line.overheard("a") == other
    assert line.overheard("b") is None


@pytest.mark.parametrize(("advbase", "advskew"), [(0, 1), (255, 255), (1, 0)])
def test_a_forged_claim_passes_every_check(advbase: int, advskew: int) -> None:
    """Checksum and digest of a forged advert are right."""
    check: Callable[..., object] = Ingress([config()]).check
    datagram = decode(forge(ADVERT, advbase, advskew), LinkType.ETHERNET)
    verdict = check(datagram)

    assert isinstance(datagram, Datagram)
    assert isinstance(verdict, tuple)
    assert (verdict[1].advbase, verdict[1].advskew) == (advbase, advskew)
    assert (verdict[1].source, verdict[1].counter) == (LOWER, 5)
