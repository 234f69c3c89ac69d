"""Addresses with a lifetime: the messages, and what the kernel makes of them."""

import errno
import json
import socket
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address
from struct import pack
from typing import Any

import pytest

from carppcap.errors import LinkError
from carppcap.system.kernel_addresses import (
    MARK,
    ONLY_REMOVALS,
    SKIP_REFRESHES,
    Instance,
    KernelAddresses,
    Place,
    check_permission,
)
from carppcap.system.rtnetlink import open_netlink
from carppcap.system.socket_filter import ACCEPT, attach_filter
from tests.netlink import (
    DONE_MESSAGE,
    GETADDR,
    NEWADDR,
    address_message,
    attribute,
    error_message,
    install,
)
from tests.shell import ip, make_link, network

VIP = Place(ip_address("10.1.1.252"), 32)
NETWORK = Place(ip_address("10.1.1.252"), 24)
VIP6 = Place(ip_address("fd00::252"), 128)
NETWORK6 = Place(ip_address("fd00::252"), 64)
DELADDR = 21


def _decoded(kind: int, body: bytes) -> Any:
    """An RTM_*ADDR as pyroute2 reads it."""
    library = pytest.importorskip("pyroute2.netlink.rtnl.ifaddrmsg")
    message = library.ifaddrmsg(pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body)
    message.decode()
    return message


@pytest.mark.parametrize(
    ("place", "metric", "preferred", "flags"),
    [
        (VIP, 0, 2, 0),
        (NETWORK, 65_535, 2, 0),
        (VIP6, 0, 0, 0x02),
        (NETWORK6, 0, 2, 0x02),
    ],
)
def test_how_an_address_is_set(
    monkeypatch: pytest.MonkeyPatch,
    place: Place,
    metric: int,
    preferred: int,
    flags: int,
) -> None:
    """pyroute2 reads what was meant."""
    kernel = install(monkeypatch, {NEWADDR: [error_message(0)]})

    KernelAddresses().hold(3, place, 2, metric)

    [(kind, body)] = kernel.questions
    message = _decoded(kind, body)
    assert kind == NEWADDR
    assert (message["index"], message["prefixlen"]) == (3, place.prefix)
    for name in ("IFA_LOCAL", "IFA_ADDRESS"):
        assert message.get_attr(name) == str(place.address)
    info = message.get_attr("IFA_CACHEINFO")
    assert (info["ifa_valid"], info["ifa_preferred"]) == (2, preferred)
    assert message.get_attr("IFA_FLAGS") == flags
    assert message.get_attr("IFA_PROTO") == MARK
    assert message.get_attr("IFA_RT_PRIORITY") == (metric or None)


@pytest.mark.parametrize("number", [0, errno.EADDRNOTAVAIL, errno.ENODEV])
def test_how_an_address_is_removed(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """By its prefix; one that is gone is no failure."""
    kernel = install(monkeypatch, {DELADDR: [error_message(number)]})

    KernelAddresses().remove(3, NETWORK)

    [(kind, body)] = kernel.questions
    message = _decoded(kind, body)
    assert (kind, message["prefixlen"]) == (DELADDR, 24)
    assert message.get_attr("IFA_LOCAL") == str(NETWORK.address)


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised, and in words at the start."""
    install(monkeypatch, {DELADDR: [error_message(errno.EPERM)]})

    with pytest.raises(PermissionError):
        KernelAddresses().remove(3, VIP)
    with pytest.raises(LinkError, match=r"not permitted.*needs CAP_NET_ADMIN"):
        check_permission(VIP)


def _message(place: Place, *, permanent: bool, mark: int | None) -> bytes:
    flags = 0x80 if permanent else 0
    packed = place.address.packed
    whole = address_message(packed, prefix=place.prefix, flags=flags)
    if mark is not None:
        whole += attribute(11, bytes((mark,)))
    return pack("=I", len(whole)) + whole[4:]


@pytest.mark.parametrize(
    ("permanent", "mark", "ours"),
    [
        (True, None, False),
        (True, 0, False),
        (True, MARK, True),
        (False, None, True),
        (False, 3, True),
    ],
)
def test_what_is_ours(
    monkeypatch: pytest.MonkeyPatch, permanent: bool, mark: int | None, ours: bool
) -> None:
    """What has our mark or, on old kernels, a lifetime."""
    messages = _message(NETWORK, permanent=permanent, mark=mark)
    other = address_message(b"\x0a\1\1\5")
    install(monkeypatch, {GETADDR: [messages + other, DONE_MESSAGE]})

    found = KernelAddresses().find({NETWORK.address})

    assert found == [Instance(3, NETWORK, ours)]


@pytest.mark.parametrize(("flags", "failed"), [(0x80, False), (0x88, True)])
def test_duplicates(monkeypatch: pytest.MonkeyPatch, flags: int, failed: bool) -> None:
    """An address that another host has, as the kernel has found, is told apart."""
    message = address_message(VIP6.address.packed, prefix=128, flags=flags)
    install(monkeypatch, {GETADDR: [message, DONE_MESSAGE]})

    [found] = KernelAddresses().find({VIP6.address})

    assert found.is_duplicate is failed


def test_an_interface_that_is_gone() -> None:
    """It has a number still."""
    assert Instance(987_654, VIP, True).interface == "interface 987654"


@pytest.fixture
def index() -> Iterator[int]:
    """The number of an interface in a network of our own."""
    with network():
        make_link()
        yield socket.if_nametoindex("a0")


def _shown(address: str) -> list[Any]:
    shown = subprocess.run(
        ["ip", "-j", "address", "show"], check=True, capture_output=True
    ).stdout
    every = [one for link in json.loads(shown) for one in link.get("addr_info", ())]
    return [one for one in every if one.get("local") == address]


@pytest.mark.netns
@pytest.mark.parametrize("place", [VIP, NETWORK])
def test_a_life(index: int, place: Place) -> None:
    """Set, refreshed, taken for good by another program, refreshed again, removed."""
    kernel = KernelAddresses()
    kernel.hold(index, place, 2)
    kernel.hold(index, place, 90)
    [shown] = _shown(str(place.address))
    assert (shown["prefixlen"], shown["valid_life_time"]) == (place.prefix, 90)

    ip(f"address replace {place} dev a0")
    assert kernel.find({place.address}) == [Instance(index, place, False)]
    kernel.hold(index, place, 90)
    assert kernel.find({place.address}) == [Instance(index, place, True)]

    [instance] = kernel.find({place.address})
    assert instance.interface == "a0"
    kernel.remove(index, place)
    kernel.remove(index, place)
    assert kernel.find({place.address}) == []
    kernel.close()
    check_permission(place)


@pytest.mark.netns
def test_events_of_refreshes(index: int) -> None:
    """They are heard by neither of the two that wait for events."""
    quiet, removals = open_netlink(0x110), open_netlink(0x110)
    attach_filter(quiet, (*SKIP_REFRESHES, ACCEPT))
    attach_filter(removals, ONLY_REMOVALS)
    kernel = KernelAddresses()
    heard = []

    def note() -> None:
        for number, listener in enumerate((quiet, removals)):
            try:
                listener.recv(65_536)
                heard.append(number)
            except BlockingIOError:
                pass

    kernel.hold(index, VIP, 90)
    kernel.hold(index, VIP, 90)
    note()
    assert heard == []
    ip("address add 10.1.1.77/24 dev a0")
    note()
    assert heard == [0]
    kernel.remove(index, VIP)
    note()
    assert heard == [0, 0, 1]
    for opened in (quiet, removals, kernel):
        opened.close()
