"""Frames from the wire or from a file, with the instant libpcap gave them.

The only importer of pcapy, which also sends: `LiveCapture.send` uses the handle that
listens, so that our own frames are not heard on it.
"""

import os
import socket
import stat
from array import array
from collections.abc import Iterator
from contextlib import suppress
from struct import iter_unpack, pack

import pcapy

from carppcap.errors import LinkError
from carppcap.units import NS_PER_S, NS_PER_US
from carppcap.wire.decode import LinkType

SNAPSHOT_LENGTH = 256
"""Enough for a tag, all IP options, an advert and some stray bytes."""

RING_BYTES = 512 * 1024
"""Two blocks: a thousand frames and more in a burst, but of frames that come one by
one, each takes a block when its timeout is over.  What gets lost while the process
is held up is counted (`LiveCapture.dropped`), so it need not all find room; libpcap's
own 2 MiB would count as our memory."""

READ_TIMEOUT_MS = 10
READ_TIMEOUT_SUBSECOND_MS = 1
"""How long the kernel may keep a frame to itself.  At 1 ms it wakes up a thousand
times a second for it, which only sub-second adverts are worth."""

SO_ATTACH_FILTER = 26
"""What Python's `socket` has no name for."""

BATCH = 64
FILE_BATCH = 512

_ACTIVATION_ERRORS = {
    -5: "no such interface",
    -8: "permission denied (only root may, or who has CAP_NET_RAW)",
    -9: "the interface is down",
}

StampedFrame = tuple[int, bytes]
"""Wall-clock nanoseconds of the capture, and the frame."""


class LinkGoneError(LinkError):
    """The interface went down or away under an open handle."""


class SendError(LinkError):
    """One frame could not be sent; the next may."""


