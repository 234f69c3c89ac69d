"""Interfaces as the kernel tells of them, and answers no kernel should give."""

import errno
import os
import resource
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from struct import pack, pack_into, unpack_from
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.errors import LinkError
from carppcap.system import link
from carppcap.system.link import LinkMonitor, LinkStatus, Membership
from tests.builders import GROUP, HIGHER, LOWER, OURS, VIP
from tests.shell import ip, make_link, network, wait_for

NEWLINK, GETLINK, NEWADDR, GETADDR, ERROR, DONE = 16, 18, 20, 22, 2, 3
MAC = bytes.fromhex("02000000000a")


def attribute(kind: int, value: bytes) -> bytes:
    whole = pack("=HH", 4 + len(value), kind) + value
    return whole + bytes(-len(whole) % 4)


def message(kind: int, body: bytes, *, flags: int = 0) -> bytes:
    whole = pack("=IHHII", 16 + len(body), kind, flags, 0, 0) + body
    return whole + bytes(-len(whole) % 4)


def link_message(*, index: int = 3, flags: int = 0x41, hardware: int = 1) -> bytes:
    body = pack("=BxHiII", 0, hardware, index, flags, 0)
    return message(NEWLINK, body + attribute(3, b"a0\0") + attribute(1, MAC))


def address_message(address: bytes, *, index: int = 3, kind: int = 2) -> bytes:
    return message(
        NEWADDR, pack("=BBBBI", 2, 24, 0, 0, index) + attribute(kind, address)
    )


DONE_MESSAGE = message(DONE, bytes(4))


