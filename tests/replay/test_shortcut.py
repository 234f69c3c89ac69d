"""The short way leads where the long one does, or nowhere."""

from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from carppcap.election.actions import State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived, Start, Tick
from carppcap.election.fsm import VirtualHost
from carppcap.node.ingress import Accepted, Ingress
from carppcap.node.replay_guard import Guard
from carppcap.replay.shortcut import SOURCE, Familiar
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.decode import decode_intact
from tests.builders import (
    HIGHER,
    LOWER,
    PASSWORD,
    VIP,
    config,
    counters,
    frame,
    ns,
    payload,
    words,
)

HOST = config(advskew=128)
FIRST = frame(payload(config(), 1))


def familiar(
    config_: VirtualHostConfig = HOST,
    first: bytes = FIRST,
    guard: Guard | None = None,
) -> tuple[Familiar, VirtualHost]:
    host = VirtualHost(config_, counters())
    host.handle(Start(), ns(0))
    datagram = decode_intact(first)
    assert datagram is not None
    verdict = Ingress([config_]).judge(datagram)
    assert isinstance(verdict, Accepted)
    return Familiar(first, verdict.event, host, guard), host


def test_an_equal_advert_reaches_the_host() -> None:
    """With another counter, digest, IP id and sums; padding is nothing to it."""
    known, host = familiar()
    body = payload(config(), 2**64 - 1)
    again = bytearray(frame(body))
    again[18:20], again[24:26] = b"\x12\x34", b"\0\0"
    total = int.from_bytes(again[14:34], "big")
    again[24:26] = (0xFFFF - total % 0xFFFF).to_bytes(2, "big")

    assert known.hear(bytes(again) + b"padding", ns(2)) == []
    assert host.deadline == ns(2) + HOST.master_down_interval_ns


@pytest.mark.parametrize("length", [0, 1, 34, 69])
def test_short_frames_are_strange(length: int) -> None:
    """They have to be judged."""
    known, _ = familiar()

    assert known.hear(FIRST[:length], ns(1)) is None


@pytest.mark.parametrize("position", range(len(FIRST)))
def test_any_other_byte_makes_a_stranger(position: int) -> None:
    """Damage, another sender, another rank: the host hears nothing of it."""
    known, host = familiar()
    before = host.deadline
    changed = bytearray(FIRST)
    changed[position] ^= 0x01

    assert known.hear(bytes(changed), ns(1)) is None
    assert host.deadline == before


def test_forgeries_are_strangers() -> None:
    """The sums may be as good as they like."""
    known, _ = familiar()

    assert known.hear(frame(payload(config(), 1, password=b"hate")), ns(1)) is None


def test_an_advert_of_ours_is_a_stranger() -> None:
    """The node has a name for it."""
    known, host = familiar()
    host.handle(AdvertReceived(LOWER, 255, 255, 9), ns(1))
    assert host.state is State.MASTER
    assert host.is_own(1)

    assert known.hear(FIRST, ns(2)) is None


def test_a_replay_is_a_stranger() -> None:
    """What the guard does not take for fresh at once has to be judged."""
    guard = Guard(0)
    known, host = familiar(guard=guard)
    frames = [frame(payload(config(), counter)) for counter in (2, 3, 2)]

    heard = [known.hear(data, ns(n)) for n, data in enumerate(frames, start=1)]

    assert heard == [[], [], None]
    assert host.deadline == ns(2) + HOST.master_down_interval_ns


def test_a_master_learns_the_counter() -> None:
    """By which it knows a tie from one and the same frame that comes twice."""
    config_ = config(source=HIGHER)
    first = frame(payload(config(), 1))
    known, host = familiar(config_, first)
    again, more = (frame(payload(config(), counter)) for counter in (50, 51))

    def becomes_master(now: float) -> None:
        host.handle(Tick(), ns(now))
        assert host.state is State.MASTER

    becomes_master(3)
    assert known.hear(again, ns(3.5)) is not None  # a tie, and it is lost
    assert host.state is State.BACKUP
    becomes_master(6.5)
    states = []
    for heard in (again, again, more):
        assert known.hear(heard, ns(7)) is not None
        states.append(host.state)

    assert states == [State.MASTER, State.MASTER, State.BACKUP]


def test_a_sender_has_its_own_form() -> None:
    """One that signs link-local addresses, which we do not, is as familiar as any."""
    host = config(vips=(VIP, IPv6Address("fe80::1")))
    signer = Authenticator(Key(PASSWORD), host.vhid, host.vips, link_local=True)
    one, other = (
        frame(payload(host, counter, digest=signer.digest(counter)))
        for counter in (1, 2)
    )
    known, _ = familiar(host, one)

    assert known.hear(other, ns(1)) == []
    assert known.hear(frame(payload(host, 3)), ns(1)) is None


def test_without_a_key_digests_do_not_count() -> None:
    """As in the long way."""
    known, _ = familiar(replace(HOST, key=None))

    assert known.hear(frame(payload(config(), 1, password=b"hate")), ns(1)) == []


def test_what_came_of_it_is_a_step() -> None:
    """Of the advert that was heard, not of the one that was learnt."""
    slower = payload(config(), 3, advskew=200)
    known, host = familiar(replace(HOST, preempt=True), frame(slower))
    again = frame(payload(config(), 4, advskew=200))

    actions = known.hear(again, ns(2))

    assert actions is not None
    step = known.step(again, actions, ns(2))
    assert words(step.actions)[0] == "BACKUP -> MASTER preemption"
    assert (step.at, step.interface, step.vhid) == (ns(2), "eth0", 7)
    assert step.event == AdvertReceived(LOWER, 1, 200, 4)
    assert (step.state, step.deadline) == (host.state, host.deadline)


def test_the_source_is_where_it_should_be() -> None:
    """A replay finds the familiar of a frame by it."""
    assert FIRST[SOURCE] == LOWER.packed
    assert PASSWORD not in FIRST
