"""The ranges of the settings and the errors that name them."""

from dataclasses import FrozenInstanceError
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address, Family
from carppcap.election.config import DEAD_RATIO_MAX, VirtualHostConfig
from carppcap.errors import ConfigError
from tests.builders import OURS, OURS6, VIP, VIP6, config, ns


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"vhid": 1}, id="vhid-min"),
        pytest.param({"vhid": 255}, id="vhid-max"),
        pytest.param({"advbase": 0, "advskew": 1}, id="fastest"),
        pytest.param({"advbase": 1, "advskew": 0}, id="default"),
        pytest.param({"advbase": 255, "advskew": 255}, id="slowest"),
        pytest.param({"dead_ratio": 1}, id="ratio-min"),
        pytest.param({"dead_ratio": DEAD_RATIO_MAX}, id="ratio-max"),
        pytest.param({"group": IPv4Address("224.0.0.0")}, id="group-min"),
        pytest.param({"group": IPv4Address("239.255.255.255")}, id="group-max"),
        pytest.param({"key": None}, id="no-key"),
        pytest.param({"demotion": 0}, id="demotion-min"),
        pytest.param({"demotion": 255}, id="demotion-max"),
        pytest.param({"link_address": bytes(6)}, id="mac"),
    ],
)
def test_allowed(settings: dict[str, Any]) -> None:
    """Both ends of every range are allowed."""
    made = config(**settings)

    assert {name: getattr(made, name) for name in settings} == settings


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"vhid": 0}, ["vhid", "1 and 255", "0"], id="vhid-0"),
        pytest.param({"vhid": 256}, ["vhid", "256"], id="vhid-256"),
        pytest.param({"advbase": -1}, ["advbase", "0 and 255", "-1"], id="base-low"),
        pytest.param({"advbase": 256}, ["advbase", "256"], id="base-high"),
        pytest.param({"advskew": -1}, ["advskew", "0 and 255", "-1"], id="skew-low"),
        pytest.param({"advskew": 256}, ["advskew", "256"], id="skew-high"),
        pytest.param({"advbase": 0, "advskew": 0}, ["both be 0"], id="no-interval"),
        pytest.param({"dead_ratio": 0}, ["ratio", "got 0"], id="ratio-0"),
        pytest.param({"dead_ratio": -3}, ["ratio", "got -3"], id="ratio-negative"),
        pytest.param(
            {"dead_ratio": DEAD_RATIO_MAX + 1},
            ["ratio", str(DEAD_RATIO_MAX), str(DEAD_RATIO_MAX + 1)],
            id="ratio-high",
        ),
        pytest.param(
            {"group": IPv4Address("223.255.255.255")}, ["223.255.255.255"], id="unicast"
        ),
        pytest.param({"group": IPv4Address("240.0.0.0")}, ["240.0.0.0"], id="class-e"),
        pytest.param({"demotion": -1}, ["0 and 255", "-1"], id="demotion-low"),
        pytest.param({"demotion": 256}, ["0 and 255", "256"], id="demotion-high"),
        pytest.param({"link_address": bytes(5)}, ["6 bytes", "5"], id="mac-short"),
        pytest.param({"link_address": bytes(7)}, ["6 bytes", "7"], id="mac-long"),
    ],
)
def test_refused(settings: dict[str, Any], named: list[str]) -> None:
    """One line that names the setting, what is allowed and what was given."""
    with pytest.raises(ConfigError) as caught:
        config(**settings)

    message = str(caught.value)
    assert "\n" not in message
    assert [part for part in named if part not in message] == []


@given(
    vhid=st.integers(-10, 300),
    advbase=st.integers(-10, 300),
    advskew=st.integers(-10, 300),
    dead_ratio=st.integers(-10, DEAD_RATIO_MAX + 10),
)
def test_ranges(vhid: int, advbase: int, advskew: int, dead_ratio: int) -> None:
    """A configuration exists exactly if every setting is within its range."""
    settings = {
        "vhid": vhid, "advbase": advbase, "advskew": advskew, "dead_ratio": dead_ratio
    }  # fmt: skip
    is_allowed = (
        vhid in range(1, 256)
        and advbase in range(256)
        and advskew in range(256)
        and advbase + advskew > 0
        and dead_ratio in range(1, DEAD_RATIO_MAX + 1)
    )
    try:
        made: VirtualHostConfig | None = config(**settings)
    except ConfigError:
        made = None

    assert (made is not None) == is_allowed
    if made is not None:
        assert 0 < made.interval_ns <= made.master_down_interval_ns


