"""One interface, kept in use whatever happens to it.

It may lose its carrier, go down, be removed and made again under the same name, or
lose our address.  The capture is opened again where that is necessary, and the virtual
host is told no more than `LinkDown`, `LinkUp` and `AddressesLost`.
"""

from contextlib import suppress
from dataclasses import dataclass

from carppcap.addresses import CARP_GROUP6, Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, LinkDown, LinkUp
from carppcap.errors import LinkError
from carppcap.filter.bpf import WIDE, Sieve, filter_text
from carppcap.system.capture import (
    READ_TIMEOUT_MS,
    READ_TIMEOUT_SUBSECOND_MS,
    LinkGoneError,
    LiveCapture,
    SendError,
    StampedFrame,
)
from carppcap.system.link import LinkMonitor, LinkStatus, Membership
from carppcap.system.neighbours import Neighbours
from carppcap.system.protocol import ProtocolHolder
from carppcap.system.source_address import choose_source
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_MS, NS_PER_S, Interval
from carppcap.wire.decode import LinkType


@dataclass(frozen=True, slots=True)
class LinkNews:
    """What `Interface.refresh` has found.

    `needs_retry` tells that something failed which may work later, without any other
    news of the link.
    """

    events: tuple[LinkUp | LinkDown | AddressesLost, ...]
    needs_retry: bool


