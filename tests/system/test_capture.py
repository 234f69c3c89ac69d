"""Frames from files, good and bad, and from a cable."""

import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from struct import pack

import pytest

from carppcap.errors import LinkError
from carppcap.system.capture import (
    BATCH,
    READ_TIMEOUT_MS,
    FileCapture,
    LinkGoneError,
    LiveCapture,
    SendError,
    StampedFrame,
    default_interface,
)
from carppcap.units import NS_PER_S, NS_PER_US
from carppcap.wire.decode import LinkType
from tests.builders import config, frame, payload
from tests.shell import environment, ip, make_link, network, wait_for

ADVERT = frame(payload(config()))
OTHER = bytes(12) + b"\x88\xb5" + bytes(46)
CARP_ONLY = "ip proto 112"


def pcap(frames: list[bytes], link_type: int = 1) -> bytes:
    """Return a .pcap file of frames a second apart, packed by hand."""
    header = pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    return header + b"".join(
        pack("=IIII", second, 7, len(data), len(data)) + data
        for second, data in enumerate(frames)
    )


def pcapng(frames: list[bytes]) -> bytes:
    """Return the same frames as a .pcapng file."""

    def block(kind: int, body: bytes) -> bytes:
        length = 12 + len(body)
        return pack("=II", kind, length) + body + pack("=I", length)

    found = block(0x0A0D0D0A, pack("=IHHq", 0x1A2B3C4D, 1, 0, -1))
    found += block(1, pack("=HHI", 1, 0, 65535))
    for second, data in enumerate(frames):
        stamp = second * 1_000_000 + 7
        padded = data + bytes(-len(data) % 4)
        body = pack("=IIIII", 0, stamp >> 32, stamp & 0xFFFFFFFF, len(data), len(data))
        found += block(6, body + padded)
    return found


def stamped(frames: list[bytes]) -> list[StampedFrame]:
    return [
        (second * NS_PER_S + 7 * NS_PER_US, data) for second, data in enumerate(frames)
    ]


