"""Interfaces as the kernel describes them, and malformed answers."""

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
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import CARP_GROUP6, Address
from carppcap.errors import LinkError
from carppcap.system import link
from carppcap.system.link import (
    LinkMonitor,
    LinkStatus,
    Membership,
    can_exist,
    device_of,
)
from carppcap.system.rtnetlink import Enquiry, find_address
from carppcap.system.source_address import LinkAddress
from tests.builders import GROUP, HIGHER, LOWER, OURS, VIP
from tests.netlink import (
    DONE,
    DONE_MESSAGE,
    GETADDR,
    GETLINK,
    GETROUTE,
    MAC,
    NEWADDR,
    SHORT,
    Answers,
    address_message,
    attribute,
    error_message,
    install,
    link_message,
    message,
    route_message,
)
from tests.shell import ip, make_link, network, wait_for

OURS6 = IPv6Address("fd00::5")
VIP6 = IPv6Address("fd00::252")
LOOPBACK = IPv4Address("127.0.0.1")


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Replace the kernel's answers: at first a valid one about a0."""
    made = {
        GETLINK: [link_message()],
        GETADDR: [
            address_message(OURS.packed),
            address_message(OURS6.packed, kind=1, prefix=64),
            DONE_MESSAGE,
        ],
    }
    install(monkeypatch, made)
    return made


SOUND = LinkStatus(
    index=3,
    name="a0",
    up=True,
    carrier=True,
    mac=MAC,
    addresses=frozenset({OURS, OURS6}),
    sources=(LinkAddress(OURS, 24), LinkAddress(OURS6, 64)),
)


def test_status(answers: Answers) -> None:
    """Two requests give index, flags, MAC and addresses."""
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
        (link_message(name=b"f\xfcr0"), {"name": "f\udcfcr0"}),
        (link_message(index=9), {"index": 9, "addresses": frozenset(), "sources": ()}),
        (message(99, b"what?") + link_message(), {}),
    ],
)
def test_flags(answers: Answers, answer: bytes, changes: dict[str, Any]) -> None:
    """Each flag and message type changes the status as it should."""
    answers[GETLINK] = [answer]

    assert LinkMonitor("a0").status() == replace(SOUND, **changes)


def test_addresses(answers: Answers) -> None:
    """They may come in several messages; on a point-to-point link ours is taken.

    A kernel without strict checking lists other interfaces, too.
    """
    both = pack("=BBBBI", socket.AF_INET, 32, 0, 0, 3)
    both += attribute(1, LOWER.packed) + attribute(2, HIGHER.packed)
    answers[GETADDR] = [
        address_message(OURS.packed) + address_message(VIP.packed, kind=1),
        message(NEWADDR, both) + address_message(VIP6.packed, index=5) + DONE_MESSAGE,
    ]

    assert LinkMonitor("a0").status().addresses == {OURS, VIP, HIGHER}


def test_a_list_that_changes_all_the_time(answers: Answers) -> None:
    """Every address of any reply counts, as the last reply describes it."""
    overtaken = message(DONE, bytes(4), flags=0x10)
    answers[GETADDR] = [
        address_message(OURS6.packed, kind=1, prefix=64, flags=0x40),
        address_message(OURS.packed) + overtaken,
    ]
    status = LinkMonitor("a0").status()

    assert status.addresses == {OURS, OURS6}
    assert status.sources == (LinkAddress(OURS, 24),)


DUPLICATE, TENTATIVE = 0x48, 0x40
NOT_THERE = error_message(errno.EADDRNOTAVAIL)


@pytest.mark.parametrize(
    ("wanted", "here", "elsewhere", "expected"),
    [
        pytest.param(VIP, address_message(VIP.packed), b"", "held", id="here"),
        pytest.param(VIP, b"", route_message(2), "held", id="ipv4-elsewhere"),
        pytest.param(VIP, b"", route_message(1), "", id="ipv4-of-another-host"),
        pytest.param(VIP, b"", error_message(errno.ENETUNREACH), "", id="no-route"),
        pytest.param(
            VIP6,
            address_message(VIP6.packed, kind=1, flags=DUPLICATE),
            address_message(VIP6.packed, kind=1),
            "duplicate",
            id="ours-counts",
        ),
        pytest.param(
            VIP6,
            address_message(VIP6.packed, kind=1, flags=TENTATIVE),
            b"",
            "held tentative",
            id="being-asked-about",
        ),
        pytest.param(
            VIP6, b"", address_message(VIP6.packed, index=9, kind=1), "held", id="ipv6"
        ),
        pytest.param(VIP6, b"", NOT_THERE, "", id="ipv6-of-another-host"),
    ],
)
def test_held(
    answers: Answers, wanted: Address, here: bytes, elsewhere: bytes, expected: str
) -> None:
    """An address may be on our interface or on another one, which counts less."""
    answers[GETADDR] = [here + DONE_MESSAGE]
    answers[GETROUTE] = [elsewhere]
    monitor = LinkMonitor("a0")

    def find(kernel: Enquiry, address: Address) -> LinkAddress | None:
        answers[GETADDR] = [elsewhere]
        return find_address(kernel, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "find_address", find)
        found = monitor.held(3, [wanted])

    words = zip(("held", "tentative", "duplicate"), found, strict=True)
    assert [word for word, which in words if which == {wanted}] == expected.split()


