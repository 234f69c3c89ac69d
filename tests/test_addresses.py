"""MAC addresses, groups and the order among equals."""

from ipaddress import IPv4Address, ip_address

import pytest

from carppcap import addresses
from carppcap.errors import ConfigError


@pytest.mark.parametrize("text", ["10.1.1.252", "0.0.0.0", "255.255.255.255"])
def test_parse_ipv4(text: str) -> None:
    """Dotted quads are addresses."""
    assert str(addresses.parse_ipv4(text, "--addr")) == text


@pytest.mark.parametrize(
    "text", ["", "10.1.1", "10.1.1.256", "10.1.1.1/24", "::1", "010.1.1.1", "a.b.c.d"]
)
def test_parse_ipv4_refuses(text: str) -> None:
    """Anything else is refused in one line that names text and setting."""
    with pytest.raises(ConfigError) as caught:
        addresses.parse_ipv4(text, "--srcip")

    message = str(caught.value)
    assert f"[{text}]" in message
    assert "--srcip" in message
    assert "\n" not in message
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("vhid", "expected"),
    [(1, "00:00:5e:00:00:01"), (42, "00:00:5e:00:00:2a"), (255, "00:00:5e:00:00:ff")],
)
def test_virtual_mac(vhid: int, expected: str) -> None:
    """The original's prefix, and the kernels'."""
    assert addresses.virtual_mac(vhid).hex(":") == expected
    kernels = expected.replace("5e:00:00", "5e:00:01")
    assert addresses.kernel_mac(vhid).hex(":") == kernels


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        pytest.param("224.0.0.18", "01:00:5e:00:00:12", id="carp"),
        pytest.param("239.255.1.2", "01:00:5e:7f:01:02", id="low-23-bits-only"),
        pytest.param("224.128.0.1", "01:00:5e:00:00:01", id="bit-24-dropped"),
        pytest.param("224.64.0.1", "01:00:5e:40:00:01", id="bit-23-kept"),
        pytest.param("ff02::12", "33:33:00:00:00:12", id="carp-6"),
        pytest.param("ff02::1:ff12:3456", "33:33:ff:12:34:56", id="low-32-bits"),
    ],
)
def test_multicast_mac(group: str, expected: str) -> None:
    """RFC 1112, 6.4, and RFC 2464, 7."""
    mac = addresses.multicast_mac(ip_address(group))

    assert mac.hex(":") == expected


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("10.0.0.1", "10.0.0.2", id="one-network-as-documented"),
        pytest.param("10.0.1.1", "10.0.0.2", id="last-octet-decides"),
        pytest.param("10.9.1.1", "10.9.0.2", id="as-measured"),
        pytest.param("11.0.0.0", "10.77.0.1", id="zero-beats-one"),
        pytest.param("10.77.0.1", "9.255.255.250", id="high-last-octet-loses"),
        pytest.param("10.0.0.1", "11.0.0.1", id="first-octet-decides-last"),
        pytest.param("10.1.0.255", "10.0.255.255", id="third-before-second"),
    ],
)
def test_tie_break(first: str, second: str) -> None:
    """The first of each pair stays master, the octets being read from the last."""
    assert addresses.tie_break(IPv4Address(first)) < addresses.tie_break(
        IPv4Address(second)
    )


def test_constants() -> None:
    """The well-known addresses."""
    assert str(addresses.CARP_GROUP) == "224.0.0.18"
    assert str(addresses.ANY) == "0.0.0.0"
    assert addresses.BROADCAST_MAC.hex(":") == "ff:ff:ff:ff:ff:ff"
    assert str(addresses.CARP_GROUP6) == "ff02::12"


def test_families() -> None:
    """In the order in which a group advertises in both."""
    assert list(addresses.Family) == [addresses.Family.IPV4, addresses.Family.IPV6]
    assert addresses.Family.of(addresses.CARP_GROUP) is addresses.Family.IPV4
    assert addresses.Family.of(addresses.CARP_GROUP6) is addresses.Family.IPV6
