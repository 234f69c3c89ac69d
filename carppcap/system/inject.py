"""Writes frames into a capture file instead of sending them."""

from contextlib import AbstractContextManager
from struct import Struct
from typing import Protocol

from carppcap.errors import link_errors
from carppcap.units import NS_PER_S, Instant

_FILE_HEADER = Struct("=IHHiIII")
_RECORD_HEADER = Struct("=IIII")
_MAGIC_NS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1
_SNAPSHOT_LENGTH = 65_535


class Injector(Protocol):
    """An object that sends frames."""

    def send(self, frame: bytes, at: Instant) -> None:
        """Send `frame` at the instant `at`.  Raises `LinkError`."""


class FileInjector:
    """Writes frames to a .pcap file, stamped in nanoseconds since the Unix epoch.

    Raises `LinkError` if the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        header = (_MAGIC_NS, 2, 4, 0, 0, _SNAPSHOT_LENGTH, _LINKTYPE_ETHERNET)
        with self._errors():
            self._file = open(path, "wb")  # noqa: SIM115 - closed by `close`
            self._file.write(_FILE_HEADER.pack(*header))

    def send(self, frame: bytes, at: Instant) -> None:
        """Append `frame`, stamped with `at`.  Raises `LinkError`."""
        seconds, nanoseconds = divmod(at, NS_PER_S)
        header = _RECORD_HEADER.pack(seconds, nanoseconds, len(frame), len(frame))
        with self._errors():
            self._file.write(header + frame)

    def close(self) -> None:
        """Flush and close the file.  Raises `LinkError`."""
        with self._errors():
            self._file.close()

    def _errors(self) -> AbstractContextManager[None]:
        return link_errors("Unable to write {path}: {why}", path=self._path)