def test_held_without_an_interface(answers: Answers) -> None:
    """Without the interface, the address may be on another one."""
    answers[GETROUTE] = [route_message(2)]
    monitor = LinkMonitor("a0")
    assert monitor.held(0, [VIP]).addresses == {VIP}

    answers[GETADDR] = [error_message(errno.ENODEV)]
    assert monitor.held(3, [VIP]).addresses == {VIP}


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.EPERM])
def test_held_is_not_known(answers: Answers, number: int) -> None:
    """An error that says nothing about the address is raised."""
    answers[GETADDR] = [DONE_MESSAGE]
    answers[GETROUTE] = [error_message(number)]
    with pytest.raises(OSError, match=os.strerror(number)):
        LinkMonitor("a0").held(3, [VIP])

    answers[GETADDR] = [error_message(number)]
    with pytest.raises(OSError, match=os.strerror(number)):
        LinkMonitor("a0").held(3, [VIP])


@pytest.mark.parametrize(
    ("name", "device", "can"),
    [
        ("eth0", "eth0", True),
        ("eth0:1", "eth0", True),
        ("eth0:a:b", "eth0", True),
        ("enp0s31f6.1000", "enp0s31f6.1000", True),
        ("enp0s31f6.100:22", "enp0s31f6.100", True),
        ("-%s{x}", "-%s{x}", True),
        ("f\udcfcr0", "f\udcfcr0", True),
        ("", "", False),
        (":1", "", False),
        (".", ".", False),
        ("..", "..", False),
        ("a/0", "a/0", False),
        ("a 0", "a 0", False),
        ("a\n", "a\n", False),
        ("a" * 16, "a" * 16, False),
        ("f\udcfc" * 8, "f\udcfc" * 8, False),
    ],
)
def test_names(name: str, device: str, can: bool) -> None:
    """The kernel cuts at the colon, and allows what `dev_valid_name` does."""
    assert device_of(name) == device
    assert can_exist(name) is can


@pytest.mark.parametrize(
    ("flags", "address", "sources"),
    [
        (0x80, OURS6, [LinkAddress(OURS6, 64)]),
        (0x01, OURS6, [LinkAddress(OURS6, 64, secondary=True)]),
        (0x20, OURS6, [LinkAddress(OURS6, 64, deprecated=True)]),
        (0x02, OURS6, [LinkAddress(OURS6, 64)]),  # not to be asked about
        (0x40, OURS6, []),  # being asked about
        (0x44, OURS6, []),  # likewise, in the hope for the best
        (0x48, None, []),  # not ours: a neighbour has it
        (0x08, None, []),
    ],
)
def test_flags_of_addresses(
    answers: Answers,
    flags: int,
    address: Address | None,
    sources: list[LinkAddress],
) -> None:
    """A tentative address is ours but no source; a duplicate is neither."""
    answers[GETADDR] = [
        address_message(OURS6.packed, kind=1, prefix=64, flags=flags) + DONE_MESSAGE
    ]
    monitor = LinkMonitor("a0")

    assert monitor.status().addresses == ({address} if address else set())
    assert monitor.status().sources == tuple(sources)
    assert monitor.held(3, [OURS6]).addresses == ({address} if address else set())


def test_no_answer(answers: Answers) -> None:
    """If the kernel has no memory for its reply, there is an error and no wait."""
    answers[GETADDR] = []

    with pytest.raises(LinkError, match="temporarily unavailable"):
        LinkMonitor("a0").status()


@pytest.mark.parametrize("index", [0, -1])
def test_an_index_that_cannot_be(answers: Answers, index: int) -> None:
    """Interfaces count from 1."""
    answers[GETLINK] = [link_message(index=index)]

    assert LinkMonitor("a0").status() == LinkStatus()


