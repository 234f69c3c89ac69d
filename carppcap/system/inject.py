"""Sends frames into a capture file."""

from struct import Struct
from typing import Protocol

from carppcap.errors import LinkError
from carppcap.units import NS_PER_S, Instant

_FILE_HEADER = Struct("=IHHiIII")
_RECORD_HEADER = Struct("=IIII")
_MAGIC_NS = 0xA1B23C4D
_LINKTYPE_ETHERNET = 1
_SNAPSHOT_LENGTH = 65_535


class Injector(Protocol):
    """Sends the frames of a step."""

    def send(self, frame: bytes, at: Instant) -> None:
        """Send `frame` at the instant `at`.  Raises `LinkError`."""


class FileInjector:
    """A .pcap file with stamps in nanoseconds since the Unix epoch.

    Raises `LinkError` if the file cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = open(path, "wb")  # noqa: SIM115 - closed by `close`
            self._file.write(
                _FILE_HEADER.pack(
                    _MAGIC_NS, 2, 4, 0, 0, _SNAPSHOT_LENGTH, _LINKTYPE_ETHERNET
                )
            )
        except OSError as error:
            raise self._failure(error) from None

    def send(self, frame: bytes, at: Instant) -> None:
        """Append `frame`."""
        seconds, nanoseconds = divmod(at, NS_PER_S)
        length = len(frame)
        try:
            self._file.write(
                _RECORD_HEADER.pack(seconds, nanoseconds, length, length) + frame
            )
        except OSError as error:
            raise self._failure(error) from None

    def close(self) -> None:
        """Flush and close the file.  Raises `LinkError`."""
        try:
            self._file.close()
        except OSError as error:
            raise self._failure(error) from None

    def _failure(self, error: OSError) -> LinkError:
        return LinkError(
            "Unable to write {path}: {why}", path=self._path, why=error.strerror
        )
