"""Captures frames from an interface or a file, with the time stamps of libpcap.

This is the only module that imports pcapy.  `LiveCapture.send` sends through the handle
that captures, because the kernel does not show a handle the frames that it sent itself.
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
"""Bytes kept of each frame: room for a VLAN tag, all IP options, an advert and some
trailing bytes."""

RING_BYTES = 1024 * 1024
"""Size of the kernel's ring of frames: four blocks, which hold more than two thousand
frames of a burst.  A block that has waited for the read timeout is delivered even if it
holds only one frame.  So what a stopped master finds in the ring are the two questions
of its backup, and the first adverts of that host as master, to which it yields.  Frames
lost while the process is held up are counted (`LiveCapture.dropped`), so the ring need
not hold them all.  libpcap's default of 2 MiB would count as memory of this process."""

READ_TIMEOUT_MS = 10
READ_TIMEOUT_SUBSECOND_MS = 1
"""How long the kernel may delay a frame, in milliseconds.  At 1 ms the kernel wakes up
a thousand times a second, which is worth it only for sub-second adverts."""

BATCH = 64

_ACTIVATION_ERRORS = {
    -5: "no such interface",
    -8: "permission denied (needs root or CAP_NET_RAW)",
    -9: "the interface is down",
}

StampedFrame = tuple[int, bytes]
"""The time of the capture, in nanoseconds of the wall clock, and the frame."""


class LinkGoneError(LinkError):
    """The interface of an open handle went down or was removed."""


class SendError(LinkError):
    """A frame could not be sent; sending the next one may succeed."""


@contextmanager
def pcap_errors(template: str, **values: object) -> Iterator[None]:
    """Raise a `LinkError` in place of an error of libpcap or the kernel.

    Its text is `template`, filled with `values` and, as `why`, the text of that error.
    """
    try:
        yield
    except (OSError, pcapy.PcapError) as error:
        raise LinkError(template, why=error, **values) from None


def default_interface() -> str:
    """Return the name of the first interface that is no pseudo-interface, like ucarp.

    Raises `LinkError` if there is none, or if this process may not see any.
    """
    pseudo = {"any", "lo", "nflog", "nfqueue", "bluetooth-monitor", "usbmon0"}
    with pcap_errors("Unable to list the interfaces: {why}"):
        names = [name for name in pcapy.findalldevs() if name not in pseudo]
    if not names:
        raise LinkError("You must supply a network interface (--interface): none found")
    return str(names[0])


class LiveCapture:
    """A capture on one interface: non-blocking, and filtered in the kernel.

    `bpf` is the filter expression; `read_timeout_ms` is `READ_TIMEOUT_MS` or
    `READ_TIMEOUT_SUBSECOND_MS`.  Raises `LinkError` if the interface cannot be opened.
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
        """Replace the filter by the expression `bpf`.

        Raises `LinkError`; the old filter then stays.  Frames in the buffer stay there.
        On Ethernet no frame is lost during the change.  libpcap's own `setfilter` would
        capture nothing for a moment, and each call would leak the memory of a filter.
        """
        with pcap_errors("Unable to change the filter: {why}"):
            if self.link_type is LinkType.ETHERNET:
                number = self.link_type.value
                program = pcapy.compile(number, SNAPSHOT_LENGTH, bpf, 1, 0).get_bpf()
                with socket.socket(fileno=os.dup(self.fileno())) as same:
                    attach_filter(same, program)
            else:  # Here the kernel counts offsets differently; libpcap adapts them.
                self._handle.setfilter(bpf)

    def fileno(self) -> int:
        """Return the descriptor: readable if frames came or the interface failed."""
        return int(self._handle.getfd())

    def read(self) -> list[StampedFrame]:
        """Return the next frames, or an empty list if the buffer is empty.

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
        """Return how many frames the kernel has dropped since `__init__`.

        The kernel drops a frame if the ring has no room.  Return 0 if the number is
        unknown.
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

    If frames were read in batches from a file that is cut off, libpcap would lose the
    good frames of the last batch.  Raises `LinkError` if the file cannot be read or is
    not a capture of a known kind.
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
        """Return a list with the next frame, or an empty list at the end of the file.

        Raises `LinkError` where the file is cut off.
        """
        with pcap_errors("{path}: {why}", path=self._path):
            header, data = self._handle.next()
        if header is None:
            return []
        # The file has unsigned numbers, but `getts` returns them as signed ones.
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
