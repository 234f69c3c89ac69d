"""The settings that a command line gives, and the virtual host that they describe."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from carppcap.addresses import ANY, CARP_GROUP, Address, Family, kernel_mac
from carppcap.election.config import (
    VHID_MAX,
    GroupSettings,
    SourceMac,
    VirtualHostConfig,
)
from carppcap.errors import ConfigError
from carppcap.options.parsers import VirtualAddress
from carppcap.units import Interval
from carppcap.wire.auth import Key


class OnConflict(Enum):
    """What a master does beyond its answer if another host claims its address."""

    NOTHING = "nothing"
    SCRIPT = "script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(GroupSettings):
    """All settings of a command line.

    A setting that was not given has its default, which may be None or empty.  The
    fields of `GroupSettings` are those that a virtual host uses unchanged.  A script
    that runs longer than `script_timeout_ns` is killed; 0 means that there is no limit.
    """

    interface: str | None = None
    vhid: int | None = None
    password: bytes | None = None
    second_password: bytes | None = None
    passfile: str | None = None
    addresses: tuple[VirtualAddress, ...] = ()
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
    no_realtime: bool = False
    own_addresses: bool = False
    on_conflict: OnConflict = OnConflict.NOTHING
    source_mac: SourceMac | None = None

    @property
    def vips(self) -> tuple[Address, ...]:
        """The virtual addresses without their prefix lengths."""
        return tuple(virtual.address for virtual in self.addresses)

    @property
    def prefixes(self) -> tuple[int | None, ...]:
        """The prefix length of each virtual address, or None where none was given.

        The tuple is empty if no address has a prefix length.
        """
        lengths = tuple(virtual.prefix for virtual in self.addresses)
        return () if set(lengths) == {None} else lengths

    @property
    def second_key(self) -> Key | None:
        """The key of the second password, or None if there is none."""
        return None if self.second_password is None else Key(self.second_password)

    def virtual_host(self, interface: str) -> VirtualHostConfig:
        """Return the virtual host on `interface` that these settings describe.

        Raises the first of `mistakes`.
        """
        for mistake in self.mistakes():
            raise mistake
        assert self.vhid is not None
        assert self.password is not None
        return self._host(interface, self.vhid, Key(self.password))

    def mistakes(self) -> Iterator[ConfigError]:
        """Yield what is missing and what does not fit together.

        Missing settings are reported in the order and in the words of ucarp.
        """
        if self.vhid is None:
            yield ConfigError("You must supply a valid virtual host id (--vhid, 1-255)")
        if self.password is None:
            yield ConfigError("You must supply a password (--passfile or --pass)")
        try:
            self._host("", self.vhid or VHID_MAX, None)
        except ConfigError as error:
            yield error
        families = {Family.of(vip) for vip in self.vips}
        needs_ipv4 = Family.IPV4 in families or (not families and self.source6 is None)
        if needs_ipv4 and self.source in (None, ANY):
            yield ConfigError("You must supply a persistent source address (--srcip)")
        if not families or self.vips == (ANY,):
            yield ConfigError("You must supply a virtual host address (--addr)")
        if self.peers:
            yield from self._mistakes_about_peers(families)
        if self.on_conflict is OnConflict.SCRIPT and self.upscript is None:
            yield ConfigError(
                "With --on-conflict=script there must be a script to run (--upscript)"
            )
        for address in (self.source, self.source6):
            if self.own_addresses and address in self.vips:
                yield ConfigError(
                    "{address} is an address of this host: --own-addresses would take "
                    "it away (allowed: an --addr that no host has of its own)",
                    address=address,
                )

    def _host(self, interface: str, vhid: int, key: Key | None) -> VirtualHostConfig:
        families = {Family.of(vip) for vip in self.vips}
        return self.host(
            interface=interface,
            vhid=vhid,
            key=key,
            second_key=self.second_key,
            source=self.source if Family.IPV4 in families else None,
            source6=self.source6 if Family.IPV6 in families else None,
        )

    def host(self, *, vhid: int, **values: Any) -> VirtualHostConfig:
        """Return a virtual host made of these settings and of `values`.

        `values` are fields of `VirtualHostConfig`, and take precedence over the
        settings.  Raises `ConfigError` if settings do not fit together.
        """
        shared = {field.name: getattr(self, field.name) for field in _SHARED}
        # OpenBSD signs its MAC only if it is not the usual one
        # (`carp_hmac_prepare_ctx`).
        if self.link_address == kernel_mac(vhid):
            shared["link_address"] = b""
        shared |= {
            "vips": self.vips,
            "prefixes": self.prefixes,
            "farewell": self.shutdown and not self.no_farewell,
            "multicast": not self.nomcast,
            "source_mac": self.source_mac or self._usual_source_mac(),
        }
        return VirtualHostConfig(vhid=vhid, **shared | values)

    def _usual_source_mac(self) -> SourceMac:
        """Return the default source MAC of adverts.

        With --peer it is the interface's own MAC, because networks without multicast
        may drop frames from any other.  Otherwise, with --vmac, it is the virtual MAC
        that the addresses have, so that adverts teach switches where that MAC is.
        Without either option it is the MAC that ucarp uses.
        """
        if self.peers:
            return SourceMac.REAL
        return SourceMac.BSD if self.vmac else SourceMac.VIRTUAL

    def _mistakes_about_peers(self, families: set[Family]) -> Iterator[ConfigError]:
        """Yield what contradicts --peer.

        `families` are the address families of the virtual addresses.  Each of them must
        have a peer, and no peer may be of another family.
        """
        if self.nomcast or self.group != CARP_GROUP:
            yield ConfigError(
                "With --peer adverts go to no group (leave out --mcastip and --nomcast)"
            )
        if self.source_mac not in (None, SourceMac.REAL):
            yield ConfigError(
                "With --peer adverts come from the interface's own MAC (leave out "
                "--source-mac)"
            )
        for peer in self.peers:
            if peer in (self.source, self.source6, *self.vips):
                yield ConfigError(
                    "{address} is no peer, but an address of this host or of the "
                    "group (--peer)",
                    address=peer,
                )
        served = {Family.of(peer) for peer in self.peers}
        for family in Family:
            if family in families - served:
                yield ConfigError(
                    "No --peer is an IPv{version} address, but an --addr is",
                    version=family.value,
                )
            if family in served - families:
                yield ConfigError(
                    "No --addr is an IPv{version} address, but a --peer is",
                    version=family.value,
                )


_SHARED = fields(GroupSettings)
