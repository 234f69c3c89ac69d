"""One interface, which is opened again when that is necessary and possible.

The interface may lose its carrier, go down, be renamed, be removed and made again under
the same name, or lose our address.  The virtual host gets only these events:
`LinkDown`, `LinkUp`, `AddressesLost` and `MacChanged`.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

from carppcap.addresses import Address
from carppcap.daemon.chosen_source import with_another
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, LinkDown, LinkUp, MacChanged
from carppcap.errors import LinkError, on_error
from carppcap.filter.bpf import WIDE, Sieve, filter_text
from carppcap.system.capture import (
    READ_TIMEOUT_MS,
    READ_TIMEOUT_SUBSECOND_MS,
    LinkGoneError,
    LiveCapture,
    SendError,
    StampedFrame,
)
from carppcap.system.link import Held, LinkMonitor, LinkStatus, Membership
from carppcap.system.neighbours import Neighbours
from carppcap.system.protocol import ProtocolHolder
from carppcap.system.source_address import choose_source
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_MS, NS_PER_S, Interval
from carppcap.wire.decode import LinkType


class LinkNews(NamedTuple):
    """The result of `Interface.refresh`.

    `needs_retry` is True if something failed.  In that case call `refresh` again after
    a while, since the kernel may send no event that would cause another call.
    """

    events: tuple[LinkUp | LinkDown | AddressesLost | MacChanged, ...]
    needs_retry: bool


class Interface:
    """Sends and receives frames for one virtual host.

    `ignore_link_state` suppresses `LinkDown` (for crossover cables).  `any_source6` is
    True if carppcap chose the IPv6 source itself; another address may then replace it.
    The interface need not exist yet.  Raises `LinkError` if no interface can have this
    name, or if the interface is up and cannot be opened.
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
        # What the kernel called the interface when it was found under our name, and its
        # index once it was in use.
        self._found_name = ""
        self._followed_index = 0
        self._ignore_link_state = ignore_link_state
        self._any_source6 = any_source6
        subsecond = config.interval_ns < NS_PER_S
        self._timeout_ms = READ_TIMEOUT_SUBSECOND_MS if subsecond else READ_TIMEOUT_MS
        self._sources_seen: set[Address] = set()
        groups = map(config.group_of, config.families)
        self._groups = () if config.peers or not config.multicast else tuple(groups)
        # What is open while the interface is up, and closed by `_opened`.
        self._opened = ExitStack()
        self._opened_index = 0
        # What the filter in the kernel was made of.
        self._filtered: tuple[VirtualHostConfig, Sieve, bytes] = (config, WIDE, b"")
        self._capture: LiveCapture | None = None
        self._neighbours: Neighbours | None = None
        self._joined: set[Address] = set()
        self._failure = ""
        self._trouble: str | None = None
        self._was_usable = False
        self._mac_known = b""
        self.status = LinkStatus()
        # What stays open until `close`.
        self._kept = ExitStack()
        self.monitor = self._kept.enter_context(closing(LinkMonitor(config.interface)))
        self._kept.callback(self._close)
        with on_error(self.close):
            self._begin()
        self._look_for_trouble()
        self._was_usable = self.usable

    def _begin(self) -> None:
        self.status = self.monitor.status()
        self._found_name = self.status.name
        for source in self._sources:
            if self.status.exists and source not in self.status.addresses:
                self._log.warning(
                    f"{source} is not an address of {self.name} (--srcip)"
                )
        if self._config.peers:
            self._kept.enter_context(closing(ProtocolHolder(*self._config.families)))
        if self.status.up:
            self._open()
        self._mac_news()

    @property
    def config(self) -> VirtualHostConfig:
        """The virtual host, with the IPv6 source that was chosen last."""
        return self._config

    @property
    def _sources(self) -> list[Address]:
        sources = map(self._config.source_of, self._config.families)
        return [source for source in sources if source is not None]

    @property
    def read_delay_ns(self) -> Interval:
        """The longest time for which the kernel may delay a received frame."""
        return 2 * self._timeout_ms * NS_PER_MS

    @property
    def name(self) -> str:
        """The name as it was given, or the new one if the interface was renamed."""
        if self.status.name in ("", self._found_name):
            return self._config.interface
        return self.status.name

    @property
    def usable(self) -> bool:
        """True if adverts can be sent and received."""
        return self._trouble is None

    @property
    def mac(self) -> bytes:
        """The MAC address of the interface; zeros while it has none."""
        return self.status.mac or bytes(6)

    @property
    def link_type(self) -> LinkType:
        """The link type of captured frames."""
        return LinkType.ETHERNET if self._capture is None else self._capture.link_type

    def descriptors(self) -> list[LinkMonitor | LiveCapture]:
        """Return the objects to wait for with `select`.  Call this before each wait."""
        return [self.monitor, self._capture] if self._capture else [self.monitor]

    def read(self) -> list[StampedFrame]:
        """Return the next frames from the capture buffer; no frames if it is empty."""
        if self._capture is None:
            return []
        try:
            return self._capture.read()
        except LinkGoneError:
            return []  # `refresh` learns the reason from the kernel

    def sift(self, sieve: Sieve) -> None:
        """Set the capture filter of the kernel to `sieve`.

        Frames that were captured before are still read.  Call this in every turn of the
        loop, because an interface that was opened again has the wide filter, and
        because an attempt that failed may succeed later.
        """
        wanted = (self._config, sieve, self.status.mac)
        if wanted == self._filtered or self._capture is None:
            return
        bpf = filter_text(*wanted)
        with self._failures_logged():
            self._capture.set_filter(bpf)
            self._filtered = wanted
            self._log.debug(f"BPF rule: [{bpf}]")

    @property
    def dropped(self) -> int:
        """Number of frames that the kernel has dropped since the capture was opened."""
        return 0 if self._capture is None else self._capture.dropped()

    def send(self, frame: bytes) -> None:
        """Put `frame` on the wire.  Raises `SendError`."""
        if self._capture is None:
            raise SendError("{interface} is not there", interface=self.name)
        self._capture.send(frame)

    @property
    def forwards_ipv6(self) -> bool:
        """True if this host forwards IPv6 on the interface."""
        path = f"/proc/sys/net/ipv6/conf/{self.status.name}/forwarding"
        try:
            with open(path, "rb") as file:
                return file.read(1) != b"0"
        except OSError:  # no IPv6 here, or no such interface any more
            return False

    def held(self) -> Held:
        """Return which virtual addresses this host has.  Raises `OSError`."""
        return self.monitor.held(self.status.index, self._config.vips)

    def next_hop_mac(self, peer: Address) -> bytes | None:
        """Return the MAC address for a frame to `peer`; None while it is not known."""
        if self._neighbours is not None:
            with self._failures_logged():
                return self._neighbours.mac_of(peer)
        return None

    @property
    def unreachable(self) -> dict[Address, str]:
        """The peers whose MAC the kernel cannot find, each with the reason in words."""
        return {} if self._neighbours is None else self._neighbours.unreachable

    def refresh(self) -> LinkNews:
        """Ask the kernel for the state of the interface; open the capture if necessary.

        Return the events for the virtual host.
        """
        self.monitor.drain()
        before, needs_retry = self.status, True
        # The old status counts until the kernel answers again.
        with self._failures_logged():
            # An interface that was in use is followed by its index when it is renamed,
            # because the virtual addresses are on it.
            self.status = self.monitor.status(self._followed_index)
            self._note_name(before)
            needs_retry = self._reopen()
            self._choose_source()
        lost_vips = self._lost_vips(before)
        events = (*self._link_event(before), *lost_vips, *self._mac_news())
        return LinkNews(events, needs_retry)

    def _choose_source(self) -> None:
        """Choose the IPv6 source again if it has gone, unless the user gave it."""
        if not self._any_source6:
            return
        self._config = with_another(self._config, self.status, self._log)

    def _mac_news(self) -> tuple[MacChanged, ...]:
        """Return `MacChanged` if the MAC is not the one that was last known."""
        mac, before = self.status.mac, self._mac_known
        if self._capture is None or mac == before:
            return ()
        self._mac_known = mac
        self._log.info(f"Local advertised ethernet address is [{mac.hex(':')}]")
        return (MacChanged(),) if before else ()

    def _note_name(self, before: LinkStatus) -> None:
        if self.status.index != before.index:
            self._followed_index = 0
            self._found_name = self.status.name or self._found_name
        elif self.status.name != before.name:
            self._log.warning(f"{before.name} was renamed to {self.status.name}")

    def _link_event(self, before: LinkStatus) -> tuple[LinkUp | LinkDown, ...]:
        was_usable = self.usable
        self._look_for_trouble()
        if not self.usable:
            return (LinkDown(),) if was_usable else ()
        if was_usable:
            self._log_lost_sources(before)
            return ()
        again = " again" if self._was_usable else ""
        self._log.warning(f"{self.name} can be used{again}")
        self._was_usable = True
        return (LinkUp(),)

    def close(self) -> None:
        """Leave the multicast groups and close all that was opened."""
        self._kept.close()

    def _look_for_trouble(self) -> None:
        """Find out why adverts cannot be exchanged; log the reason if it is new."""
        self._sources_seen.update(self.status.addresses.intersection(self._sources))
        logged, self._trouble = self._trouble, self._find_trouble()
        if self._trouble and self._trouble != logged:
            self._log.warning(f"{self.name} {self._trouble}")

    def _find_trouble(self) -> str | None:
        """Return why adverts cannot be exchanged; None if they can.

        Return an empty string if opening the interface failed, because the reason was
        logged at that moment.
        """
        if not self._found_name:
            return "is not there yet: waiting for it"
        if self._ignore_link_state:
            return None
        # One family is enough to take part.
        all_lost = self._sources and all(map(self._has_lost, self._sources))
        sources = ", ".join(map(str, self._sources))
        troubles = (
            (not self.status.exists, "is gone"),
            (not self.status.up, "is down"),
            (self._capture is None, ""),
            (not self.status.carrier, "has no carrier"),
            (all_lost, f"has lost our address {sources}"),
        )
        return next((trouble for is_so, trouble in troubles if is_so), None)

    def _has_lost(self, source: Address) -> bool:
        if source in self.status.addresses or source not in self._sources_seen:
            return False
        # The interface may have been replaced: another link-local address takes the
        # place of the old one, which never returns.
        if self._any_source6 and source.version == 6:
            return not choose_source(self.status.sources, source, self._config.vips)
        return True

    def _open(self) -> None:
        # The first filter is always the wide one, because libpcap itself goes on using
        # it for a while after another one was set in the kernel.
        self._filtered = (self._config, WIDE, self.status.mac)
        bpf = filter_text(*self._filtered)
        capture = LiveCapture(self.status.name, bpf, self._timeout_ms)
        self._capture = self._opened.enter_context(closing(capture))
        self._opened_index = self.status.index
        if not self.status.mac:
            raise LinkError(
                "Unable to find MAC address of [{interface}]: not Ethernet",
                interface=self.name,
            )
        self._followed_index = self.status.index
        self._log.debug(f"BPF rule: [{bpf}]")
        if self._config.peers:
            neighbours = Neighbours(self.status.index)
            self._neighbours = self._opened.enter_context(closing(neighbours))
            for peer in self._config.peers:
                # Resolve it now, so that its MAC is known for the first advert.
                self.next_hop_mac(peer)
        self._join()

    def _join(self) -> None:
        """Join the groups that are not joined yet."""
        for group in self._groups:
            if group in self._joined:
                continue
            # A failure is only logged: adverts may arrive without a membership, since
            # not every switch filters multicast.
            with self._failures_logged():
                membership = Membership(group, self.status.index)
                self._opened.enter_context(closing(membership))
                self._joined.add(group)

    def _reopen(self) -> bool:
        """Open the capture if necessary; True if that must be tried again later."""
        if self._opened_index != self.status.index:
            self._close()
        with self._failures_logged(), on_error(self._close):
            if self.status.up and self._capture is None:
                self._open()
            elif self._capture:
                self._join()
        lacks_group = len(self._joined) < len(self._groups)
        needs_retry = lacks_group if self._capture else self.status.up
        if not needs_retry:
            self._failure = ""
        return needs_retry

    @contextmanager
    def _failures_logged(self) -> Iterator[None]:
        """Catch a `LinkError` in the context; log it unless it repeats the last one."""
        try:
            yield
        except LinkError as error:
            if str(error) != self._failure:
                self._log.warning(str(error))
            self._failure = str(error)

    def _close(self) -> None:
        self._opened.close()
        self._opened_index = 0
        self._capture = self._neighbours = None
        self._joined.clear()

    def _log_lost_sources(self, before: LinkStatus) -> None:
        """Log a lost source address while we still have one of the other family."""
        for source in self._sources:
            if source in before.addresses and self._has_lost(source):
                self._log.warning(f"{self.name} has lost our address {source}")

    def _lost_vips(self, before: LinkStatus) -> tuple[AddressesLost, ...]:
        gone = before.addresses - self.status.addresses
        lost = [vip for vip in self._config.vips if vip in gone]
        for vip in lost:
            self._log.info(f"{vip} is no longer on {self.name}")
        return (AddressesLost(),) if lost else ()
