"""The way to an address, as a real kernel has it."""

import errno
from ipaddress import ip_address
from pathlib import Path

import pytest

from carppcap.errors import LinkError
from carppcap.system import routes
from carppcap.system.routes import Route, route_to
from tests.shell import ip, make_link, network

pytestmark = pytest.mark.netns


def test_ways() -> None:
    """In a network of ours, behind a gateway, our own, none; in both families."""
    with network():
        make_link()
        Path("/proc/sys/net/ipv6/conf/a0/disable_ipv6").write_text("0")
        ip("address add fd00::5/64 dev a0 nodad")
        assert route_to(ip_address("10.9.9.9")) is None
        ip("route add 10.9.0.0/16 via 10.1.1.1")
        ip("route add unreachable 10.8.0.0/16")

        ways = {
            text: route_to(ip_address(text))
            for text in (
                "10.1.1.252",
                "10.9.9.9",
                "10.1.1.5",
                "10.8.0.1",
                "10.1.1.255",
                "fd00::252",
            )
        }

    assert ways == {
        "10.1.1.252": Route("a0", is_direct=True, is_local=False),
        "10.9.9.9": Route("a0", is_direct=False, is_local=False),
        "10.1.1.5": Route("lo", is_direct=True, is_local=True),
        "10.8.0.1": None,
        "10.1.1.255": None,
        "fd00::252": Route("a0", is_direct=True, is_local=False),
    }


def test_no_netlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line."""

    def fail() -> None:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(routes, "Enquiry", fail)

    with pytest.raises(LinkError, match=r"Unable to get hardware.*Too many open"):
        route_to(ip_address("10.1.1.1"))
