"""Frames from an interface or from a file, with the time stamps of libpcap.

The only importer of pcapy.  It also sends: `LiveCapture.send` uses the handle that
captures, so that our own frames are not captured on it.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from struct import iter_unpack

import pcapy

from carppcap.errors import N_, LinkError
from carppcap.system.socket_filter import attach_filter
from carppcap.units import NS_PER_S, NS_PER_US
from carppcap.wire.decode import LinkType

SNAPSHOT_LENGTH = 256
"""Enough for a tag, all IP options, an advert and some trailing bytes."""

RING_BYTES = 512 * 1024
"""Two blocks: more than a thousand frames of a burst.  Of frames that arrive one by
one, each takes a block once its timeout is over.  Frames lost while the process is held
up are counted (`LiveCapture.dropped`), so the ring need not hold them all.  libpcap's
default of 2 MiB would count as our memory."""

READ_TIMEOUT_MS = 10
READ_TIMEOUT_SUBSECOND_MS = 1
"""How long the kernel may delay a frame.  At 1 ms it wakes up a thousand times a
second, which only sub-second adverts are worth."""

BATCH = 64

_ACTIVATION_ERRORS = {
    -5: "no such interface",
    -8: "permission denied (needs root or CAP_NET_RAW)",
    -9: "the interface is down",
}

StampedFrame = tuple[int, bytes]
"""Nanoseconds of the wall clock at the capture, and the frame."""


class LinkGoneError(LinkError):
    """The interface of an open handle went down or was removed."""


class SendError(LinkError):
    """One frame could not be sent; the next one may be."""


@contextmanager
def pcap_errors(template: str, **values: object) -> Iterator[None]:
    """Raise a `LinkError` for an error of libpcap or the kernel, its text as `why`."""
    try:
        yield
    except (OSError, pcapy.PcapError) as error:
        raise LinkError(template, why=error, **values) from None


def default_interface() -> str:
    """Return the first interface that captures real frames, as ucarp chooses it.

    Raises `LinkError` if there is none, or none that we may see.
    """
    pseudo = {"any", "lo", "nflog", "nfqueue", "bluetooth-monitor", "usbmon0"}
    with pcap_errors("Unable to list the interfaces: {why}"):
        names = [name for name in pcapy.findalldevs() if name not in pseudo]
    if not names:
        raise LinkError("You must supply a network interface (--interface): none found")
    return str(names[0])


class LiveCapture:
    """An open interface: non-blocking, filtered in the kernel, ready for `epoll`.

    `read_timeout_ms` is one of the two above.  Raises `LinkError` if the interface
    cannot be opened.
    """

    link_type: LinkType

    def __init__(self, interface: str, bpf: str, read_timeout_ms: int) -> None:
        failure = N_("Unable to open interface [{interface}]: {why}")
        with pcap_errors(failure, interface=interface):
            self._handle = pcapy.create(interface)
            self._handle.set_snaplen(SNAPSHOT_LENGTH)
            self._handle.set_promisc(0)
            self._handle.set_timeout(read_timeout_ms)
            self._handle.set_buffer_size(RING_BYTES)
            # pcapy returns the code of libpcap and raises nothing (pcap_activate(3)).
            code = self._handle.activate()
            if code < 0:
                why = _ACTIVATION_ERRORS.get(code, f"error {code} of libpcap")
                raise pcapy.PcapError(why)
            self._handle.setnonblock(1)
            self._handle.setfilter(bpf)
            self.link_type = _link_type(self._handle, interface)

    def set_filter(self, bpf: str) -> None:
        """Replace the filter.  Raises `LinkError`; then the old one stays.

        Frames in the buffer stay there, and none gets lost meanwhile.  `setfilter`
        would capture nothing for a moment, and leak the memory of a filter each time.
        """
        with pcap_errors("Unable to change the filter: {why}"):
            if self.link_type is LinkType.ETHERNET:
                number = self.link_type.value
                program = pcapy.compile(number, SNAPSHOT_LENGTH, bpf, 1, 0).get_bpf()
                with socket.socket(fileno=os.dup(self.fileno())) as same:
                    attach_filter(same, program)
            else:  # The kernel's offsets are others, and libpcap knows them.
                self._handle.setfilter(bpf)

    def fileno(self) -> int:
        """Return the descriptor: readable on frames, or if the interface failed."""
        return int(self._handle.getfd())

    def read(self) -> list[StampedFrame]:
        """Return the next frames, none if the buffer is empty.

        Raises `LinkGoneError` if the interface went down or was removed.  Once the same
        interface is up again, the handle works again.
        """
        try:
            data, records = self._handle.next_batch(BATCH)
        except pcapy.PcapError as error:
            raise LinkGoneError("{why}", why=error) from None
        return [
            (seconds * NS_PER_S + micros * NS_PER_US, data[start : start + length])
            for seconds, micros, start, length in iter_unpack("=IIII", records)
        ]

    def dropped(self) -> int:
        """Return how many frames the kernel had no room for since `__init__`.

        0 if it cannot tell.
        """
        try:
            return int(self._handle.stats()[1])
        except pcapy.PcapError:
            return 0

    def send(self, frame: bytes) -> None:
        """Send `frame`.  Raises `SendError`."""
        try:
            self._handle.sendpacket(frame)
        except pcapy.PcapError as error:
            raise SendError("{why}", why=str(error).removeprefix("send: ")) from None

    def close(self) -> None:
        """Close the handle."""
        self._handle.close()


class FileCapture:
    """A .pcap or .pcapng file, read frame by frame.

    libpcap loses the good frames of a batch in which the file breaks off.  Raises
    `LinkError` if the file cannot be read or is no capture of a known kind.
    """

    link_type: LinkType

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            if stat.S_ISDIR(os.stat(path).st_mode):
                raise LinkError("{path}: is a directory", path=path)
            self._handle = pcapy.open_offline(path)
        except UnicodeEncodeError:
            raise LinkError(
                "{path}: its name is not UTF-8, which libpcap's binding needs",
                path=ascii(path),
            ) from None
        except OSError as error:
            raise LinkError("{path}: {why}", path=path, why=error.strerror) from None
        except pcapy.PcapError as error:
            why = str(error).removeprefix(f"{path}: ")
            raise LinkError("{path}: {why}", path=path, why=why) from None
        self.link_type = _link_type(self._handle, path)

    def read(self) -> list[StampedFrame]:
        """Return the next frame, none at the end of the file.

        Raises `LinkError` where the file breaks off.
        """
        with pcap_errors("{path}: {why}", path=self._path):
            header, data = self._handle.next()
        if header is None:
            return []
        # Both are unsigned in the file, but signed here.
        seconds, microseconds = (part % (1 << 32) for part in header.getts())
        return [(seconds * NS_PER_S + microseconds * NS_PER_US, data)]


def _link_type(handle: "pcapy.Reader", name: str) -> LinkType:
    number = handle.datalink()
    try:
        return LinkType(number)
    except ValueError:
        raise LinkError(
            "{name}: unknown link type {number} (allowed: Ethernet, Linux cooked, "
            "raw IP)",
            name=name,
            number=number,
        ) from None
