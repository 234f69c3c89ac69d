"""The next hop to a peer: with answers made by hand, then of a real kernel."""

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address
from carppcap.errors import LinkError
from carppcap.system import rtnetlink
from carppcap.system.neighbours import Neighbours, NotPermittedError
from tests.netlink import (
    ERROR,
    GETNEIGH,
    GETROUTE,
    MAC,
    NEWLINK,
    NEWNEIGH,
    NEWROUTE,
    SHORT,
    Answers,
    attribute,
    error_message,
    install,
    message,
)
from tests.netns.namespaces import Namespace
from tests.shell import ip, make_link, network, wait_for

UNICAST, LOCAL, BROADCAST = 1, 2, 3
INCOMPLETE, REACHABLE, STALE, DELAY, PROBE = 0x01, 0x02, 0x04, 0x08, 0x10
FAILED, NOARP, PERMANENT = 0x20, 0x40, 0x80

LOWER = IPv4Address("10.1.1.4")
PEER6 = IPv6Address("fd00::4")
GATEWAY = IPv4Address("10.1.1.1")


def route_message(*extra: bytes, kind: int = UNICAST, index: int = 3) -> bytes:
    """Return a message about a route, by default through interface 3."""
    head = pack("=BBBBBBBBI", 2, 32, 0, 0, 254, 0, 0, kind, 0)
    return message(NEWROUTE, head + attribute(4, pack("=i", index)) + b"".join(extra))


def neighbour_message(state: int, mac: bytes = MAC) -> bytes:
    """Return a message about an entry of the kernel's table."""
    head = pack("=BxxxiHBB", 2, 3, state, 0, 1)
    return message(NEWNEIGH, head + (attribute(2, mac) if mac else b""))


def asked(address: Address) -> bytes:
    """Return the body of a request about that neighbour."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return pack("=BxxxiHBB", family, 3, 0, 0, 0) + attribute(1, address.packed)


@pytest.fixture
def answers() -> Answers:
    """Replace the kernel's answers: at first the peer is on the link, and known."""
    return {
        GETROUTE: [route_message()],
        GETNEIGH: [neighbour_message(REACHABLE)],
        NEWNEIGH: [error_message(0)],
    }


@pytest.mark.parametrize(
    ("entry", "mac", "is_asked_for"),
    [
        (neighbour_message(REACHABLE), MAC, False),
        (neighbour_message(DELAY), MAC, False),
        (neighbour_message(PROBE), MAC, False),
        (neighbour_message(PERMANENT), MAC, False),
        (neighbour_message(NOARP), MAC, False),
        (neighbour_message(STALE), MAC, True),
        (neighbour_message(FAILED), None, True),
        (neighbour_message(FAILED, b""), None, True),
        (neighbour_message(INCOMPLETE, b""), None, False),
        (neighbour_message(0, b""), None, True),
        (neighbour_message(NOARP, b""), None, False),
        (neighbour_message(PERMANENT, bytes(20)), None, False),
        (error_message(errno.ENOENT), None, True),
        (error_message(errno.ENODEV), None, False),
        (message(NEWLINK, bytes(16)), None, True),
    ],
)
def test_states(
    monkeypatch: pytest.MonkeyPatch,
    answers: Answers,
    entry: bytes,
    mac: bytes | None,
    is_asked_for: bool,
) -> None:
    """Each state says whether the MAC is used, and whether it is resolved again."""
    answers[GETNEIGH] = [entry]
    kernel = install(monkeypatch, answers)

    assert Neighbours(3).mac_of(LOWER) == mac
    use = pack("=BxxxiHBB", 2, 3, 0, 1, 0) + attribute(1, LOWER.packed)
    expected = [(NEWNEIGH, use)] if is_asked_for else []
    assert kernel.questions[1:] == [(GETNEIGH, asked(LOWER)), *expected]


@pytest.mark.parametrize("peer", [LOWER, PEER6])
@pytest.mark.parametrize(
    ("route", "hop"),
    [
        (route_message(), None),
        (route_message(attribute(5, GATEWAY.packed)), GATEWAY),
        (route_message(attribute(5, PEER6.packed)), PEER6),
        (route_message(attribute(18, pack("=H", 10) + PEER6.packed)), PEER6),
        (message(NEWLINK, bytes(16)) + route_message(), None),
    ],
)
def test_next_hop(
    monkeypatch: pytest.MonkeyPatch,
    answers: Answers,
    peer: Address,
    route: bytes,
    hop: Address | None,
) -> None:
    """It is the peer itself, or a gateway of either family."""
    answers[GETROUTE] = [route]
    kernel = install(monkeypatch, answers)

    assert Neighbours(3).mac_of(peer) == MAC
    family = socket.AF_INET if peer.version == 4 else socket.AF_INET6
    request = pack("=BBBBBBBBI", family, peer.max_prefixlen, *[0] * 7)
    request += attribute(1, peer.packed) + attribute(4, pack("=i", 3))
    assert kernel.questions == [(GETROUTE, request), (GETNEIGH, asked(hop or peer))]


