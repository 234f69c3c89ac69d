"""Finds the password in the command line, a file or the environment, and hides it."""

import os
import stat
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import replace

from carppcap.errors import ConfigError
from carppcap.options.command_line import passwords
from carppcap.options.parsers import parse_password
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS, Option
from carppcap.system.process import PASSWORD_VARIABLE, hide_from_ps
from carppcap.system.syslog import Log

_BLANKS = b" \t"


def hide_passwords(arguments: Sequence[str], rows: Sequence[Option] = OPTIONS) -> None:
    """Overwrite every password in the arguments and the environment that ps(1) shows.

    `rows` are the options that `arguments` may contain.  Raises `ConfigError` for a
    command line that cannot be parsed.
    """
    from_environment = os.environb.get(PASSWORD_VARIABLE.encode(), b"")
    hide_from_ps([*passwords(arguments, rows), from_environment])


def with_password(settings: Settings, log: Log) -> Settings:
    """Return `settings` with the password of --passfile, of --pass or of CARPPCAP_PASS.

    The first of these that is given counts.  A second line of the file is the second
    password (`VirtualHostConfig.second_key`).  The variable is removed from the
    environment, so that scripts do not inherit it.  Raises `ConfigError`.
    """
    from_environment = os.environb.pop(PASSWORD_VARIABLE.encode(), None)
    if settings.passfile is not None:
        first, second = _read_passfile(settings.passfile, log)
        return replace(settings, password=first, second_password=second)
    if settings.password is None and from_environment is not None:
        return replace(settings, password=parse_password(from_environment))
    return settings


def _read_passfile(path: str, log: Log) -> tuple[bytes, bytes | None]:
    """Return the password in a file, and the second one, None without one."""
    try:
        with open(path, "rb") as file:
            line, second_line = file.readline(4096), file.readline(4096)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError as error:
        raise ConfigError(
            "unable to open passfile {path} for reading: {why} (remedy: copy it from "
            "the other host)",
            path=path,
            why=error.strerror,
        ) from None
    except OSError as error:
        raise ConfigError(
            "unable to open passfile {path} for reading: {why}",
            path=path,
            why=error.strerror,
        ) from None
    if mode & stat.S_IROTH:
        log.warning(f"passfile {path} can be read by every user: chmod o-r")
    if not line:
        raise ConfigError(
            "error reading passfile {path}: unexpected end of file (allowed: 1 to 19 "
            "bytes in the first line)",
            path=path,
        )
    # As in ucarp, every byte before the newline is part of the key.
    password = line.partition(b"\n")[0]
    _warn_of_invisible(password, 1, path, log)
    return parse_password(password), _second_password(second_line, path, log)


def _second_password(line: bytes, path: str, log: Log) -> bytes | None:
    """Return the password in the second line, None without one.

    ucarp does not read this line, so whatever is in it must not prevent a start.
    """
    password = line.partition(b"\n")[0]
    if not password.strip():
        return None
    try:
        parse_password(password)
    except ConfigError as error:
        log.warning(f"Warning: the second line of {path} is ignored: {error}")
        return None
    _warn_of_invisible(password, 2, path, log)
    return password


def _warn_of_invisible(password: bytes, number: int, path: str, log: Log) -> None:
    """Log a warning about bytes that no editor shows and a peer's key may lack.

    The password is line `number` of the file.
    """
    what_of = "the password" if number == 1 else "the second password"
    text = password.removeprefix(BOM_UTF8).removesuffix(b"\r")
    for is_there, what, remedy in (
        (password.startswith(BOM_UTF8), "a byte order mark", r"s/^\xef\xbb\xbf//"),
        (password.endswith(b"\r"), "a carriage return", r"s/\r$//"),
        (text != text.lstrip(_BLANKS), "a blank at its beginning", r"s/^[ \t]*//"),
        (text != text.rstrip(_BLANKS), "a blank at its end", r"s/[ \t]*$//"),
    ):
        if is_there:
            log.warning(
                f"Warning: {what_of} in {path} contains {what}; if that is a "
                f"mistake, on all hosts: sed -i '{number}{remedy}' {path}"
            )
