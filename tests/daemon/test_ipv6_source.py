"""The IPv6 source that is chosen where none was given."""

from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from carppcap.addresses import Address
from carppcap.daemon import ipv6_source as origin
from carppcap.daemon.ipv6_source import with_source
from carppcap.election.config import VirtualHostConfig
from carppcap.errors import LinkError
from tests.builders import VIP, config
from tests.shell import MemoryLog, ip, make_link, network, wait_for

pytestmark = pytest.mark.netns

OURS6, VIP6 = IPv6Address("fd00::5"), IPv6Address("fd00::fc")
BOTH = config(interface="a0", vips=(VIP, VIP6), source6=OURS6)


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with network():
        for name in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("0")
        make_link()
        ip("address add fd00::5/64 dev a0 nodad")
        wait_for(lambda: Path("/sys/class/net/a0/carrier").exists)
        yield


NO_SOURCE = config(interface="a0", vips=(VIP6,), source=None)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(config(interface="a0"), None, id="not-needed"),
        pytest.param(BOTH, OURS6, id="given"),
        pytest.param(
            config(interface="a0", vips=(VIP6,), peers=(IPv6Address("fd00::9"),)),
            OURS6,
            id="for-a-peer",
        ),
    ],
)
def test_source(host: VirtualHostConfig, expected: Address | None) -> None:
    """A source is chosen where one is needed and none was given."""
    assert with_source(host, MemoryLog()).source6 == expected


def test_source_for_the_group() -> None:
    """The link-local address is waited for: it comes a moment after the interface."""
    log = MemoryLog()
    ip("address flush dev a0 scope link")
    ip("link set a0 down")
    ip("link set a0 up")
    found = with_source(NO_SOURCE, log).source6

    assert found is not None
    assert found.is_link_local
    assert log.lines == [("INFO", f"Using [{found}] as IPv6 source address on a0")]


def test_an_address_that_is_being_checked_is_waited_for() -> None:
    """Each start chooses the same one, however soon after the interface came up."""
    ip("address flush dev a0 scope link")
    ip("link set a0 down")
    ip("link set a0 up")
    ip("address add fd00::5/64 dev a0 nodad")
    found = with_source(NO_SOURCE, MemoryLog()).source6

    assert found is not None
    assert found.is_link_local


def test_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what is missing."""
    monkeypatch.setattr(origin, "SOURCE_TIMEOUT_NS", 10_000_000)
    ip("link set a0 down")
    ip("-6 address flush dev a0")

    with pytest.raises(LinkError, match=r"^a0 has no IPv6 address to send from "):
        with_source(NO_SOURCE, MemoryLog())