@pytest.mark.parametrize(
    "route",
    [
        error_message(errno.ENETUNREACH),
        error_message(errno.ENODEV),
        error_message(errno.EPERM + 1000),
        error_message(0),
        route_message(kind=LOCAL),
        route_message(kind=BROADCAST),
        route_message(index=4),
        route_message(attribute(5, b"abc")),
        message(NEWROUTE, bytes(12)),
    ],
)
def test_no_way_there(
    monkeypatch: pytest.MonkeyPatch, answers: Answers, route: bytes
) -> None:
    """A route that is missing, not unicast or through another interface is no use."""
    answers[GETROUTE] = [route]
    kernel = install(monkeypatch, answers)

    assert Neighbours(3).mac_of(LOWER) is None
    assert [kind for kind, _ in kernel.questions] == [GETROUTE]


ARP = "10.1.1.4 does not answer ARP"
NO_ROUTE = "there is no route to it"


@pytest.mark.parametrize(
    ("route", "entry", "before", "after"),
    [
        (route_message(), neighbour_message(FAILED, b""), None, ARP),
        (route_message(), neighbour_message(FAILED), None, ARP),
        (route_message(), neighbour_message(INCOMPLETE, b""), None, None),
        (route_message(), neighbour_message(INCOMPLETE, b""), ARP, ARP),
        (route_message(), neighbour_message(INCOMPLETE, b""), NO_ROUTE, None),
        (route_message(), neighbour_message(STALE), ARP, None),
        (route_message(), neighbour_message(PERMANENT), NO_ROUTE, None),
        (
            route_message(attribute(5, PEER6.packed)),
            neighbour_message(FAILED),
            None,
            "fd00::4 does not answer neighbour solicitations",
        ),
        (error_message(errno.ENETUNREACH), b"", ARP, NO_ROUTE),
        (error_message(errno.EHOSTUNREACH), b"", None, NO_ROUTE),
        (error_message(errno.EACCES), b"", None, NO_ROUTE),
        (error_message(errno.EINVAL), b"", None, NO_ROUTE),
        (route_message(kind=LOCAL), b"", None, NO_ROUTE),
        (error_message(errno.ENODEV), b"", None, None),
    ],
)
def test_unreachable_addresses(
    answers: Answers, route: bytes, entry: bytes, before: str | None, after: str | None
) -> None:
    """One is named when the kernel gives up, and until there is a MAC for it."""
    answers |= {GETROUTE: [route], GETNEIGH: [entry]}
    with pytest.MonkeyPatch.context() as patch:
        install(patch, answers)
        neighbours = Neighbours(3)
        if before is not None:
            neighbours.unreachable[LOWER] = before
        neighbours.mac_of(LOWER)

    assert neighbours.unreachable.get(LOWER) == after


def test_a_refusal_is_told_once(
    monkeypatch: pytest.MonkeyPatch, answers: Answers
) -> None:
    """The error names the capability; later calls return None."""
    answers[GETNEIGH] = [error_message(errno.ENOENT)]
    answers[NEWNEIGH] = [error_message(errno.EPERM)]
    install(monkeypatch, answers)
    neighbours = Neighbours(3)

    with pytest.raises(NotPermittedError) as caught:
        neighbours.mac_of(LOWER)
    assert str(caught.value) == (
        "Unable to have 10.1.1.4 resolved: Operation not permitted "
        "(--peer needs CAP_NET_ADMIN)"
    )
    assert neighbours.mac_of(LOWER) is None