def write(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "x.pcap"
    path.write_bytes(data)
    return str(path)


def read_until_broken(capture: FileCapture) -> tuple[list[StampedFrame], str]:
    frames: list[StampedFrame] = []
    try:
        while batch := capture.read():
            frames += batch
    except LinkError as error:
        return frames, str(error)
    return frames, ""


MANY = [bytes((number % 256,)) * 60 for number in range(600)]


@pytest.mark.parametrize("write_file", [pcap, pcapng])
@pytest.mark.parametrize("frames", [[], [ADVERT], MANY], ids=["none", "one", "many"])
def test_a_file(tmp_path: Path, write_file: object, frames: list[bytes]) -> None:
    """Every frame is read with its own stamp, from either format."""
    assert callable(write_file)
    capture = FileCapture(write(tmp_path, write_file(frames)))

    assert read_until_broken(capture) == (stamped(frames), "")
    assert capture.link_type is LinkType.ETHERNET
    assert capture.read() == []


@pytest.mark.parametrize("number", [0, 1, 3, 512, 515])
@pytest.mark.parametrize("cut", [1, 61, 70])
def test_a_file_that_breaks_off(tmp_path: Path, number: int, cut: int) -> None:
    """Every whole frame before the break is given, then the reason."""
    whole = MANY[:number]
    path = write(tmp_path, pcap([*whole, bytes(60)])[:-cut])

    frames, why = read_until_broken(FileCapture(path))

    assert frames == stamped(whole)
    assert why.startswith(f"{path}: truncated dump file")


@pytest.mark.parametrize("second", [0, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("microsecond", [999_999, 2**31, 2**32 - 1])
def test_a_break_changes_no_stamp(
    tmp_path: Path, second: int, microsecond: int
) -> None:
    """A truncated file gives the same stamps as a whole one, also after 2038."""
    record = pack("=IIII", second, microsecond, len(ADVERT), len(ADVERT)) + ADVERT
    whole = FileCapture(write(tmp_path, pcap([]) + record))
    expected = [(second * NS_PER_S + microsecond * NS_PER_US, ADVERT)]

    assert whole.read() == expected

    broken = FileCapture(write(tmp_path, pcap([]) + record + b"?"))
    frames, why = read_until_broken(broken)

    assert frames == expected
    assert "truncated dump file" in why


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated dump file"),
        (b"\x00" * 100, "unknown file format"),
        (b"#!/bin/sh\necho this is no capture\n", "unknown file format"),
        (pcap([])[:20], "truncated dump file"),
        (pcap([ADVERT], link_type=105), "unknown link type 105 (allowed: Ethernet"),
    ],
)
def test_a_foreign_file(tmp_path: Path, data: bytes, why: str) -> None:
    """The error is one sentence that begins with the path and has it only once."""
    path = write(tmp_path, data)

    with pytest.raises(LinkError) as caught:
        FileCapture(path)

    assert str(caught.value).startswith(f"{path}: {why}")
    assert str(caught.value).count(path) == 1


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A file that is missing, a directory or unreadable is an error."""
    for path, why in [
        (str(tmp_path / "none"), "No such file or directory"),
        (str(tmp_path), "is a directory"),
        ("/proc/self/mem/x", "Not a directory"),
    ]:
        with pytest.raises(LinkError, match=f"^{path}: {why}$"):
            FileCapture(path)


def test_no_such_interface() -> None:
    """The error is in words, although pcapy only has a number."""
    why = "no such interface|permission denied"
    with pytest.raises(
        LinkError, match=rf"^Unable to open interface \[nosuch0\]: ({why})"
    ):
        LiveCapture("nosuch0", CARP_ONLY, READ_TIMEOUT_MS)


@pytest.fixture
def cable() -> Iterator[socket.socket]:
    """A network with a cable from a0 to b0, and a socket that sends on b0."""
    with network():
        make_link()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as far:
            far.bind(("b0", 0))
            far.settimeout(10)
            yield far


def read_all(capture: LiveCapture, number: int) -> list[StampedFrame]:
    frames: list[StampedFrame] = []
    while len(frames) < number and select.select([capture], [], [], 10)[0]:
        frames += capture.read()
    return frames


@pytest.mark.netns
def test_live(cable: socket.socket) -> None:
    """Adverts arrive by select, in order, with stamps; nothing else does."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)
    assert capture.read() == []
    adverts = [frame(payload(config(), counter)) for counter in range(BATCH + 6)]
    cable.send(OTHER)
    for advert in adverts:
        cable.send(advert)

    frames = read_all(capture, len(adverts))

    assert [data for _, data in frames] == adverts
    stamps = [stamp for stamp, _ in frames]
    assert stamps == sorted(stamps)
    assert capture.link_type is LinkType.ETHERNET
    assert capture.dropped() == 0
    capture.close()


@pytest.mark.netns
def test_sending(cable: socket.socket) -> None:
    """A frame leaves as it is, and is not heard on the handle that sent it."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)
    capture.send(ADVERT)

    while (heard := cable.recv(2000)) != ADVERT:
        assert heard[12:14] != b"\x08\x00"
    assert capture.read() == []
    capture.close()


@pytest.mark.netns
def test_an_interface_that_goes_down_and_away(cable: socket.socket) -> None:
    """Reading and sending raise errors and do not wait; after `up` the handle works."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)
    ip("link set a0 down")

    with pytest.raises(SendError, match=r"[Dd]own"):
        capture.send(ADVERT)
    ip("link set a0 up")
    frames: list[StampedFrame] = []

    def heard() -> bool:
        # Linux drops what is sent until it has seen the carrier of the far end.
        cable.send(ADVERT)
        with suppress(LinkGoneError):  # It says once more that it was down.
            frames.extend(capture.read())
        return bool(frames)

    wait_for(heard, "the advert after the interface came back")
    assert {data for _, data in frames} == {ADVERT}

    ip("link delete a0")
    with pytest.raises(LinkGoneError):
        wait_for(lambda: capture.read() and False, "the end of the interface")
    with pytest.raises(SendError):
        capture.send(ADVERT)
    # Readable for ever would be a busy loop.
    wait_for(lambda: not select.select([capture], [], [], 0)[0] or not drain(capture))
    capture.close()


def drain(capture: LiveCapture) -> bool:
    try:
        return bool(capture.read())
    except LinkGoneError:
        return True


OTHERS_ADVERT = frame(payload(config(vhid=8)))
OF_VHID_7 = "ip proto 112 and ip[21] = 7"


@pytest.mark.netns
def test_another_filter(cable: socket.socket) -> None:
    """It applies at once, and frames that had arrived before are not lost."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)
    for frames in ([ADVERT, OTHERS_ADVERT], [OTHERS_ADVERT, ADVERT, OTHERS_ADVERT]):
        for data in frames:
            cable.send(data)
        capture.set_filter(OF_VHID_7)
    cable.send(OTHERS_ADVERT)
    cable.send(ADVERT)
    capture.set_filter(CARP_ONLY)
    cable.send(OTHERS_ADVERT)

    frames = [data for _, data in read_all(capture, 5)]

    assert frames == [ADVERT, OTHERS_ADVERT, ADVERT, ADVERT, OTHERS_ADVERT]
    capture.close()


@pytest.mark.netns
def test_no_frame_is_lost_between_filters(cable: socket.socket) -> None:
    """A frame that both filters accept is never missed while one replaces the other."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)
    number = 20_000
    is_over = threading.Event()

    def send() -> None:
        for _ in range(number):
            cable.send(ADVERT)
        is_over.set()

    sender = threading.Thread(target=send)
    sender.start()
    heard = 0
    for bpf in cycle((OF_VHID_7, CARP_ONLY)):
        frames = capture.read()
        heard += len(frames)
        capture.set_filter(bpf)
        if is_over.is_set() and heard + capture.dropped() >= number:
            break
        if is_over.is_set() and not select.select([capture], [], [], 1)[0]:
            break
    sender.join()

    assert heard + capture.dropped() == number
    capture.close()


@pytest.mark.netns
def test_a_filter_that_is_none(cable: socket.socket) -> None:
    """An invalid filter is an error of one sentence, and the old one stays."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)

    with pytest.raises(LinkError, match=r"^Unable to change the filter: unknown"):
        capture.set_filter("ip proto what")
    cable.send(OTHER)
    cable.send(ADVERT)

    assert [data for _, data in read_all(capture, 1)] == [ADVERT]
    capture.close()


@pytest.mark.netns
def test_another_filter_without_ethernet(cable: socket.socket) -> None:
    """On a link other than Ethernet libpcap sets the filter: the offsets differ."""
    capture = LiveCapture("any", CARP_ONLY, READ_TIMEOUT_MS)
    assert capture.link_type is LinkType.LINUX_SLL
    capture.set_filter(OF_VHID_7)
    cable.send(OTHERS_ADVERT)
    cable.send(ADVERT)

    frames = read_all(capture, 2)  # It leaves b0 and arrives at a0.

    assert [data[16:] for _, data in frames] == [ADVERT[14:]] * 2
    capture.close()


@pytest.mark.netns
def test_frames_without_room_are_counted(cable: socket.socket) -> None:
    """A process that was stopped can tell that frames were lost meanwhile."""
    capture = LiveCapture("a0", CARP_ONLY, READ_TIMEOUT_MS)

    def flooded() -> bool:
        for _ in range(500):
            cable.send(ADVERT)
        return capture.dropped() > 0

    wait_for(flooded, "a full ring")
    dropped = capture.dropped()

    assert dropped > 0
    assert capture.dropped() >= dropped
    capture.close()


@pytest.mark.netns
def test_default_interface() -> None:
    """It is the first that is neither `lo` nor a pseudo device."""
    with network():
        with pytest.raises(LinkError, match=r"^You must supply a network interface"):
            default_interface()
        make_link("a0", "b0")

        assert default_interface() in {"a0", "b0"}


@pytest.mark.netns
@pytest.mark.parametrize("name", ["lo", "a0"])
def test_without_the_right_to_capture(name: str) -> None:
    """Without root the error says what is needed."""
    script = (
        "import os, sys\n"
        "from carppcap.system.capture import LiveCapture\n"
        "from carppcap.errors import LinkError\n"
        "os.setgid(65534), os.setuid(65534)\n"
        "try: LiveCapture(sys.argv[1], '', 10)\n"
        "except LinkError as error: print(error)\n"
    )
    with network():
        make_link()
        ended = subprocess.run(
            [sys.executable, "-c", script, name],
            capture_output=True,
            text=True,
            check=True,
            env=environment(),
        )

    assert ended.stdout.startswith(f"Unable to open interface [{name}]: ")
    assert "permission denied" in ended.stdout
