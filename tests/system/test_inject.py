"""Frames that are written to a file."""

from pathlib import Path
from struct import pack

import pytest

from carppcap.errors import LinkError
from carppcap.system.capture import FileCapture
from carppcap.system.inject import FileInjector
from carppcap.units import NS_PER_S


def test_a_file_of_frames(tmp_path: Path) -> None:
    """It is a .pcap file with stamps in nanoseconds since 1970."""
    path = tmp_path / "sent.pcap"
    injector = FileInjector(str(path))
    injector.send(b"first", 1_700_000_000 * NS_PER_S)
    injector.send(b"second", 1_700_000_003 * NS_PER_S + 7)
    injector.close()

    assert path.read_bytes() == (
        pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
        + pack("=IIII", 1_700_000_000, 0, 5, 5)
        + b"first"
        + pack("=IIII", 1_700_000_003, 7, 6, 6)
        + b"second"
    )


def test_libpcap_reads_it(tmp_path: Path) -> None:
    """libpcap reads what was written, with stamps in microseconds."""
    path = tmp_path / "sent.pcap"
    injector = FileInjector(str(path))
    injector.send(b"x" * 60, 5 * NS_PER_S + 7_001)
    injector.close()

    assert FileCapture(str(path)).read() == [(5 * NS_PER_S + 7_000, b"x" * 60)]


@pytest.mark.parametrize("path", ["/nonexistent/x.pcap", "/"])
def test_a_file_that_cannot_be_made(path: str) -> None:
    """The error comes at once, with the path and the reason."""
    with pytest.raises(LinkError, match=rf"^Unable to write {path}: "):
        FileInjector(path)


def test_a_full_disk() -> None:
    """The error may come only when the buffer is written: in `send` or `close`."""
    injector = FileInjector("/dev/full")
    with pytest.raises(LinkError, match=r"^Unable to write /dev/full: No space left"):
        injector.close()

    injector = FileInjector("/dev/full")
    with pytest.raises(LinkError, match=r"^Unable to write /dev/full: No space left"):
        injector.send(bytes(2_000_000), 0)
    with pytest.raises(LinkError):
        injector.close()
