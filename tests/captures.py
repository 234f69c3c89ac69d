"""Capture files, written and rewritten by hand: independent of libpcap and impacket."""

from collections.abc import Callable, Iterable
from pathlib import Path
from struct import pack, unpack_from
from typing import TypeAlias

Record: TypeAlias = tuple[int, bytes]
"""Microseconds since 1970, and the frame."""

ETHERNET, RAW, SLL, SLL2 = 1, 101, 113, 276
"""LINKTYPE_* numbers, as they stand in files (tcpdump.org/linktypes.html)."""

HEADER_LENGTH = 24
RECORD_HEADER_LENGTH = 16


def read(path: Path) -> list[Record]:
    """The records of a .pcap file with microseconds, written on a little machine."""
    data = path.read_bytes()
    assert data[:4] == bytes.fromhex("d4c3b2a1")
    records, offset = [], HEADER_LENGTH
    while offset < len(data):
        seconds, microseconds, length, _ = unpack_from("<IIII", data, offset)
        offset += RECORD_HEADER_LENGTH
        frame = data[offset : offset + length]
        records.append((seconds * 1_000_000 + microseconds, frame))
        offset += length
    return records


def pcap(records: Iterable[Record], link_type: int = ETHERNET) -> bytes:
    """A .pcap file."""
    return pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, link_type) + b"".join(
        pack("<IIII", *divmod(at_us, 1_000_000), len(frame), len(frame)) + frame
        for at_us, frame in records
    )


def pcapng(records: Iterable[Record], link_type: int = ETHERNET) -> bytes:
    """A .pcapng file: a section, an interface, and enhanced packets."""
    section = _block(0x0A0D0D0A, pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = _block(1, pack("<HHI", link_type, 0, 65_535))
    return b"".join((section, interface, *map(_packet, records)))


def _packet(record: Record) -> bytes:
    at_us, frame = record
    high, low = divmod(at_us, 1 << 32)
    padding = bytes(-len(frame) % 4)
    return _block(
        6, pack("<IIIII", 0, high, low, len(frame), len(frame)) + frame + padding
    )


def _block(kind: int, body: bytes) -> bytes:
    length = pack("<I", len(body) + 12)
    return pack("<I", kind) + length + body + length


def tagged(frame: bytes) -> bytes:
    """An Ethernet frame of VLAN 5."""
    return frame[:12] + bytes.fromhex("81006005") + frame[12:]


def tagged_twice(frame: bytes) -> bytes:
    """A VLAN within a VLAN: 802.1ad outside, 802.1Q inside."""
    return frame[:12] + bytes.fromhex("88a80007") + tagged(frame)[12:]


def cooked(frame: bytes) -> bytes:
    """The same as Linux captures it on `any`, first version."""
    return pack("!HHH6s2x", 1, 1, 6, frame[6:12]) + frame[12:]


def cooked_and_tagged(frame: bytes) -> bytes:
    """A tag stays behind a cooked header."""
    return cooked(tagged(frame))


def cooked_again(frame: bytes) -> bytes:
    """And the second version."""
    return frame[12:14] + pack("!2xIHBB6s2x", 3, 1, 1, 6, frame[6:12]) + frame[14:]


def bare(frame: bytes) -> bytes:
    """What is inside Ethernet."""
    return frame[14:]


def is_ipv4(record: Record) -> bool:
    """Whether the frame of a record has an IPv4 packet in it."""
    return record[1][12:14] == b"\x08\x00"


def rewritten(
    records: Iterable[Record], change: Callable[[bytes], bytes]
) -> list[Record]:
    """Every frame changed, at the same instant."""
    return [(at_us, change(frame)) for at_us, frame in records]