def test_netlink_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may forbid netlink: the error says so."""

    def refuse(groups: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(rtnetlink, "open_netlink", refuse)

    with pytest.raises(LinkError, match=r"^Unable to ask for the neighbours of an"):
        Neighbours(3)


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(SHORT))))
def test_any_answer(pieces: list[bytes]) -> None:
    """Any bytes lead to a MAC or to None."""
    answer = b"".join(pieces)
    made = {
        GETROUTE: [route_message(), answer],
        GETNEIGH: [answer, neighbour_message(STALE)],
        NEWNEIGH: [answer, error_message(0)],
    }
    with pytest.MonkeyPatch.context() as patch:
        install(patch, made)
        neighbours = Neighbours(3)
        made[GETROUTE].reverse()
        for _ in range(2):
            try:
                assert neighbours.mac_of(LOWER) in (None, MAC)
            except NotPermittedError:
                assert ERROR.to_bytes(2, "little") in answer


class Peer:
    """The far end of the cable, in a network of its own."""

    mac = bytes.fromhex("02000000000b")

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        ip(f"link set b0 netns {namespace.pid} address {self.mac.hex(':')}")
        self.run(*("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/b0/disable_ipv6"))
        self.run(*"ip link set b0 up".split())

    def run(self, *command: str) -> None:
        """Run a command on the far end."""
        subprocess.run(self._namespace.command(command), check=True)

    def add(self, address: str) -> None:
        """Give it an address, usable at once."""
        self.run(
            *f"ip address add {address} dev b0".split(), *["nodad"] * (":" in address)
        )


@pytest.fixture
def peer() -> Iterator[Peer]:
    """We are 10.1.1.5 and fd00::5 on a0; the peer has no address yet."""
    with network():
        make_link()
        namespace = Namespace()
        try:
            far_end = Peer(namespace)
            Path("/proc/sys/net/ipv6/conf/a0/disable_ipv6").write_text("0")
            ip("address add fd00::5/64 dev a0 nodad")
            yield far_end
        finally:
            namespace.close()


def tune(name: str, value: int) -> None:
    """Shorten the delays of the kernel in resolving an address."""
    Path(f"/proc/sys/net/ipv4/neigh/a0/{name}").write_text(str(value))


def index() -> int:
    return socket.if_nametoindex("a0")


def entry(address: str) -> str:
    """Return what the kernel has about a neighbour."""
    shown = subprocess.run(
        ["ip", "neighbour", "show", address, "nud", "all"],
        check=True,
        capture_output=True,
        text=True,
    )
    return shown.stdout


@pytest.mark.netns
@pytest.mark.parametrize(
    ("far", "target", "route"),
    [
        ("10.1.1.4/24", "10.1.1.4", ""),
        ("fd00::4/64", "fd00::4", ""),
        ("10.1.1.4/24", "192.0.2.9", "route add 192.0.2.0/24 via 10.1.1.4"),
        ("fd00::4/64", "2001:db8::9", "route add default via fd00::4"),
        ("fd00::4/64", "192.0.2.9", "route add 192.0.2.0/24 via inet6 fd00::4 dev a0"),
    ],
)
def test_resolved_by_the_kernel(peer: Peer, far: str, target: str, route: str) -> None:
    """The MAC is unknown at first, and the kernel resolves it."""
    peer.add(far)
    if route:
        ip(route)
    neighbours = Neighbours(index())

    assert neighbours.mac_of(ip_address(target)) is None
    hop = far.partition("/")[0]
    assert entry(hop)
    wait_for(partial(neighbours.mac_of, ip_address(target)), "the peer's MAC")

    assert neighbours.mac_of(ip_address(target)) == peer.mac
    neighbours.close()


@pytest.mark.netns
def test_a_peer_that_comes_later(peer: Peer) -> None:
    """The kernel gives up, is asked again, and then finds the peer."""
    tune("retrans_time_ms", 20)
    neighbours = Neighbours(index())
    assert neighbours.mac_of(LOWER) is None
    wait_for(lambda: "FAILED" in entry("10.1.1.4"), "the kernel to give up")

    peer.add("10.1.1.4/24")
    wait_for(lambda: neighbours.mac_of(LOWER) == peer.mac, "the peer's MAC")
    neighbours.close()


@pytest.mark.netns
@pytest.mark.parametrize("state", ["permanent", "noarp"])
def test_entries_by_hand(peer: Peer, state: str) -> None:
    """A permanent entry is used, and nothing is resolved."""
    ip(f"neighbour add 10.1.1.4 lladdr 02:00:00:00:00:0a dev a0 nud {state}")
    neighbours = Neighbours(index())

    assert neighbours.mac_of(LOWER) == MAC
    assert state.upper() in entry("10.1.1.4")
    neighbours.close()


@pytest.mark.netns
def test_a_stale_entry_is_confirmed(peer: Peer) -> None:
    """It is used until the kernel has another: here the peer has a new card."""
    tune("retrans_time_ms", 20)
    tune("delay_first_probe_time", 0)
    peer.add("10.1.1.4/24")
    ip("neighbour add 10.1.1.4 lladdr 02:00:00:00:00:0a dev a0 nud stale")
    neighbours = Neighbours(index())

    assert neighbours.mac_of(LOWER) == MAC
    wait_for(lambda: neighbours.mac_of(LOWER) == peer.mac, "the new MAC")
    neighbours.close()


@pytest.mark.netns
def test_an_interface_that_goes(peer: Peer) -> None:
    """Every answer is None; the interface made next needs another object."""
    ip("neighbour add 10.1.1.4 lladdr 02:00:00:00:00:0a dev a0 nud permanent")
    neighbours = Neighbours(index())
    assert neighbours.mac_of(LOWER) == MAC

    ip("link set a0 down")
    assert neighbours.mac_of(LOWER) is None
    ip("link delete a0")
    assert neighbours.mac_of(LOWER) is None
    assert neighbours.mac_of(PEER6) is None
    neighbours.close()


@pytest.mark.netns
def test_without_the_right_to_ask(peer: Peer) -> None:
    """A process that gave up its capabilities gets one error."""
    neighbours = Neighbours(index())
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermittedError):
            neighbours.mac_of(LOWER)
        assert neighbours.mac_of(LOWER) is None
    finally:
        os.seteuid(0)
    neighbours.close()
