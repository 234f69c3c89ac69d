"""Captures: conversations that move the core, and files that libpcap reads."""

import os
import re
from collections.abc import Iterator
from functools import cache
from ipaddress import IPv4Address
from struct import iter_unpack

import pcapy

from carppcap.election.config import VirtualHostConfig
from carppcap.errors import LinkError
from carppcap.node.counter import CounterSequence
from carppcap.node.groups import Group, Step
from carppcap.node.timeline import format_step, is_quiet
from carppcap.replay import run as replay
from carppcap.replay.report import Report
from carppcap.replay.statistics import Statistics, explain
from carppcap.system.capture import FileCapture, StampedFrame
from carppcap.units import NS_PER_S, NS_PER_US
from carppcap.wire.auth import Key
from carppcap.wire.decode import LinkType
from carppcap.wire.encode import build_announcement
from tests import captures
from tests.builders import (
    HIGHER,
    LOWER,
    NIC_MAC,
    OURS,
    VIP,
    config,
    frame,
    payload,
    vrrp_v2,
)
from tests.fuzz.frames import repaired

HOST = config()
STRANGER = VirtualHostConfig(
    interface="x.pcap",
    vhid=7,
    source=IPv4Address("10.9.0.99"),
    vips=(IPv4Address("10.9.0.100"),),
    key=Key(b"love"),
)

OUR_FIRST_COUNTER = CounterSequence(0, 0, lambda: 0).draw(
    STRANGER.master_down_interval_ns
)

TICKS_MAX = 50
"""For `replay.TICKS_PER_GAP_MAX`, so that an absurd gap is met within a millisecond."""

LINES_PER_FRAME_MAX = 20 + 2 * TICKS_MAX
RECORDS_MAX = 24
FRAMES_MAX = 2000
_SIGNED, _SUMMED = 1, 6
_EPOCH_NS = 1_700_000_000 * NS_PER_S


class _Frames:
    """A capture without a file."""

    link_type = LinkType.ETHERNET

    def __init__(self, frames: list[StampedFrame]) -> None:
        self._left = frames

    def read(self) -> list[StampedFrame]:
        frames, self._left = self._left, []
        return frames


class _Record(Report):
    """A report as a list of lines: everything but quiet steps."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        super().__init__(self.lines.append)

    def write_step(self, step: Step) -> None:
        if not is_quiet(step):
            self.lines.append(f"{format_step(step)}  {step.actions}")

    def write_summary(self, at: int, group: Group, statistics: Statistics) -> None:
        super().write_summary(at, group, statistics)
        self.lines.append(f"samples  {statistics.senders}")


def check_stream(data: bytes) -> object:
    """Frames made by a recipe, and replayed tersely and verbosely.

    A record of four bytes says which sender the next frame has and what of it is put
    right in the end, how long after the one before, and which bits of a byte differ.
    """
    records = [data[at : at + 4] for at in range(0, min(len(data), 4 * RECORDS_MAX), 4)]
    frames: list[StampedFrame] = []
    at_ns = _EPOCH_NS
    for record in records:
        recipe, gap, place, bits = record.ljust(4, b"\0")
        at_ns += gap * gap * 400 * NS_PER_US  # up to 26 s, and fine where it is short
        frames.append((at_ns, _made(recipe, place, bits, len(frames))))
    terse, verbose = (_replayed(frames, verbose=verbose) for verbose in (False, True))
    assert terse == verbose
    assert len(terse) <= LINES_PER_FRAME_MAX * (len(frames) + 2)
    return frozenset(map(_without_numbers, terse))


def _made(recipe: int, place: int, bits: int, counter: int) -> bytes:
    raw = bytearray(_sent_by(recipe >> 3 & 7, counter))
    raw[place % len(raw)] ^= bits
    if recipe & _SIGNED and len(raw) >= 70:
        raw[50:70] = payload(HOST, int.from_bytes(raw[42:50], "big"))[16:36]
    return bytes(raw[:14]) + repaired(bytes(raw[14:]), recipe & _SUMMED)


@cache
def _sent_by(number: int, counter: int) -> bytes:
    """What eight hosts say: peers of all kinds, ourselves, and other protocols."""
    body, source = payload(HOST, 1 + counter), LOWER
    match number:
        case 1:
            source = HIGHER
        case 2:
            body, source = payload(HOST, 1 + counter, advskew=100), HIGHER
        case 3:
            body = payload(HOST, 1 + counter, advbase=255, advskew=255)
        case 4:
            source = OURS
        case 5:
            body = payload(HOST, OUR_FIRST_COUNTER)
        case 6:
            return build_announcement(NIC_MAC, VIP)
        case 7:
            body = vrrp_v2(1)
    return frame(body, source=source)


def _replayed(frames: list[StampedFrame], *, verbose: bool) -> list[str]:
    record = _Record()
    run = replay.Replay(HOST, _Frames(frames), record, verbose=verbose)
    broken_off = _limited(run)
    return [*record.lines, str(broken_off)]


def _limited(run: replay.Replay) -> LinkError | None:
    usual, replay.TICKS_PER_GAP_MAX = replay.TICKS_PER_GAP_MAX, TICKS_MAX
    try:
        return run.run()
    finally:
        replay.TICKS_PER_GAP_MAX = usual


def check_file(data: bytes) -> object:
    """A file, read by libpcap one by one and in one batch, then replayed."""
    try:
        capture = FileCapture(_file(data))
    except LinkError as error:
        return _why(error)
    frames, why = _all_frames(capture)
    assert frames == _in_one_batch(len(frames))
    if len(frames) > FRAMES_MAX:
        return "many"
    lines: list[str] = []
    report = Report(lines.append, as_json=len(data) % 2 == 0)
    run = replay.Replay(STRANGER, FileCapture(_file(data)), report)
    broken_off = _limited(run)
    lines += explain(STRANGER, run.statistics)
    assert all("\n" not in line for line in lines)
    if why:
        assert broken_off is not None
    assert len(lines) <= LINES_PER_FRAME_MAX * (len(frames) + 2)
    return frozenset((why, capture.link_type, *map(_without_numbers, lines)))


def _all_frames(capture: FileCapture) -> tuple[list[StampedFrame], str]:
    """Every whole frame, and why there are no more."""
    frames: list[StampedFrame] = []
    try:
        while batch := capture.read():
            frames += batch
    except LinkError as error:
        return frames, _why(error)
    return frames, ""


def _in_one_batch(count: int) -> list[StampedFrame]:
    """The same frames by libpcap's other way."""
    if not count:
        return []
    data, records = pcapy.open_offline(_path()).next_batch(count)
    return [
        (seconds * NS_PER_S + microseconds * NS_PER_US, data[offset : offset + length])
        for seconds, microseconds, offset, length in iter_unpack("=IIII", records)
    ]


