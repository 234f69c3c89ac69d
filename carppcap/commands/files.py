"""Reads and writes the files that the commands are about."""

import os
import sys

from carppcap.errors import ConfigError, LinkError, link_errors

BYTES_MAX = 4 * 1024 * 1024
STANDARD_INPUT = "-"
_FAILURE = "{path}: {why}"


def read_text(path: str) -> str:
    """Return the content of the file `path`, or of standard input for `-`.

    Raises `LinkError` if it cannot be read, is not UTF-8, or is too long.
    """
    with link_errors(_FAILURE, path=path):
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read(BYTES_MAX + 1)
        else:
            with open(path, "rb") as file:
                content = file.read(BYTES_MAX + 1)
    if len(content) > BYTES_MAX:
        raise LinkError(
            "{path}: too long (allowed: {most} bytes)", path=path, most=BYTES_MAX
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LinkError(
            "{path}:{line}: not UTF-8 (allowed: text in UTF-8)", path=path, line=line
        ) from None


def write_text(path: str | None, text: str, *, mode: int, force: bool = False) -> None:
    """Write `text` to a new file, or to standard output if `path` is None.

    The file has the permissions `mode`.  A file that exists is replaced only with
    `force`.  Raises `ConfigError` if the file exists or is a directory, and `LinkError`
    if it cannot be written.
    """
    if path is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    if os.path.isdir(path):
        raise ConfigError("{path} is a directory (allowed: a file)", path=path)
    flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if force else os.O_EXCL)
    with link_errors(_FAILURE, path=path):
        try:
            descriptor = os.open(path, flags, mode)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            descriptor = os.open(path, flags, mode)
        except FileExistsError:
            raise ConfigError(
                "{path} is there already (--force replaces it)", path=path
            ) from None
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
