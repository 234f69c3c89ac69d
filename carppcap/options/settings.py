"""What the command line said, and the virtual host that it describes."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from carppcap.addresses import ANY, CARP_GROUP, Address, Family, kernel_mac
from carppcap.election.config import (
    DEAD_RATIO_DEFAULT,
    GuardMode,
    SourceMac,
    VirtualHostConfig,
)
from carppcap.errors import ConfigError
from carppcap.options.parsers import VirtualAddress
from carppcap.units import Interval
from carppcap.wire.auth import Key


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the command line said; None or empty where it said nothing.

    `script_timeout_ns` 0 means that scripts may take as long as they like.
    """

    interface: str | None = None
    source: IPv4Address | None = None
    source6: IPv6Address | None = None
    group: IPv4Address = CARP_GROUP
    vhid: int | None = None
    password: bytes | None = None
    passfile: str | None = None
    preempt: bool = False
    neutral: bool = False
    addresses: tuple[VirtualAddress, ...] = ()
    advbase: int = 1
    advskew: int = 0
    dead_ratio: int = DEAD_RATIO_DEFAULT
    upscript: str | None = None
    downscript: str | None = None
    xparam: str | None = None
    shutdown: bool = False
    daemonize: bool = False
    ignore_link_state: bool = False
    nomcast: bool = False
    facility: str = "daemon"
    debug: bool = False
    help: bool = False
    version: bool = False
    script_timeout_ns: Interval = 0
    pidfile: str | None = None
    no_farewell: bool = False
    peers: tuple[Address, ...] = ()
    source_mac: SourceMac | None = None
    link_address: bytes = b""
    vmac: bool = False
    demotion: int = 0
    replay_guard: GuardMode = GuardMode.ENFORCE

    @property
    def vips(self) -> tuple[Address, ...]:
        """The virtual addresses, without their prefixes."""
        return tuple(virtual.address for virtual in self.addresses)

    @property
    def prefixes(self) -> tuple[int | None, ...]:
        """The length of the prefix of each of them, as `VirtualHostConfig` has it."""
        lengths = tuple(virtual.prefix for virtual in self.addresses)
        return () if set(lengths) == {None} else lengths

    def virtual_host(self, interface: str) -> VirtualHostConfig:
        """The virtual host these settings describe.

        Raises `ConfigError` for whatever is missing or impossible, in the order and
        the words of the original.
        """
        if self.vhid is None:
            raise ConfigError("You must supply a valid virtual host id (--vhid, 1-255)")
        if self.password is None:
            raise ConfigError("You must supply a password (--passfile or --pass)")
        if self.advbase == 0 and self.advskew == 0:
            raise ConfigError(
                "You must supply an advertisement time base: --advbase and --advskew "
                "cannot both be 0"
            )
        families = {Family.of(vip) for vip in self.vips}
        needs_ipv4 = Family.IPV4 in families or (not families and self.source6 is None)
        if needs_ipv4 and self.source in (None, ANY):
            raise ConfigError("You must supply a persistent source address (--srcip)")
        if not families or self.vips == (ANY,):
            raise ConfigError("You must supply a virtual host address (--addr)")
        self._check_peers(families)
        return self.host(
            interface,
            self.vhid,
            Key(self.password),
            self.source if Family.IPV4 in families else None,
            self.source6 if Family.IPV6 in families else None,
        )

    def host(
        self,
        interface: str,
        vhid: int,
        key: Key | None,
        source: IPv4Address | None,
        source6: IPv6Address | None,
    ) -> VirtualHostConfig:
        """A virtual host of these values, and else of these settings.

        Raises `ConfigError` for numbers that are impossible together.
        """
        # OpenBSD leaves the usual one out of its digest (`carp_hmac_prepare_ctx`).
        is_usual = self.link_address == kernel_mac(vhid)
        return VirtualHostConfig(
            interface=interface,
            vhid=vhid,
            source=source,
            source6=source6,
            vips=self.vips,
            prefixes=self.prefixes,
            key=key,
            advbase=self.advbase,
            advskew=self.advskew,
            dead_ratio=self.dead_ratio,
            preempt=self.preempt,
            neutral=self.neutral,
            farewell=self.shutdown and not self.no_farewell,
            group=self.group,
            multicast=not self.nomcast,
            peers=self.peers,
            source_mac=self.source_mac or self._usual_source_mac(),
            link_address=b"" if is_usual else self.link_address,
            vmac=self.vmac,
            demotion=self.demotion,
            replay_guard=self.replay_guard,
        )

    def _usual_source_mac(self) -> SourceMac:
        """The MAC that adverts come from where nobody asks for another one.

        Peers by name may be behind a router, and the network between us may know the
        NIC only.  A virtual MAC that moves is taught to switches by the adverts.
        """
        if self.peers:
            return SourceMac.REAL
        return SourceMac.BSD if self.vmac else SourceMac.VIRTUAL

    def _check_peers(self, families: set[Family]) -> None:
        """Raises `ConfigError` for peers that not all adverts can be sent to."""
        if not self.peers:
            return
        if self.nomcast or self.group != CARP_GROUP:
            raise ConfigError(
                "With --peer adverts go to no group (leave out --mcastip and --nomcast)"
            )
        if self.source_mac not in (None, SourceMac.REAL):
            raise ConfigError(
                "With --peer adverts come from the interface's own MAC (leave out "
                "--source-mac)"
            )
        for peer in self.peers:
            if peer in (self.source, self.source6, *self.vips):
                raise ConfigError(
                    "{address} is no peer, but an address of this host or of the "
                    "group (--peer)",
                    address=peer,
                )
        served = {Family.of(peer) for peer in self.peers}
        for family in Family:
            if family in families - served:
                raise ConfigError(
                    "No --peer is an IPv{version} address, but an --addr is",
                    version=family.value,
                )
            if family in served - families:
                raise ConfigError(
                    "No --addr is an IPv{version} address, but a --peer is",
                    version=family.value,
                )