@pytest.mark.parametrize("number", [errno.ENODEV, 0])
def test_there_is_no_such_interface(answers: Answers, number: int) -> None:
    """The error of the kernel becomes a status with index 0."""
    answers[GETLINK] = [error_message(number)]

    assert LinkMonitor("a0").status() == LinkStatus()


def test_the_kernel_refuses(answers: Answers) -> None:
    """The error has the words of ucarp."""
    answers[GETLINK] = [error_message(errno.EPERM)]

    with pytest.raises(
        LinkError,
        match=r"^Unable to get hardware info about an interface: Operation not perm",
    ):
        LinkMonitor("a0").status()


def test_netlink_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may forbid netlink: the error says so."""

    def refuse(groups: int) -> socket.socket:
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))

    monkeypatch.setattr(link, "open_netlink", refuse)

    with pytest.raises(
        LinkError, match=r"^Unable to get hardware info .*: Address fam"
    ):
        LinkMonitor("a0")


@pytest.mark.parametrize("name", ["a" * 16, "a" * 5000, "f\udcfc" * 8, "a/0", ":1"])
def test_names_no_interface_can_have(name: str) -> None:
    """An interface with a name that the kernel refuses is not worth waiting for."""
    with pytest.raises(LinkError, match=r"^Unable to open interface \["):
        LinkMonitor(name)


def test_a_name_that_is_no_text() -> None:
    """A name may be any bytes."""
    monitor = LinkMonitor("f\udcfcr0")

    assert monitor.status() == LinkStatus()
    monitor.close()


@pytest.mark.parametrize("answer", SHORT)
def test_answers_cut_short(answers: Answers, answer: bytes) -> None:
    """A truncated answer gives no status and no endless loop."""
    answers[GETADDR] = [answer, DONE_MESSAGE]
    assert LinkMonitor("a0").status().addresses == set()

    answers[GETLINK] = [answer, DONE_MESSAGE]
    assert LinkMonitor("a0").status() == LinkStatus()


@given(st.lists(st.one_of(st.binary(max_size=80), st.sampled_from(SHORT))))
def test_any_answer(pieces: list[bytes]) -> None:
    """Any bytes lead to a status or to a `LinkError`."""
    answer = b"".join(pieces)
    made = {GETLINK: [answer], GETADDR: [answer, answer]}
    with pytest.MonkeyPatch.context() as patch:
        install(patch, made)
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
    """After each change the monitor is readable once, and its status is right."""
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
    """Even if events overflow the socket, the status is right afterwards."""
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
def test_other_interfaces() -> None:
    """Changes of other interfaces make it readable only after `hear_also`."""
    make_link()
    make_link("c0", "d0", "10.4.0.1")
    monitor = LinkMonitor("a0")
    wait_for(lambda: monitor.status().carrier)
    monitor.drain()

    ip("address add 10.2.0.1/32 dev c0")
    ip("link set d0 down")
    ip("link add e0 type veth peer name f0")
    assert not is_readable(monitor)

    monitor.hear_also(socket.if_nametoindex("c0"))
    assert not is_readable(monitor)
    ip("address delete 10.2.0.1/32 dev c0")
    assert is_readable(monitor)
    monitor.drain()
    ip("address add 10.2.0.1/32 dev a0")
    assert is_readable(monitor)
    monitor.drain()
    # Several virtual MACs can be on one interface.
    monitor.hear_also(*(socket.if_nametoindex(name) for name in ("c0", "e0")))
    for name in ("c0", "e0"):
        ip(f"link set {name} down")
        ip(f"link set {name} up")
        assert is_readable(monitor)
        monitor.drain()
    ip("link set d0 up")
    monitor.drain()
    ip("address add 10.2.0.9/32 dev f0")
    assert not is_readable(monitor)
    # With more of them than a filter can compare every event is heard.
    monitor.hear_also(*range(1000, 1300))
    ip("address delete 10.2.0.9/32 dev f0")
    assert is_readable(monitor)
    monitor.close()


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_renamed() -> None:
    """The number counts before our name, as long as there is such an interface."""
    make_link()
    monitor = LinkMonitor("a0:1")
    status = monitor.status()
    number = status.index
    monitor.drain()
    ip("link set a0 down")
    ip("link set a0 name c0")
    assert is_readable(monitor)
    ip("link add a0 type veth peer name f0")

    assert (status.name, monitor.status(number).name) == ("a0", "c0")
    assert monitor.status().index not in {0, number}
    ip("link delete c0")
    assert monitor.status(number) == monitor.status()
    ip("link delete a0")
    assert monitor.status(number) == LinkStatus()
    monitor.close()


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_many_addresses_that_change(tmp_path: Path) -> None:
    """A list of several replies is complete while other addresses come and go."""
    make_link()
    many = "".join(
        f"address add 10.2.{n // 250}.{n % 250 + 1}/32 dev a0\n" for n in range(3000)
    )
    subprocess.run(["ip", "-batch", "-"], input=many.encode(), check=True)
    changes = tmp_path / "changes"
    change = "address add 10.3.0.1/32 dev b0\naddress delete 10.3.0.1/32 dev b0\n"
    changes.write_text(change * 100_000)
    monitor = LinkMonitor("a0")
    with subprocess.Popen(["ip", "-batch", changes]) as changing:
        counts = {len(monitor.status().addresses) for _ in range(30)}
        changing.kill()
    monitor.close()

    assert counts == {3001}


def use_ipv6() -> None:
    """Enable IPv6, which the networks of tests disable."""
    for name in ("all", "default"):
        path = Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6")
        path.write_text("0")


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_an_address_without_duplicate() -> None:
    """An IPv6 address is held at once, and can be sent from a little later.

    The monitor hears of that too.
    """
    use_ipv6()
    make_link()
    monitor = LinkMonitor("a0")
    wait_for(lambda: monitor.status().sources[1:])  # the link-local one is through
    before = {source.address for source in monitor.status().sources}
    monitor.drain()

    ip("address add fd00::5/64 dev a0")

    assert is_readable(monitor)
    status = monitor.status()
    assert OURS6 in status.addresses
    assert {source.address for source in status.sources} == before
    monitor.drain()
    wait_for(partial(is_readable, monitor), "news")
    wait_for(partial(holds, monitor, lambda now: len(now.sources) > len(before)))
    assert LinkAddress(OURS6, 64) in monitor.status().sources
    ip("address delete fd00::5/64 dev a0")
    assert OURS6 not in monitor.status().addresses
    monitor.close()


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
def test_a_neighbour_objects() -> None:
    """An address that is a duplicate is on the interface, but is not held."""
    use_ipv6()
    make_link()
    ip("address add fd00::5/64 dev b0 nodad")
    monitor = LinkMonitor("a0")
    wait_for(lambda: len(monitor.status().sources) == 2, "the link to work")

    ip("address add fd00::5/64 dev a0")
    assert OURS6 in monitor.status().addresses
    wait_for(partial(holds, monitor, lambda now: OURS6 not in now.addresses))

    listed = subprocess.run(
        ["ip", "address", "show", "dev", "a0"], check=True, capture_output=True
    )
    assert b"fd00::5/64" in listed.stdout
    assert b"dadfailed" in listed.stdout
    assert OURS6 not in {source.address for source in monitor.status().sources}
    monitor.close()


@pytest.mark.netns
@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("group", "file", "entry"),
    [
        (GROUP, "igmp", "120000E0"),
        (CARP_GROUP6, "igmp6", "ff020000000000000000000000000012"),
    ],
)
def test_membership(group: Address, file: str, entry: str) -> None:
    """The kernel stays in the group until `close`."""
    use_ipv6()
    make_link()
    index = socket.if_nametoindex("a0")

    def groups() -> str:
        return Path(f"/proc/thread-self/net/{file}").read_text()

    assert entry not in groups()
    membership = Membership(group, index)
    assert entry in groups()
    membership.close()
    assert entry not in groups()


@pytest.mark.parametrize(
    ("group", "option"),
    [(GROUP, "IP_ADD_MEMBERSHIP"), (CARP_GROUP6, "IPV6_JOIN_GROUP")],
)
def test_no_membership(group: Address, option: str) -> None:
    """Without the interface it is an error."""
    with pytest.raises(LinkError, match=rf"^Can't do {option} errno=.* \(\d+\)$"):
        Membership(group, 999_999)


def test_loopback() -> None:
    """Every machine has this interface, with an address and without a MAC."""
    monitor = LinkMonitor("lo")
    status = monitor.status()

    assert status.index == 1
    assert status.mac == b""
    assert monitor.held(0, [LOOPBACK]).addresses == {LOOPBACK}
    assert status.addresses >= {LOOPBACK}
    monitor.close()


def test_no_descriptor_left() -> None:
    """The monitor needs no further descriptor."""
    monitor = LinkMonitor("lo")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            os.dup(0)
        held = monitor.held(0, [LOOPBACK]).addresses == {LOOPBACK}
        status = monitor.status()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    monitor.close()

    assert held
    assert status.index == 1