@pytest.mark.parametrize(
    ("settings", "interval", "master_down"),
    [
        ({}, 1, 3),
        ({"advskew": 64}, 1.25, 3.25),
        ({"advbase": 2, "dead_ratio": 5}, 2, 10),
        ({"advbase": 0, "advskew": 64, "dead_ratio": 4}, 0.25, 1),
    ],
    ids=["default", "skew", "base-and-ratio", "no-base"],
)
def test_intervals(
    settings: dict[str, int], interval: float, master_down: float
) -> None:
    """In nanoseconds."""
    made = config(**settings)

    assert made.interval_ns == ns(interval)
    assert made.master_down_interval_ns == ns(master_down)


def test_defaults_are_those_of_ucarp() -> None:
    """The defaults are those of ucarp."""
    plain = VirtualHostConfig(
        interface="eth0", vhid=1, source=IPv4Address("10.1.1.1"), vips=(), key=None
    )

    assert (plain.advbase, plain.advskew, plain.dead_ratio) == (1, 0, 3)
    assert (plain.preempt, plain.neutral, plain.farewell) == (False, False, False)
    assert (str(plain.group), plain.multicast) == ("224.0.0.18", True)


@pytest.mark.parametrize(
    ("vips", "source", "source6", "families"),
    [
        ((VIP,), OURS, None, [Family.IPV4]),
        ((VIP6,), OURS, OURS6, [Family.IPV6]),
        ((VIP6, VIP), OURS, OURS6, [Family.IPV4, Family.IPV6]),
        ((VIP6,), None, None, [Family.IPV6]),
        ((), OURS, None, [Family.IPV4]),
        ((), None, OURS6, [Family.IPV6]),
        ((), None, None, []),
    ],
)
def test_families(
    vips: tuple[Address, ...],
    source: IPv4Address | None,
    source6: IPv6Address | None,
    families: list[Family],
) -> None:
    """Those of the virtual addresses or, without any, of the sources."""
    made = config(vips=vips, source=source, source6=source6)

    assert made.families == tuple(families)
    assert made.source_of(Family.IPV4) == source
    assert made.source_of(Family.IPV6) == source6


def test_groups() -> None:
    """The IPv4 group is a setting, that of IPv6 is ff02::12."""
    made = config(group=IPv4Address("224.0.0.99"))

    assert made.group_of(Family.IPV4) == IPv4Address("224.0.0.99")
    assert made.group_of(Family.IPV6) == IPv6Address("ff02::12")


@pytest.mark.parametrize(
    ("prefixes", "networks"),
    [
        ((), ("10.1.1.252", "fd00:1::252")),
        ((None, 64), ("10.1.1.252", "fd00:1::252/64")),
        ((0, None), ("10.1.1.252/0", "fd00:1::252")),
    ],
)
def test_networks(prefixes: tuple[int | None, ...], networks: tuple[str, ...]) -> None:
    """As for `--addr`."""
    assert config(vips=(VIP, VIP6), prefixes=prefixes).networks == networks


def test_immutable_and_without_secrets() -> None:
    """Settings never change, and their `repr` hides the password."""
    made = config()

    assert "love" not in repr(made)
    with pytest.raises(FrozenInstanceError):
        made.advskew = 7  # type: ignore[misc]


@pytest.mark.parametrize(
    ("vips", "solicited"),
    [
        (("10.1.1.9", "10.1.1.10"), ("10.1.1.9", None)),
        (("10.1.1.10", "fd00::2", "fd00::1", "10.1.1.9"), ("10.1.1.9", "fd00::1")),
    ],
)
def test_the_lowest_virtual_address_is_solicited(
    vips: tuple[str, ...], solicited: tuple[str | None, ...]
) -> None:
    """So that hosts that list them in another order solicit the same one."""
    host = config(vips=tuple(map(ip_address, vips)))
    found = [host.solicited(family) for family in Family]

    assert found == [None if each is None else ip_address(each) for each in solicited]