def numbered(answer: bytes, number: int) -> bytes:
    """As an answer to the question of that number."""
    made, position = bytearray(answer), 0
    while position + 16 <= len(made):
        pack_into("=I", made, position + 8, number)
        length: int = unpack_from("=I", made, position)[0]
        position += max(-(-length // 4) * 4, 16)
    return bytes(made)


class Kernel:
    """The far end of a netlink socket; `answers` by the type of the question.

    What is in `stale` comes first, as it is.
    """

    def __init__(self, answers: dict[int, list[bytes]], stale: bytes = b"") -> None:
        self._answers = answers
        self._pending = [stale] if stale else []
        self.questions = 0

    def send(self, question: bytes) -> None:
        _, kind, _, number, _ = unpack_from("=IHHII", question)
        self.questions += 1
        self._pending += [numbered(answer, number) for answer in self._answers[kind]]

    def recv(self, length: int) -> bytes:
        if not self._pending:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self._pending.pop(0)

    def close(self) -> None:
        self._pending.clear()


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[int, list[bytes]]:
    """What the kernel says; a sound answer about a0, unless a test changes it."""
    made = {
        GETLINK: [link_message()],
        GETADDR: [address_message(OURS.packed), DONE_MESSAGE],
    }
    monkeypatch.setattr(link, "_open_netlink", lambda _: Kernel(made))
    return made


SOUND = LinkStatus(3, True, True, MAC, frozenset({OURS}))


def test_status(answers: dict[int, list[bytes]]) -> None:
    """Index, flags, MAC and addresses, from two questions."""
    status = LinkMonitor("a0").status()

    assert status == SOUND
    assert status.exists
    assert not LinkStatus().exists


@pytest.mark.parametrize(
    ("answer", "changes"),
    [
        (link_message(flags=0x01), {"carrier": False}),
        (link_message(flags=0x00), {"carrier": False, "up": False}),
        (link_message(hardware=772), {"mac": b""}),
        (link_message(index=9), {"index": 9, "addresses": frozenset()}),
        (message(99, b"what?") + link_message(), {}),
    ],
)
def test_flags(
    answers: dict[int, list[bytes]], answer: bytes, changes: dict[str, Any]
) -> None:
    """Down, without carrier, not Ethernet, another interface, or unknown news."""
    answers[GETLINK] = [answer]

    assert LinkMonitor("a0").status() == replace(SOUND, **changes)


def test_addresses(answers: dict[int, list[bytes]]) -> None:
    """In several pieces; on a point-to-point link our own end is meant."""
    both = pack("=BBBBI", 2, 32, 0, 0, 4)
    both += attribute(1, LOWER.packed) + attribute(2, HIGHER.packed)
    answers[GETADDR] = [
        address_message(OURS.packed) + address_message(VIP.packed, kind=1),
        message(NEWADDR, both) + DONE_MESSAGE,
    ]

    monitor = LinkMonitor("a0")
    assert list(monitor.host_addresses()) == [(3, OURS), (3, VIP), (4, HIGHER)]
    assert monitor.has_any([LOWER, VIP])
    assert not monitor.has_any([LOWER])


def test_an_answer_that_came_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier question left unread is not taken for the answer to this one."""
    made = {GETADDR: [address_message(OURS.packed), DONE_MESSAGE]}
    late = numbered(address_message(VIP.packed) + DONE_MESSAGE, 77)
    monkeypatch.setattr(link, "_open_netlink", lambda _: Kernel(made, late))

    assert list(LinkMonitor("a0").host_addresses()) == [(3, OURS)]


def test_no_answer(answers: dict[int, list[bytes]]) -> None:
    """Nobody waits for a kernel that had no memory for its answer."""
    answers[GETADDR] = []

    with pytest.raises(BlockingIOError):
        LinkMonitor("a0").has_any([VIP])


def test_a_list_that_changed_while_it_was_read(
    monkeypatch: pytest.MonkeyPatch, answers: dict[int, list[bytes]]
) -> None:
    """An address may be missing in it: ask again, though not for ever."""
    overtaken = message(DONE, bytes(4), flags=0x10)
    answers[GETADDR] = [address_message(OURS.packed), overtaken]
    kernel = Kernel(answers)
    monkeypatch.setattr(link, "_open_netlink", lambda _: kernel)
    monitor = LinkMonitor("a0")

    with pytest.raises(BlockingIOError):
        monitor.has_any([OURS])
    assert kernel.questions == 5

    answers[GETADDR] = [address_message(OURS.packed), DONE_MESSAGE]
    assert monitor.has_any([OURS])
    assert kernel.questions == 6


@pytest.mark.parametrize("number", [errno.ENODEV, 0])
def test_there_is_no_such_interface(
    answers: dict[int, list[bytes]], number: int
) -> None:
    """The kernel calls it an error; we do not."""
    answers[GETLINK] = [message(ERROR, pack("=i", -number) + bytes(16))]

    assert LinkMonitor("a0").status() == LinkStatus()


def test_the_kernel_refuses(answers: dict[int, list[bytes]]) -> None:
    """Said in the original's words."""
    answers[GETLINK] = [message(ERROR, pack("=i", -errno.EPERM) + bytes(16))]

    with pytest.raises(
        LinkError,
        match=r"^Unable to get hardware info about an interface: Operation not perm",
    ):
        LinkMonitor("a0").status()


def test_netlink_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a container forbids it."""

    def refuse(groups: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(link, "_open_netlink", refuse)

    with pytest.raises(
        LinkError, match=r"^Unable to get hardware info .*: Address fam"
    ):
        LinkMonitor("a0")


@pytest.mark.parametrize("name", ["a" * 16, "a" * 5000, "f\udcfc" * 8])
def test_names_no_interface_can_have(name: str) -> None:
    """Too long for the kernel, which would call it out of range."""
    monitor = LinkMonitor(name)

    assert monitor.status() == LinkStatus()
    monitor.close()


def test_a_name_that_is_no_text() -> None:
    """Any bytes may stand on a command line."""
    monitor = LinkMonitor("f\udcfcr0")

    assert monitor.status() == LinkStatus()
    monitor.close()


SHORT = [
    b"",
    b"\0",
    bytes(16),
    pack("=IHHII", 15, NEWLINK, 0, 1, 0),
    pack("=IHHII", 0xFFFFFFFF, NEWLINK, 0, 1, 0),
    message(NEWLINK, b""),
    message(NEWLINK, bytes(15)),
    message(ERROR, b""),
    message(NEWADDR, b"\2\0\0"),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + pack("=HH", 0, 2)),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + attribute(2, b"abc")),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + attribute(2, bytes(16))),
    message(NEWADDR, pack("=BBBBI", 2, 0, 0, 0, 3) + pack("=HH", 600, 2) + bytes(2)),
]


@pytest.mark.parametrize("answer", SHORT)
def test_answers_cut_short(answers: dict[int, list[bytes]], answer: bytes) -> None:
    """They say nothing, and are not read for ever."""
    answers[GETADDR] = [answer, DONE_MESSAGE]
    assert list(LinkMonitor("a0").host_addresses()) == []

    answers[GETLINK] = [answer, DONE_MESSAGE]
    assert LinkMonitor("a0").status() == LinkStatus()


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(SHORT))))
def test_any_answer(pieces: list[bytes]) -> None:
    """Whatever comes: a status, or a sentence about why there is none."""
    answer = b"".join(pieces)
    made = {GETLINK: [answer], GETADDR: [answer, answer]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "_open_netlink", lambda _: Kernel(made))
        with suppress(LinkError):
            assert isinstance(LinkMonitor("a0").status(), LinkStatus)


def holds(monitor: LinkMonitor, is_so: Callable[[LinkStatus], bool]) -> bool:
    return is_so(monitor.status())


def is_readable(monitor: LinkMonitor) -> bool:
    return bool(select.select([monitor], [], [], 0)[0])


@pytest.fixture
def inside() -> Iterator[None]:
    with network():
        yield


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_the_life_of_an_interface() -> None:
    """Each change makes the monitor readable once, and then is what it says."""
    monitor = LinkMonitor("a0")
    assert not is_readable(monitor)
    assert not monitor.status().exists
    make_link()
    wait_for(lambda: monitor.status().carrier)
    steps: list[tuple[str, Callable[[LinkStatus], bool]]] = [
        ("link set b0 down", lambda now: now.up and not now.carrier),
        ("link set b0 up", lambda now: now.carrier),
        ("link set a0 down", lambda now: now.exists and not now.up),
        ("link set a0 up", lambda now: now.up),
        ("link set a0 address 02:00:00:00:00:0a", lambda now: now.mac == MAC),
        ("address add 10.1.1.252/32 dev a0", lambda now: now.addresses == {OURS, VIP}),
        ("address flush dev a0", lambda now: not now.addresses),
        ("link delete a0", lambda now: now == LinkStatus()),
    ]
    for command, is_so in steps:
        monitor.drain()
        ip(command)
        assert is_readable(monitor), command
        wait_for(partial(holds, monitor, is_so), command)

    monitor.drain()
    assert not is_readable(monitor)
    monitor.close()


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_lost_events() -> None:
    """More news than the socket holds: some are lost, but never the truth."""
    make_link()
    monitor = LinkMonitor("a0")
    monitor._events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    batch = "".join(f"address add 10.2.0.{n}/32 dev a0\n" for n in range(1, 200))
    subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True)
    with pytest.raises(OSError, match="No buffer space"):
        assert list(iter(lambda: monitor._events.recv(65536), b"")) == []
    batch = batch.replace("10.2", "10.3")
    subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True)

    monitor.drain()
    monitor.drain()  # the first stops where the kernel says that some were lost

    assert not is_readable(monitor)
    assert len(monitor.status().addresses) == 1 + 199 + 199
    ip("link set a0 down")
    assert is_readable(monitor)
    monitor.close()


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_membership() -> None:
    """The kernel holds the group for as long as we do."""
    make_link()
    index = socket.if_nametoindex("a0")

    def groups() -> str:
        return Path("/proc/thread-self/net/igmp").read_text()

    assert "120000E0" not in groups()
    membership = Membership(GROUP, index)
    assert "120000E0" in groups()
    membership.close()
    assert "120000E0" not in groups()


def test_no_membership() -> None:
    """Without the interface there is nothing to be a member on."""
    with pytest.raises(
        LinkError, match=r"^Can't do IP_ADD_MEMBERSHIP errno=.* \(\d+\)$"
    ):
        Membership(IPv4Address("224.0.0.18"), 999_999)


def test_loopback() -> None:
    """The one interface that every machine has: no MAC, and an address."""
    monitor = LinkMonitor("lo")
    status = monitor.status()

    assert status.index == 1
    assert status.mac == b""
    assert monitor.has_any([IPv4Address("127.0.0.1")])
    monitor.close()


def test_no_descriptor_left() -> None:
    """Whether we hold an address can be told even then."""
    monitor = LinkMonitor("lo")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        held = monitor.has_any([IPv4Address("127.0.0.1")])
        status = monitor.status()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    monitor.close()

    assert held
    assert status.index == 1
