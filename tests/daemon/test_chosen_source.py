"""The IPv6 source that is chosen, and when another takes its place."""

from ipaddress import IPv6Address

import pytest

from carppcap.addresses import Address
from carppcap.daemon.chosen_source import is_checking, with_another, with_chosen
from carppcap.system.link import LinkStatus
from carppcap.system.source_address import LinkAddress
from tests.builders import config
from tests.shell import MemoryLog

OLD, NEW = IPv6Address("fe80::1"), IPv6Address("fe80::2")
GLOBAL, VIP6 = IPv6Address("fd00::5"), IPv6Address("fd00::fc")
PEER = IPv6Address("fd00::9")
HOST = config(vips=(VIP6,), source=None, source6=OLD)


def status(
    *ready: Address, checked: tuple[Address, ...] = (), carrier: bool = True
) -> LinkStatus:
    """Return the status of an interface with these addresses."""
    return LinkStatus(
        index=3,
        up=True,
        carrier=carrier,
        addresses=frozenset((*ready, *checked)),
        sources=tuple(LinkAddress(address, 64) for address in ready),
    )


@pytest.mark.parametrize(
    ("now", "source"),
    [
        pytest.param(status(OLD, NEW), OLD, id="still-there"),
        pytest.param(status(NEW, checked=(OLD,)), OLD, id="returning"),
        pytest.param(status(NEW), NEW, id="gone"),
        pytest.param(status(GLOBAL, NEW), NEW, id="the-best"),
        pytest.param(status(GLOBAL, checked=(NEW,)), OLD, id="not-yet"),
        pytest.param(status(GLOBAL, checked=(VIP6,)), GLOBAL, id="a-virtual-one"),
        pytest.param(status(GLOBAL, carrier=False), OLD, id="no-carrier"),
        pytest.param(status(), OLD, id="none"),
        pytest.param(status(VIP6), OLD, id="only-virtual"),
    ],
)
def test_another_source(now: LinkStatus, source: Address) -> None:
    """It is chosen when the old one has gone and the interface has settled."""
    log = MemoryLog()
    assert with_another(HOST, now, log).source6 == source
    said = [("INFO", f"Using [{source}] as IPv6 source address on eth0")]
    assert log.lines == (said if source != OLD else [])


def test_a_group_without_ipv6() -> None:
    """It has no source and needs none."""
    host = config()
    assert with_another(host, status(NEW), MemoryLog()) is host


def test_the_source_for_a_peer() -> None:
    """A host beyond the link could not answer a link-local address."""
    peers = config(vips=(VIP6,), source=None, peers=(PEER,))
    chosen = with_chosen(peers, status(NEW, GLOBAL), MemoryLog())

    assert chosen is not None
    assert chosen.source6 == GLOBAL
    assert with_chosen(peers, status(), MemoryLog()) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (status(OLD), False),
        (status(OLD, checked=(NEW,)), True),
        (status(OLD, checked=(VIP6,)), False),
        (status(OLD, checked=(NEW,), carrier=False), False),
    ],
)
def test_an_address_is_being_checked(now: LinkStatus, expected: bool) -> None:
    """A virtual one does not count, and without a carrier no check ends."""
    assert is_checking(now, HOST) is expected