class Interface:
    """Sends and receives for one virtual host.

    `ignore_link_state` suppresses `LinkDown` (crossover cables).  With `any_source6`
    the IPv6 source was chosen by us, and another address in its place is no loss.
    Raises `LinkError` if there is no such interface, or if it is up and cannot be
    opened.
    """

    def __init__(
        self,
        config: VirtualHostConfig,
        log: Log,
        *,
        ignore_link_state: bool,
        any_source6: bool = False,
    ) -> None:
        self._config = config
        self._log = log
        self._ignore_link_state = ignore_link_state
        self._any_source6 = any_source6
        self._sieve = WIDE
        self._read_timeout_ms = (
            READ_TIMEOUT_MS
            if config.interval_ns >= NS_PER_S
            else READ_TIMEOUT_SUBSECOND_MS
        )
        self._capture: LiveCapture | None = None
        self._sources = [
            source
            for source in map(config.source_of, config.families)
            if source is not None
        ]
        self._groups = _groups(config)
        self._memberships: dict[Address, Membership] = {}
        self._neighbours: Neighbours | None = None
        self._holder: ProtocolHolder | None = None
        self._opened_index = 0
        self._failure = ""
        self._sources_seen: set[Address] = set()
        self._reason = ""
        self.status = LinkStatus()
        self.monitor = LinkMonitor(config.interface)
        try:
            self._begin()
        except LinkError:
            self.close()
            raise
        self.usable = self._is_usable()
        if not self.usable:
            self._log_unusable()

    def _begin(self) -> None:
        config = self._config
        self.status = self.monitor.status()
        if not self.status.exists:
            raise LinkError(
                "Unable to open interface [{interface}]: no such interface",
                interface=config.interface,
            )
        self._sources_seen.update(self.status.addresses.intersection(self._sources))
        for source in self._sources:
            if source not in self._sources_seen:
                self._log.warning(
                    f"{source} is not an address of {config.interface} (--srcip)"
                )
        if config.peers:
            self._holder = ProtocolHolder(*config.families)
        if self.status.up:
            self._open()

    @property
    def read_delay_ns(self) -> Interval:
        """The longest time that the kernel may hold back a frame."""
        return 2 * self._read_timeout_ms * NS_PER_MS

    @property
    def mac(self) -> bytes:
        """The MAC address of the interface; zeros while it has none."""
        return self.status.mac or bytes(6)

    @property
    def link_type(self) -> LinkType:
        """The link type of captured frames."""
        return LinkType.ETHERNET if self._capture is None else self._capture.link_type

    def descriptors(self) -> list[LinkMonitor | LiveCapture]:
        """Return what to wait for; call it each time, as it changes."""
        if self._capture is None:
            return [self.monitor]
        return [self.monitor, self._capture]

    def read(self) -> list[StampedFrame]:
        """Return the next frames; empty if the buffer is empty."""
        if self._capture is None:
            return []
        try:
            return self._capture.read()
        except LinkGoneError:
            return []  # `refresh` learns the reason from the kernel

    def sift(self, sieve: Sieve) -> None:
        """Have the kernel filter frames as `sieve` says.

        Frames captured before are read in any case.  Call this in every turn: an
        interface that was opened again begins without, and what fails may work later.
        """
        if sieve == self._sieve or self._capture is None:
            return
        bpf = filter_text(self._config, sieve)
        try:
            self._capture.set_filter(bpf)
        except LinkError as error:
            self._warn_once(error)
        else:
            self._sieve = sieve
            self._log.debug(f"BPF rule: [{bpf}]")

    @property
    def dropped(self) -> int:
        """How many frames were dropped, unread, since the capture was opened."""
        return 0 if self._capture is None else self._capture.dropped()

    def send(self, frame: bytes) -> None:
        """Put `frame` on the wire.  Raises `SendError`."""
        if self._capture is None:
            raise SendError(
                "{interface} is not there", interface=self._config.interface
            )
        self._capture.send(frame)

    @property
    def forwards_ipv6(self) -> bool:
        """True if this host forwards IPv6 on the interface."""
        path = f"/proc/sys/net/ipv6/conf/{self._config.interface}/forwarding"
        try:
            with open(path, "rb") as file:
                return file.read(1) != b"0"
        except OSError:  # no IPv6 here, or no such interface any more
            return False

    def next_hop_mac(self, peer: Address) -> bytes | None:
        """Return the MAC address for a frame to `peer`; None if not known yet."""
        if self._neighbours is None:
            return None
        try:
            return self._neighbours.mac_of(peer)
        except LinkError as error:
            self._warn_once(error)
            return None

    def refresh(self) -> LinkNews:
        """Look at the interface again, and return what the virtual host must know."""
        self.monitor.drain()
        before = self.status
        try:
            self.status = self.monitor.status()
        except LinkError as error:
            # The old status counts until the kernel answers again.
            self._warn_once(error)
            return LinkNews((), needs_retry=True)
        if self._opened_index != self.status.index:
            self._close()
        needs_retry = self._reopen()
        self._sources_seen.update(self.status.addresses.intersection(self._sources))
        lost_vips = self._lost_vips(before)
        return LinkNews((*self._link_event(before), *lost_vips), needs_retry)

    def _link_event(self, before: LinkStatus) -> tuple[LinkUp | LinkDown, ...]:
        was_usable, self.usable = self.usable, self._is_usable()
        if not self.usable:
            self._log_unusable()
            return (LinkDown(),) if was_usable else ()
        if was_usable:
            self._log_lost_sources(before)
            return ()
        self._reason = ""
        self._log.warning(f"{self._config.interface} can be used again")
        return (LinkUp(),)

    def close(self) -> None:
        """Leave the group and close the capture."""
        self._close()
        if self._holder is not None:
            self._holder.close()
        self.monitor.close()

    def _is_usable(self) -> bool:
        if self._ignore_link_state:
            return True
        # One family is enough to take part; an address never seen is not lost.
        lost = [source for source in self._sources_seen if self._has_lost(source)]
        address_ok = not self._sources or len(lost) < len(self._sources)
        is_open = self._capture is not None
        return is_open and self.status.up and self.status.carrier and address_ok

    def _has_lost(self, source: Address) -> bool:
        if source in self.status.addresses:
            return False
        # A card that was replaced has another link-local address, and the old one will
        # never return.
        return not (
            self._any_source6
            and source.version == 6
            and choose_source(self.status.sources, source, self._config.vips)
        )

    def _open(self) -> None:
        config = self._config
        # Always wide at first: libpcap itself applies the first filter a while longer.
        self._sieve, bpf = WIDE, filter_text(config)
        self._capture = LiveCapture(config.interface, bpf, self._read_timeout_ms)
        self._opened_index = self.status.index
        if not self.status.mac:
            self._close()
            raise LinkError(
                "Unable to find MAC address of [{interface}]: not Ethernet",
                interface=config.interface,
            )
        mac = self.status.mac.hex(":")
        self._log.info(f"Local advertised ethernet address is [{mac}]")
        self._log.debug(f"BPF rule: [{bpf}]")
        if config.peers:
            self._neighbours = Neighbours(self.status.index)
            for peer in config.peers:
                # Resolve it now, so that its MAC is known for the first advert.
                self.next_hop_mac(peer)
        self._join()

    def _join(self) -> None:
        for group in self._groups:
            if group in self._memberships:
                continue
            try:
                self._memberships[group] = Membership(group, self.status.index)
            except LinkError as error:
                # Adverts may arrive all the same: not every switch filters.
                self._warn_once(error)

    def _reopen(self) -> bool:
        """Open what is not open and could be; True if that has to be tried again."""
        try:
            if self.status.up and self._capture is None:
                self._open()
            elif self._lacks_group():
                self._join()
        except LinkError as error:
            self._warn_once(error)
        is_deaf = self.status.up and self._capture is None
        needs_retry = is_deaf or self._lacks_group()
        if not needs_retry:
            self._failure = ""
        return needs_retry

    def _lacks_group(self) -> bool:
        return self._capture is not None and len(self._memberships) < len(self._groups)

    def _warn_once(self, error: LinkError) -> None:
        if str(error) != self._failure:
            self._log.warning(str(error))
        self._failure = str(error)

    def _close(self) -> None:
        self._opened_index = 0
        while self._memberships:
            self._memberships.popitem()[1].close()
        if self._neighbours is not None:
            self._neighbours.close()
            self._neighbours = None
        if self._capture is not None:
            with suppress(LinkError):
                self._capture.close()
            self._capture = None

    def _log_unusable(self) -> None:
        """Log the reason, unless it was logged last."""
        status, interface = self.status, self._config.interface
        if not status.exists:
            reason = f"{interface} is gone"
        elif not status.up:
            reason = f"{interface} is down"
        elif self._capture is None:
            reason = ""  # logged when it could not be opened
        elif not status.carrier:
            reason = f"{interface} has no carrier"
        else:
            sources = ", ".join(map(str, self._sources))
            reason = f"{interface} has lost our address {sources}"
        if reason != self._reason and reason:
            self._log.warning(reason)
        self._reason = reason

    def _log_lost_sources(self, before: LinkStatus) -> None:
        """Log lost sources that one of the other family makes up for."""
        for source in self._sources:
            if source in before.addresses and self._has_lost(source):
                self._log.warning(
                    f"{self._config.interface} has lost our address {source}"
                )

    def _lost_vips(self, before: LinkStatus) -> tuple[AddressesLost, ...]:
        gone = before.addresses - self.status.addresses
        lost = [vip for vip in self._config.vips if vip in gone]
        for vip in lost:
            self._log.info(f"{vip} is no longer on {self._config.interface}")
        return (AddressesLost(),) if lost else ()


def _groups(config: VirtualHostConfig) -> tuple[Address, ...]:
    """Return the multicast groups that peers advertise to."""
    if config.peers or not config.multicast:
        return ()
    return tuple(
        config.group if family is Family.IPV4 else CARP_GROUP6
        for family in config.families
    )
