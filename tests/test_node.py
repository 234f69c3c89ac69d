"""Several virtual hosts on one machine: who is meant, and who is due next."""

from carppcap.actions import State
from carppcap.events import AdvertReceived, LinkDown, Start, Stop, Tick
from carppcap.frames import Datagram, Defect
from carppcap.ingress import Rejection, RejectReason
from carppcap.node import Node, Step
from tests.builders import GROUP, LOWER, config, counters, ns, payload, words

ONE = config(vhid=1)
TWO = config(vhid=2, advskew=64)
ELSEWHERE = config(vhid=1, interface="eth1", advbase=2)


def started() -> Node:
    node = Node([ONE, TWO, ELSEWHERE], counters())
    node.handle("eth0", 1, Start(), ns(0))
    node.handle("eth0", 2, Start(), ns(1))
    node.handle("eth1", 1, Start(), ns(2))
    return node


def received(vhid: int, *, counter: int = 900) -> Datagram:
    body = payload(config(vhid=vhid), counter)
    return Datagram(LOWER, GROUP, 255, True, body)


def test_a_step_tells_everything() -> None:
    """Event, actions in order, and the state and deadline after them."""
    node = Node([ONE], counters())

    step = node.handle("eth0", 1, Start(), ns(5))

    assert (step.at, step.interface, step.vhid, step.event) == (
        ns(5),
        "eth0",
        1,
        Start(),
    )
    assert words(step.actions) == ["INIT -> BACKUP startup", "release"]
    assert (step.state, step.deadline) == (State.BACKUP, ns(8))


def test_without_hosts_nothing_is_due() -> None:
    """And before they start, neither."""
    assert Node([], counters()).deadline is None
    assert Node([ONE], counters()).deadline is None
    assert Node([ONE], counters()).tick(ns(100)) == []


def test_the_earliest_deadline_counts() -> None:
    """Each host has its own; the node answers with the first."""
    node = started()
    assert node.deadline == ns(3)

    node.handle("eth0", 1, Stop(), ns(2))
    assert node.deadline == ns(4.25)

    node.handle("eth0", 2, LinkDown(), ns(2))
    assert node.deadline == ns(8)


def test_tick_wakes_those_that_are_due() -> None:
    """Exactly at its deadline or later, and nobody else."""
    node = started()

    assert node.tick(ns(3) - 1) == []
    (first,) = node.tick(ns(3))
    assert (first.vhid, first.event, first.state) == (1, Tick(), State.MASTER)

    late = node.tick(ns(8))
    assert [(s.interface, s.vhid) for s in late] == [
        ("eth0", 1),
        ("eth0", 2),
        ("eth1", 1),
    ]
    assert {s.state for s in late} == {State.MASTER}


def test_one_vhid_on_two_interfaces_is_two_hosts() -> None:
    """The interface is part of the name."""
    node = started()

    step = node.receive("eth1", received(1), ns(2.5))

    assert isinstance(step, Step)
    assert (step.interface, step.deadline) == ("eth1", ns(8.5))
    assert node.deadline == ns(3)


def test_a_host_can_be_asked_directly() -> None:
    """It is the one that the steps tell of."""
    node = started()
    step = node.handle("eth0", 2, LinkDown(), ns(2))

    host = node.host("eth0", 2)

    assert host.config is TWO
    assert (host.state, host.deadline) == (step.state, step.deadline)


def test_receive_finds_the_host() -> None:
    """By the vhid of the advert."""
    node = started()

    step = node.receive("eth0", received(2), ns(2))

    assert isinstance(step, Step)
    assert (step.vhid, step.deadline) == (2, ns(5.25))
    assert step.event == AdvertReceived(LOWER, 1, 0, 900)
    assert node.state("eth0", 2) is State.BACKUP


def test_receive_passes_rejections_on() -> None:
    """Nothing moves, and the caller learns why."""
    node = started()
    unknown = node.receive("eth0", received(3), ns(2))

    assert isinstance(unknown, Rejection)
    assert unknown.reason is RejectReason.BADVHID
    assert node.receive("eth0", Defect.FOREIGN, ns(2)) is None
    assert node.receive("eth0", Defect.TRUNCATED, ns(2)) == Rejection(
        RejectReason.BADLEN
    )
    assert node.deadline == ns(3)


def test_an_echo_is_known_by_its_counter() -> None:
    """Even from another address: a bridge or a router sent our advert back."""
    node = started()
    (step,) = node.tick(ns(3))
    assert words(step.actions)[1] == "advert 1/0"  # the first counter drawn is 1

    echo = node.receive("eth0", received(1, counter=1), ns(3.5))
    other_host = node.receive("eth0", received(2, counter=1), ns(3.5))

    assert isinstance(echo, Rejection)
    assert (echo.reason, echo.source) == (RejectReason.OWN, LOWER)
    assert node.state("eth0", 1) is State.MASTER
    assert isinstance(other_host, Step)
