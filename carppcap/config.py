"""Settings of one virtual host, checked once and immutable ever after."""

from dataclasses import dataclass
from ipaddress import IPv4Address

from carppcap.addresses import CARP_GROUP
from carppcap.auth import Key
from carppcap.errors import ConfigError
from carppcap.units import Interval, advert_interval_ns, master_down_interval_ns

VHID_MAX = 255
ADVBASE_MAX = 255
ADVSKEW_MAX = 255
DEAD_RATIO_DEFAULT = 3
DEAD_RATIO_MAX = 65535


@dataclass(frozen=True, slots=True)
class VirtualHostConfig:
    """One vhid on one link, as this host takes part in it.

    vhid 1..255; advbase 0..255 s and advskew 0..255 (1/256 s), not both 0;
    dead_ratio 1..65535.  `key` is None only where captures are read without the
    password: then digests are not checked.  `farewell` lets a master that goes
    away say so.  Raises `ConfigError` for anything else.
    """

    interface: str
    vhid: int
    source: IPv4Address
    vips: tuple[IPv4Address, ...]
    key: Key | None
    advbase: int = 1
    advskew: int = 0
    dead_ratio: int = DEAD_RATIO_DEFAULT
    preempt: bool = False
    neutral: bool = False
    farewell: bool = False
    group: IPv4Address = CARP_GROUP
    multicast: bool = True

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
        if not self.group.is_multicast:
            raise ConfigError(
                "{group} is not a multicast group (allowed: 224.0.0.0 to "
                "239.255.255.255)",
                group=self.group,
            )

    @property
    def interval_ns(self) -> Interval:
        """Time between two adverts of ours."""
        return advert_interval_ns(self.advbase, self.advskew)

    @property
    def master_down_interval_ns(self) -> Interval:
        """Silence after which we take a master for dead."""
        return master_down_interval_ns(self.advbase, self.advskew, self.dead_ratio)
