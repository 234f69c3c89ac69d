"""The settings of one virtual host, checked once and immutable."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import CARP_GROUP, CARP_GROUP6, Address, Family
from carppcap.errors import N_, ConfigError
from carppcap.units import (
    NS_PER_S,
    Interval,
    advert_interval_ns,
    master_down_interval_ns,
)
from carppcap.wire.auth import Key

VHID_MAX = 255
ADVBASE_MAX = 255
ADVSKEW_MAX = 255
DEAD_RATIO_MAX = 65535
DEMOTION_MAX = 255

ANNOUNCE_INTERVAL_S = 60
"""The default time between two announcements of a master.  Switches forget a MAC after
300 s by default (IEEE 802.1Q, 8.8.3)."""

_RANGES = {
    "vhid": (1, VHID_MAX),
    "advbase": (0, ADVBASE_MAX),
    "advskew": (0, ADVSKEW_MAX),
    "dead_ratio": (1, DEAD_RATIO_MAX),
    "demotion": (0, DEMOTION_MAX),
}


class SourceMac(Enum):
    """The Ethernet source address of our adverts.  Other implementations ignore it."""

    VIRTUAL = "virtual"
    """00:00:5e:00:00:vhid, which ucarp uses."""

    BSD = "bsd"
    """00:00:5e:00:01:vhid, which BSD kernels use."""

    REAL = "real"
    """The MAC of the interface, for hypervisors that drop frames from other MACs."""


class GuardMode(Enum):
    """What happens to an authentic advert that the replay guard finds to be old."""

    OFF = "off"
    """There is no replay guard, as in all other implementations."""

    DETECT = "detect"
    """The advert is counted, logged and obeyed."""

    ENFORCE = "enforce"
    """The advert is counted, logged and ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSettings:
    """The settings of a virtual host that are used exactly as a user gives them.

    advbase 0..255 s and advskew 0..255 (1/256 s), not both 0; dead_ratio 1..65535;
    demotion 0..255.  A master announces its addresses again every
    `announce_interval_ns`; 0 means never.  With `neutral` the down script does not run
    at the start.  With `peers` adverts are sent to each peer and not to the multicast
    group.  With `vmac` the addresses are set on a separate interface that has the
    virtual MAC.  `link_address` is empty, or the MAC that was set by hand on the
    OpenBSD peers, which the digest then covers.
    """

    source: IPv4Address | None = None
    source6: IPv6Address | None = None
    advbase: int = 1
    advskew: int = 0
    dead_ratio: int = 3
    preempt: bool = False
    neutral: bool = False
    group: IPv4Address = CARP_GROUP
    peers: tuple[Address, ...] = ()
    link_address: bytes = b""
    vmac: bool = False
    demotion: int = 0
    announce_interval_ns: Interval = ANNOUNCE_INTERVAL_S * NS_PER_S
    replay_guard: GuardMode = GuardMode.ENFORCE


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualHostConfig(GroupSettings):
    """The settings of one virtual host: one vhid on one interface.

    vhid 1..255.  `key` is None only when captures are read without the password; then
    digests are not checked.  Adverts signed with `second_key` are accepted as well, but
    we never sign with it: so a group can change its password host by host.  `prefixes`
    holds the prefix length of each of `vips`, or None for an unknown one; it is empty
    if all are unknown.  With `farewell` a master that leaves sends a farewell.  Raises
    `ConfigError` for an impossible value or an impossible combination of values.
    """

    interface: str
    vhid: int
    vips: tuple[Address, ...]
    key: Key | None
    second_key: Key | None = None
    prefixes: tuple[int | None, ...] = ()
    farewell: bool = False
    multicast: bool = True
    source_mac: SourceMac = SourceMac.VIRTUAL

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                wrong = N_("{name} must be between {low} and {high} (got {value})")
                raise ConfigError(wrong, name=name, low=low, high=high, value=value)
        if self.advbase == self.advskew == 0:
            raise ConfigError(
                "You must supply an advertisement time base: --advbase and --advskew "
                "cannot both be 0"
            )
        length = len(self.link_address)
        if length not in (0, 6):
            wrong = N_("A link-layer address has 6 bytes (got {length})")
            raise ConfigError(wrong, length=length)
        if not self.group.is_multicast:
            raise ConfigError(
                "{group} is not a multicast group for --mcastip (allowed: 224.0.0.0 to "
                "239.255.255.255)",
                group=self.group,
            )

    @property
    def prefixed_vips(self) -> tuple[tuple[Address, int | None], ...]:
        """Each virtual address with its prefix length, or None if that is unknown."""
        prefixes = self.prefixes or (None,) * len(self.vips)
        return tuple(zip(self.vips, prefixes, strict=True))

    @property
    def networks(self) -> tuple[str, ...]:
        """The virtual addresses as text, each with its prefix length if known."""
        return tuple(
            f"{vip}" if prefix is None else f"{vip}/{prefix}"
            for vip, prefix in self.prefixed_vips
        )

    @property
    def families(self) -> tuple[Family, ...]:
        """The families in which we send adverts: those of the virtual addresses.

        A BSD kernel that has addresses of both families expects adverts in both
        families (`carp_setrun`).
        """
        known = self.vips or (self.source, self.source6)
        present = {Family.of(address) for address in known if address is not None}
        return tuple(family for family in Family if family in present)

    def source_of(self, family: Family) -> Address | None:
        """Return the source address of our adverts in `family`, or None without one."""
        return self.source if family is Family.IPV4 else self.source6

    def group_of(self, family: Family) -> Address:
        """Return the multicast group to which adverts in `family` are sent."""
        return self.group if family is Family.IPV4 else CARP_GROUP6

    def solicited(self, family: Family) -> Address | None:
        """Return the address to which a solicitation in `family` is sent, or None.

        It is the lowest virtual address, so that the order in which hosts list them
        makes no difference.  A group with peers in `family` has none: what loses their
        unicast adverts would lose the answer as well.
        """
        if any(Family.of(peer) is family for peer in self.peers):
            return None
        vips = [vip for vip in self.vips if Family.of(vip) is family]
        return min(vips, key=int, default=None)

    @property
    def interval_ns(self) -> Interval:
        """The configured time between two of our adverts."""
        return advert_interval_ns(self.advbase, self.advskew)

    @property
    def master_down_interval_ns(self) -> Interval:
        """The time without adverts after which a master counts as dead."""
        return master_down_interval_ns(self.advbase, self.advskew, self.dead_ratio)
