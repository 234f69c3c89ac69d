"""Random groups of hosts, and their master-down intervals.

A group shares its advbase and its dead ratio unless stated otherwise; its hosts differ
in skew, rank of address, scripts and clocks.
"""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.simulation.scenario.document import (
    PASSWORD_DEFAULT,
    VHID_DEFAULT,
    VIP_DEFAULT,
)
from carppcap.simulation.scenario.parts import (
    INTERFACE,
    Kind,
    Member,
    Scenario,
    Script,
    Span,
)
from carppcap.units import NS_PER_MS, NS_PER_S, Interval
from carppcap.wire.auth import Key
from tests.properties.choices import Choices

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon")
KERNELS = (Kind.FREEBSD, Kind.NETBSD, Kind.OPENBSD, Kind.OPNSENSE)
KINDS = (Kind.CARPPCAP, Kind.UCARP, *KERNELS)

MAX_NODES = 5
SKEWS = (0, 1, 20, 50, 100, 200)
SKEWS_BELOW_A_SECOND = (20, 40, 60, 100)
SCRIPTS_MS = (5, 0, 100, 250, 2000)
QUICK_SCRIPTS_MS = (5, 0, 100)

VIP6 = IPv6Address("2001:db8::254")
VIPS: dict[str, tuple[Address, ...]] = {
    "ipv4": (VIP_DEFAULT,),
    "ipv6": (VIP6,),
    "both": (VIP_DEFAULT, VIP6),
    "several": (VIP_DEFAULT, VIP_DEFAULT - 1, VIP6, VIP6 - 1),
}
"""The virtual addresses that a group may share; ucarp has the first kind only."""

NO_VIP = IPv4Address("10.9.3.254")
"""The address of a host that may not have that of the group."""

# The last octet decides a tie before the third does.
_OCTETS = ((0, 1), (0, 2), (1, 1), (1, 2), (0, 254), (7, 1), (254, 250))


def group(
    choices: Choices,
    kinds: Sequence[Kind],
    *,
    preempt: bool | None = None,
    scripts_ms: Sequence[int] = SCRIPTS_MS,
    subsecond: bool = True,
    mixed_bases: bool = True,
) -> tuple[Member, ...]:
    """Return a host for each of `kinds`; `preempt` None is drawn for each."""
    octets, octets6 = list(_OCTETS), list(_OCTETS)
    shared: Sequence[str] = ("ipv4",) if Kind.UCARP in kinds else tuple(VIPS)
    vips = VIPS[choices.one_of(shared)]
    free = {skews: list(skews) for skews in (SKEWS, SKEWS_BELOW_A_SECOND)}
    bases: Sequence[int] = (1, 1, 2, 0) if subsecond else (1, 1, 2)
    base, ratio = choices.one_of(bases), choices.one_of((3, 2, 4))
    each_its_own = mixed_bases and choices.one_of((False, False, True))
    members = []
    families = {Family.of(vip) for vip in vips}
    for name, kind in zip(NAMES, kinds, strict=False):
        if each_its_own:
            base, ratio = choices.one_of(bases), choices.one_of((3, 2, 4))
        skews = SKEWS if base else SKEWS_BELOW_A_SECOND
        # Two hosts without carppcap that tie may yield to each other for ever.
        may_tie = kind is Kind.CARPPCAP
        skew = choices.one_of(skews if may_tie else free[skews])
        if not may_tie:
            free[skews].remove(skew)
        # The order of addresses in one family need not be that in the other.
        source = IPv4Address(bytes((10, 9, *_taken(choices, octets))))
        source6 = IPv6Address(b"\xfe\x80" + bytes(12) + _taken(choices, octets6))
        leaves = choices.one_of((False, True))
        config = VirtualHostConfig(
            interface=INTERFACE,
            vhid=VHID_DEFAULT,
            source=source if Family.IPV4 in families else None,
            source6=source6 if Family.IPV6 in families else None,
            vips=vips,
            key=Key(PASSWORD_DEFAULT),
            advbase=base,
            advskew=skew,
            dead_ratio=ratio,
            preempt=choices.one_of((False, True)) if preempt is None else preempt,
            farewell=leaves,
        )
        members.append(
            Member(
                name,
                config,
                kind,
                shutdown=leaves,
                up=script(choices, scripts_ms),
                down=script(choices, scripts_ms),
                start=Span(start := choices.between(0, 5000) * NS_PER_MS, start),
                drift_ppm=choices.one_of((0, 0, 100, -100)),
            )
        )
    return tuple(members)


def _taken(choices: Choices, octets: list[tuple[int, int]]) -> bytes:
    """Return the last two octets of an address that is not taken yet."""
    return bytes(octets.pop(choices.between(0, len(octets) - 1)))


def ours(choices: Choices, most: int = MAX_NODES) -> list[Kind]:
    """Return the kinds of two to `most` hosts with carppcap."""
    return [Kind.CARPPCAP] * choices.between(2, most)


def script(choices: Choices, lengths_ms: Sequence[int]) -> Script:
    """Return a script that succeeds."""
    return Script(
        choices.one_of(lengths_ms) * NS_PER_MS,
        address_first=choices.one_of((False, False, True)),
    )


def perhaps_with_own_addresses(choices: Choices, scenario: Scenario) -> Scenario:
    """Return `scenario`, in which perhaps each carppcap has own addresses."""
    if choices.one_of((True, False)):
        return scenario
    members = tuple(
        with_own_addresses(host) if host.kind is Kind.CARPPCAP else host
        for host in scenario.members
    )
    return replace(scenario, members=members)


def with_own_addresses(member: Member) -> Member:
    """Return `member` with own addresses, none of which is an address of the host."""
    if member.config.source in member.config.vips:
        member = with_config(member, source=NO_VIP)
    return replace(member, own_addresses=True)


def with_config(member: Member, **changes: object) -> Member:
    """Return `member` with other settings of its virtual host."""
    return replace(member, config=replace(member.config, **changes))  # type: ignore[arg-type]


def patience_ns(member: Member) -> Interval:
    """Return the longest time until a host notices that its master is silent.

    A kernel has a dead ratio of 3 and may be two ticks late; ucarp may be a second and
    an interval late.
    """
    config = member.config
    interval_ns = config.interval_ns
    if member.kind is Kind.CARPPCAP:
        return config.master_down_interval_ns
    if member.kind is Kind.UCARP:
        return config.master_down_interval_ns + interval_ns + NS_PER_S
    return 3 * interval_ns + 20 * NS_PER_MS


def longest_script_ns(members: Sequence[Member]) -> Interval:
    """Return the duration of the slowest script."""
    return max(
        script.duration_ns for member in members for script in (member.up, member.down)
    )