def default_interface() -> str:
    """The first interface that captures real frames, as the original picks it.

    Raises `LinkError` where there is none, or none that we may see.
    """
    pseudo = {"any", "lo", "nflog", "nfqueue", "bluetooth-monitor", "usbmon0"}
    try:
        names = [name for name in pcapy.findalldevs() if name not in pseudo]
    except pcapy.PcapError as error:
        raise LinkError("Unable to list the interfaces: {why}", why=error) from None
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
        self._interface = interface
        self._dropped = 0
        try:
            self._handle = pcapy.create(interface)
            self._handle.set_snaplen(SNAPSHOT_LENGTH)
            self._handle.set_promisc(0)
            self._handle.set_timeout(read_timeout_ms)
            self._handle.set_buffer_size(RING_BYTES)
            _activate(self._handle)
            self._handle.setnonblock(1)
            self._handle.setfilter(bpf)
            self.link_type = _link_type(self._handle, interface)
        except pcapy.PcapError as error:
            raise LinkError(
                "Unable to open interface [{interface}]: {why}",
                interface=interface,
                why=error,
            ) from None

    def set_filter(self, bpf: str) -> None:
        """Have another filter from now on.  Raises `LinkError`; then the old one stays.

        What is in the buffer stays there, and no frame gets lost meanwhile: libpcap's
        own way is to hear nothing for a moment, and pcapy's to leave the memory of a
        filter behind each time.
        """
        try:
            if self.link_type is LinkType.ETHERNET:
                self._attach(bpf)
            else:  # The kernel counts its bytes from elsewhere; libpcap knows whence.
                self._handle.setfilter(bpf)
        except (OSError, pcapy.PcapError) as error:
            raise LinkError("Unable to change the filter: {why}", why=error) from None

    def _attach(self, bpf: str) -> None:
        number = self.link_type.value
        steps = pcapy.compile(number, SNAPSHOT_LENGTH, bpf, 1, 0).get_bpf()
        code = array("B", b"".join(pack("=HBBI", *step) for step in steps))
        program = pack("@HP", len(steps), code.buffer_info()[0])
        with socket.socket(fileno=os.dup(self.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)

    def fileno(self) -> int:
        """Readable when frames are there, or when the interface failed."""
        descriptor: int = self._handle.getfd()
        return descriptor

    def read(self) -> list[StampedFrame]:
        """The next few frames; empty once the buffer is.

        Raises `LinkGoneError` when the interface went down or away.  The handle is of
        use again when the same interface is up again.
        """
        try:
            return list(_unpack(*self._handle.next_batch(BATCH)))
        except pcapy.PcapError as error:
            raise LinkGoneError("{why}", why=error) from None

    def dropped(self) -> int:
        """How many frames the kernel had no room for, since the handle was opened."""
        with suppress(pcapy.PcapError):
            self._dropped = self._handle.stats()[1]
        return self._dropped

    def send(self, frame: bytes) -> None:
        """Put `frame` on the wire.  Raises `SendError`."""
        try:
            self._handle.sendpacket(frame)
        except pcapy.PcapError as error:
            raise SendError("{why}", why=str(error).removeprefix("send: ")) from None

    def close(self) -> None:
        """Give the handle back; it is of no use afterwards."""
        self._handle.close()


def _activate(handle: "pcapy.Reader") -> None:
    # pcapy returns the code of libpcap and raises nothing (pcap_activate(3)).
    code = handle.activate()
    if code < 0:
        raise pcapy.PcapError(_ACTIVATION_ERRORS.get(code, f"error {code} of libpcap"))


class FileCapture:
    """A .pcap or .pcapng file, read in batches, narrowed to `bpf` by libpcap.

    Raises `LinkError` if it is no capture of a known kind.
    """

    link_type: LinkType

    def __init__(self, path: str, bpf: str) -> None:
        self._path = path
        self._bpf = bpf
        self._delivered = 0
        self._handle = self._open()
        # A pipe cannot be read again, as a file can that turns out to break off.
        self._one_by_one = not stat.S_ISREG(os.stat(path).st_mode)
        self.link_type = _link_type(self._handle, path)

    def _open(self) -> "pcapy.Reader":
        try:
            if stat.S_ISDIR(os.stat(self._path).st_mode):
                raise LinkError("{path}: is a directory", path=self._path)
            handle = pcapy.open_offline(self._path)
        except UnicodeEncodeError:
            raise LinkError(
                "{path}: its name is not UTF-8, which libpcap's binding needs",
                path=ascii(self._path),
            ) from None
        except OSError as error:
            raise LinkError(
                "{path}: {why}", path=self._path, why=error.strerror
            ) from None
        except pcapy.PcapError as error:
            why = str(error).removeprefix(f"{self._path}: ")
            raise LinkError("{path}: {why}", path=self._path, why=why) from None
        if self._bpf:
            # A link type that a part of the filter makes no sense on is read whole.
            with suppress(pcapy.PcapError):
                handle.setfilter(self._bpf)
        return handle

    def read(self) -> list[StampedFrame]:
        """The next frames; empty at the end of the file.

        Raises `LinkError` where the file breaks off, after every whole frame before
        that was returned.
        """
        try:
            frames = self._next_frame() if self._one_by_one else self._next_batch()
        except pcapy.PcapError as error:
            if not self._one_by_one:
                # The batch that failed took its good frames with it: read again up
                # to here, and from now on one by one.
                self._skip_to_here()
                return self.read()
            raise LinkError("{path}: {why}", path=self._path, why=error) from None
        self._delivered += len(frames)
        return frames

    def _next_batch(self) -> list[StampedFrame]:
        return list(_unpack(*self._handle.next_batch(FILE_BATCH)))

    def _next_frame(self) -> list[StampedFrame]:
        header, data = self._handle.next()
        if header is None:
            return []
        seconds, microseconds = header.getts()
        # A file has 32 bits without a sign for each, which pcapy gives a sign here and
        # none in a batch: from 2038 on that would be another time.
        seconds, microseconds = seconds % (1 << 32), microseconds % (1 << 32)
        return [(seconds * NS_PER_S + microseconds * NS_PER_US, data)]

    def _skip_to_here(self) -> None:
        self._one_by_one = True
        self._handle = self._open()
        for _ in range(self._delivered):
            self._handle.next()

    def __iter__(self) -> Iterator[StampedFrame]:
        while frames := self.read():
            yield from frames


def _unpack(data: bytes, records: bytes) -> Iterator[StampedFrame]:
    for seconds, microseconds, offset, length in iter_unpack("=IIII", records):
        stamp_ns = seconds * NS_PER_S + microseconds * NS_PER_US
        yield stamp_ns, data[offset : offset + length]


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