def _why(error: LinkError) -> str:
    assert "\n" not in str(error)
    return _without_numbers(error)


def _without_numbers(line: object) -> str:
    """What kind of line this is."""
    words = re.split(r"[^a-zA-Z_>]+", str(line).partition("  (")[0])
    return " ".join(word for word in words if word)


@cache
def _memory_file() -> int:
    return os.memfd_create("capture")


def _path() -> str:
    return f"/proc/self/fd/{_memory_file()}"


def _file(data: bytes) -> str:
    """The path of a file with this content, in memory; the one before is gone."""
    os.ftruncate(_memory_file(), 0)
    os.pwrite(_memory_file(), data, 0)
    return _path()


def stream_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """Conversations: elections, a farewell, a slower host, long silences, damage."""
    yield b""
    for host in range(8):
        for gap in (0, 5, 50, 100, 255):
            yield bytes((host << 3, gap, 0, 0)) * 6
            yield bytes((host << 3 | 7, gap, 42, 1, 0, 50, 0, 0, 16, 50, 0, 0)) * 3
    # Our own advert, from the address of another sender.
    yield bytes((0, 0, 0, 0, 0, 1, 0, 0, 0x28, 94, 0, 0))
    # Two adverts, then one that differs in a byte, then a good one again.
    for place in range(12, 70):
        for repairs in (0, 6, 7):
            yield bytes((0, 0, 0, 0, 0, 50, 0, 0, repairs, 50, place, 1, 0, 50, 0, 0))


def file_seeds(captured: list[bytes]) -> Iterator[bytes]:
    """Files of both formats and all link types, whole and cut."""
    records = [(number * 900_000, raw) for number, raw in enumerate(captured)]
    few = records[:: max(1, len(records) // 4)]
    for link_type in (captures.ETHERNET, captures.RAW, captures.SLL, captures.SLL2):
        for write in (captures.pcap, captures.pcapng):
            whole = write(few, link_type)
            yield from (whole, whole[:-5], whole[:24], write([], link_type))
    yield b"\xa1\xb2\x3c\x4d" + captures.pcap(few)[4:]
    yield b"\x4d\x3c\xb2\xa1" + captures.pcap(few)[4:]
    yield b"\xa1\xb2\xcd\x34" + captures.pcap(few)[4:]
