"""Settings of one virtual host, checked once and immutable ever after."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import CARP_GROUP, Address, Family
from carppcap.errors import ConfigError
from carppcap.units import Interval, advert_interval_ns, master_down_interval_ns
from carppcap.wire.auth import Key

VHID_MAX = 255
ADVBASE_MAX = 255
ADVSKEW_MAX = 255
DEAD_RATIO_DEFAULT = 3
DEAD_RATIO_MAX = 65535
DEMOTION_MAX = 255
LINK_ADDRESS_LENGTH = 6


class SourceMac(Enum):
    """Which Ethernet source our adverts carry; receivers look at none of them."""

    VIRTUAL = "virtual"
    """00:00:5e:00:00:vhid, as the original sends them."""

    BSD = "bsd"
    """00:00:5e:00:01:vhid, as the kernels do."""

    REAL = "real"
    """The interface's own, for hypervisors that drop what they have not given out."""


class GuardMode(Enum):
    """What becomes of an authentic advert that was sent before."""

    OFF = "off"
    """Nothing: it is obeyed, as everywhere else."""

    DETECT = "detect"
    """It is counted and logged, and obeyed."""

    ENFORCE = "enforce"
    """It is counted and logged, and moves nothing."""


@dataclass(frozen=True, slots=True)
class VirtualHostConfig:
    """One vhid on one link, as this host takes part in it.

    vhid 1..255; advbase 0..255 s and advskew 0..255 (1/256 s), not both 0;
    dead_ratio 1..65535; demotion 0..255.  `key` is None only where captures are read
    without the password: then digests are not checked.  `farewell` lets a master that
    goes away say so.  With `peers` adverts go to each of these and not to the group.
    `link_address` is part of the digest where an OpenBSD peer was given a MAC by hand,
    else empty.  `prefixes` has the length of the network prefix of each of `vips`, None
    where nobody said it, and is empty where nobody said any.  With `vmac` the addresses
    live on an interface of their own, which has the virtual MAC.  Raises `ConfigError`
    for anything else.
    """

    interface: str
    vhid: int
    source: IPv4Address | None
    vips: tuple[Address, ...]
    key: Key | None
    advbase: int = 1
    advskew: int = 0
    dead_ratio: int = DEAD_RATIO_DEFAULT
    preempt: bool = False
    neutral: bool = False
    farewell: bool = False
    group: IPv4Address = CARP_GROUP
    multicast: bool = True
    source6: IPv6Address | None = None
    peers: tuple[Address, ...] = ()
    source_mac: SourceMac = SourceMac.VIRTUAL
    link_address: bytes = b""
    demotion: int = 0
    replay_guard: GuardMode = GuardMode.ENFORCE
    prefixes: tuple[int | None, ...] = ()
    vmac: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.vhid <= VHID_MAX:
            raise ConfigError(
                "vhid must be between 1 and 255 (got {vhid})", vhid=self.vhid
            )
        if not 0 <= self.advbase <= ADVBASE_MAX:
            raise ConfigError(
                "advbase must be between 0 and 255 seconds (got {advbase})",
                advbase=self.advbase,
            )
        if not 0 <= self.advskew <= ADVSKEW_MAX:
            raise ConfigError(
                "advskew must be between 0 and 255 (got {advskew})",
                advskew=self.advskew,
            )
        if self.advbase == 0 and self.advskew == 0:
            raise ConfigError(
                "You must supply an advertisement time base: advbase and advskew "
                "cannot both be 0"
            )
        if not 1 <= self.dead_ratio <= DEAD_RATIO_MAX:
            raise ConfigError(
                "Dead ratio must be between 1 and 65535 (got {dead_ratio})",
                dead_ratio=self.dead_ratio,
            )
        if not 0 <= self.demotion <= DEMOTION_MAX:
            raise ConfigError(
                "Demotion must be between 0 and 255 (got {demotion})",
                demotion=self.demotion,
            )
        if len(self.link_address) not in (0, LINK_ADDRESS_LENGTH):
            raise ConfigError(
                "A link-layer address has 6 bytes (got {length})",
                length=len(self.link_address),
            )
        if not self.group.is_multicast:
            raise ConfigError(
                "{group} is not a multicast group (allowed: 224.0.0.0 to "
                "239.255.255.255)",
                group=self.group,
            )

    @property
    def networks(self) -> tuple[str, ...]:
        """The virtual addresses as they were given, with their prefixes."""
        prefixes = self.prefixes or (None,) * len(self.vips)
        return tuple(
            f"{vip}" if prefix is None else f"{vip}/{prefix}"
            for vip, prefix in zip(self.vips, prefixes, strict=True)
        )

    @property
    def families(self) -> tuple[Family, ...]:
        """The families we advertise in: those that have virtual addresses.

        Kernels time a group out in each family that has addresses, so a group of both
        needs adverts in both (`carp_setrun`).
        """
        known = self.vips or (self.source, self.source6)
        present = {Family.of(address) for address in known if address is not None}
        return tuple(family for family in Family if family in present)

    def source_of(self, family: Family) -> Address | None:
        """Where our adverts of `family` come from."""
        return self.source if family is Family.IPV4 else self.source6

    @property
    def interval_ns(self) -> Interval:
        """Time between two adverts of ours."""
        return advert_interval_ns(self.advbase, self.advskew)

    @property
    def master_down_interval_ns(self) -> Interval:
        """Silence after which we take a master for dead."""
        return master_down_interval_ns(self.advbase, self.advskew, self.dead_ratio)
