"""One interface, which is opened again when that is necessary and possible.

The interface may lose its carrier, go down, be renamed, be removed and made again under
the same name.  All groups on it share one capture.  `group_link` says what its state
means to each of them.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import NamedTuple

from carppcap.addresses import Address, Family
from carppcap.election.config import VirtualHostConfig
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
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_MS, NS_PER_S, Interval
from carppcap.wire.decode import LinkType


class Refreshed(NamedTuple):
    """The result of `Interface.refresh`.

    `before` is the status that the interface had.  `needs_retry` is True if something
    failed.  In that case call `refresh` again after a while, since the kernel may send
    no event that would cause another call.
    """

    before: LinkStatus
    mac_changed: bool
    needs_retry: bool


class Interface:
    """Sends and receives frames for the virtual hosts with these `configs`.

    All of them give the interface the same name.  It need not exist yet.  Raises
    `LinkError` if no interface can have this name, or if the interface is up and cannot
    be opened.
    """

    def __init__(self, configs: Sequence[VirtualHostConfig], log: Log) -> None:
        self._configs = list(configs)
        self._given_name = configs[0].interface
        self._log = log
        # What the kernel called the interface when it was found under our name, and its
        # index once it was in use.
        self._found_name = ""
        self._followed_index = 0
        subsecond = min(config.interval_ns for config in configs) < NS_PER_S
        self._timeout_ms = READ_TIMEOUT_SUBSECOND_MS if subsecond else READ_TIMEOUT_MS
        self._groups = {
            config.group_of(family): None
            for config in configs
            if config.multicast and not config.peers
            for family in config.families
        }
        self._peers = {peer: None for config in configs for peer in config.peers}
        # What is open while the interface is up, and closed by `_opened`.
        self._opened = ExitStack()
        self._opened_index = 0
        # What the filter in the kernel was made of.
        self._filtered = (self._configs, WIDE, b"")
        self._capture: LiveCapture | None = None
        self._neighbours: Neighbours | None = None
        self._joined: set[Address] = set()
        self._failure = ""
        self._warned: set[str] = set()
        self._mac_known = b""
        self.status = LinkStatus()
        # What stays open until `close`.
        self._kept = ExitStack()
        self.monitor = self._kept.enter_context(closing(LinkMonitor(self._given_name)))
        self._kept.callback(self._close)
        with on_error(self.close):
            self._begin()

    def _begin(self) -> None:
        self.status = self.monitor.status()
        self._found_name = self.status.name
        for config in self._configs:
            for source in map(config.source_of, config.families):
                is_missing = source and source not in self.status.addresses
                if self.status.exists and is_missing:
                    self.warn(f"{source} is not an address of {self.name} (--srcip)")
        if self._peers:
            families = {Family.of(peer) for peer in self._peers}
            self._kept.enter_context(closing(ProtocolHolder(*families)))
        if self.status.up:
            self._open()
        self._mac_changed()

    def warn(self, text: str) -> None:
        """Log a warning, unless another group has caused it in this refresh."""
        if text not in self._warned:
            self._warned.add(text)
            self._log.warning(text)

    def readdress(self, before: VirtualHostConfig, config: VirtualHostConfig) -> None:
        """Send and receive for `config`, which has another source than `before`."""
        self._configs = [config if one is before else one for one in self._configs]

    @property
    def read_delay_ns(self) -> Interval:
        """The longest time for which the kernel may delay a received frame."""
        return 2 * self._timeout_ms * NS_PER_MS

    @property
    def name(self) -> str:
        """The name as it was given, or the new one if the interface was renamed."""
        if self.status.name in ("", self._found_name):
            return self._given_name
        return self.status.name

    @property
    def was_found(self) -> bool:
        """True if an interface with our name was there at some time."""
        return self._found_name != ""

    @property
    def is_open(self) -> bool:
        """True if frames can be sent and received."""
        return self._capture is not None

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
        wanted = (self._configs, sieve, self.status.mac)
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

    def held(self, wanted: Iterable[Address]) -> Held:
        """Return which of the `wanted` addresses this host has.  Raises `OSError`."""
        return self.monitor.held(self.status.index, wanted)

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

    def refresh(self) -> Refreshed:
        """Ask the kernel for the state of the interface; open the capture if necessary.

        Return what `GroupLink.news` needs.
        """
        self.monitor.drain()
        self._warned.clear()
        before, needs_retry = self.status, True
        # The old status counts until the kernel answers again.
        with self._failures_logged():
            # An interface that was in use is followed by its index when it is renamed,
            # because the virtual addresses are on it.
            self.status = self.monitor.status(self._followed_index)
            self._note_name(before)
            needs_retry = self._reopen()
        return Refreshed(before, self._mac_changed(), needs_retry)

    def _mac_changed(self) -> bool:
        """True if the MAC is another one than before; log a new one."""
        mac, before = self.status.mac, self._mac_known
        if self._capture is None or mac == before:
            return False
        self._mac_known = mac
        self._log.info(f"Local advertised ethernet address is [{mac.hex(':')}]")
        return bool(before)

    def _note_name(self, before: LinkStatus) -> None:
        if self.status.index != before.index:
            self._followed_index = 0
            self._found_name = self.status.name or self._found_name
        elif self.status.name != before.name:
            self._log.warning(f"{before.name} was renamed to {self.status.name}")

    def close(self) -> None:
        """Leave the multicast groups and close all that was opened."""
        self._kept.close()

    def _open(self) -> None:
        # The first filter is always the wide one, because libpcap itself goes on using
        # it for a while after another one was set in the kernel.
        self._filtered = (self._configs, WIDE, self.status.mac)
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
        if self._peers:
            neighbours = Neighbours(self.status.index)
            self._neighbours = self._opened.enter_context(closing(neighbours))
            for peer in self._peers:
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
