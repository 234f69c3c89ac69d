"""The command line of the original, as one table, and what it means.

Help, parser and tests read the same rows.  Values are checked here, one by one; what
they mean together (`VirtualHostConfig`) is checked when a virtual host is made of
them.  Nothing is read or opened: a password file is only named.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from carppcap.addresses import ANY, CARP_GROUP, parse_ipv4
from carppcap.auth import PASSWORD_LENGTH_MAX, Key
from carppcap.config import (
    ADVBASE_MAX,
    ADVSKEW_MAX,
    DEAD_RATIO_DEFAULT,
    DEAD_RATIO_MAX,
    VHID_MAX,
    VirtualHostConfig,
)
from carppcap.errors import ConfigError, PasswordError
from carppcap.units import NS_PER_S, Interval

TYPE_CHECKING = False
if TYPE_CHECKING:  # For mypy alone: typing would cost the daemon 0.4 MB.
    from typing import Any

SCRIPT_TIMEOUT_MAX_S = 86_400

FACILITIES = {
    "kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4,
    "syslog": 5, "lpr": 6, "news": 7, "uucp": 8, "cron": 9, "authpriv": 10,
    "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20,
    "local5": 21, "local6": 22, "local7": 23,
}  # fmt: skip
"""Facilities of syslog by name (RFC 5424, table 1)."""

NO_SYSLOG = "none"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the command line said; None where it said nothing.

    `script_timeout_ns` 0 means that scripts may take as long as they like.
    """

    interface: str | None = None
    source: IPv4Address | None = None
    group: IPv4Address = CARP_GROUP
    vhid: int | None = None
    password: bytes | None = None
    passfile: str | None = None
    preempt: bool = False
    neutral: bool = False
    vip: IPv4Address | None = None
    advbase: int = 1
    advskew: int = 0
    dead_ratio: int = DEAD_RATIO_DEFAULT
    upscript: str | None = None
    downscript: str | None = None
    xparam: str | None = None
    shutdown: bool = False
    daemonize: bool = False
    ignore_link_state: bool = False
    nomcast: bool = False
    facility: str = "daemon"
    debug: bool = False
    help: bool = False
    version: bool = False
    script_timeout_ns: Interval = 0
    pidfile: str | None = None
    no_farewell: bool = False

    def virtual_host(self, interface: str) -> VirtualHostConfig:
        """The virtual host these settings describe.

        Raises `ConfigError` for whatever is missing or impossible, in the order and
        the words of the original.
        """
        if self.vhid is None:
            raise ConfigError("You must supply a valid virtual host id (--vhid, 1-255)")
        if self.password is None:
            raise ConfigError("You must supply a password (--passfile or --pass)")
        if self.advbase == 0 and self.advskew == 0:
            raise ConfigError(
                "You must supply an advertisement time base: --advbase and --advskew "
                "cannot both be 0"
            )
        if self.source in (None, ANY):
            raise ConfigError("You must supply a persistent source address (--srcip)")
        if self.vip in (None, ANY):
            raise ConfigError("You must supply a virtual host address (--addr)")
        return VirtualHostConfig(
            interface=interface,
            vhid=self.vhid,
            source=self.source,
            vips=(self.vip,),
            key=Key(self.password),
            advbase=self.advbase,
            advskew=self.advskew,
            dead_ratio=self.dead_ratio,
            preempt=self.preempt,
            neutral=self.neutral,
            farewell=self.shutdown and not self.no_farewell,
            group=self.group,
            multicast=not self.nomcast,
        )


def parse_number(text: str, what: str, low: int, high: int) -> int:
    """A whole number as C reads it with base 0: `0x10` is 16 and `010` is 8.

    Raises `ConfigError` unless all of `text` is a number from `low` to `high`.
    """
    number = None
    if re.fullmatch(r"\s*\+?0[0-7]+", text, re.ASCII):
        number = int(text, 8)
    elif re.fullmatch(r"\s*[+-]?(0[xX][0-9a-fA-F]+|[1-9][0-9]{0,9}|0)", text, re.ASCII):
        number = int(text, 0)
    if number is None or not low <= number <= high:
        raise ConfigError(
            "Invalid number: [{text}] for {what} (allowed: {low} to {high})",
            text=text,
            what=what,
            low=low,
            high=high,
        )
    return number


def parse_password(password: bytes) -> bytes:
    """`password` if kernels and the original can use it, else `ConfigError`."""
    if not password:
        raise ConfigError("You must supply a password (allowed: 1 to 19 bytes)")
    if len(password) > PASSWORD_LENGTH_MAX:
        raise PasswordError(
            "Password too long: {length} bytes (allowed: 1 to 19)", length=len(password)
        )
    if b"\0" in password:
        raise PasswordError("Password contains a zero byte (allowed: any other)")
    return password


def _number(low: int, high: int) -> Callable[[str, str], int]:
    return lambda text, what: parse_number(text, what, low, high)


def _text(text: str, what: str) -> str:
    if not text:
        raise ConfigError("{what} is empty", what=what)
    return text


def _any_text(text: str, what: str) -> str:
    return text


def _password(text: str, what: str) -> bytes:
    return parse_password(_encode(text))


def _encode(text: str) -> bytes:
    # The bytes that were typed: they are the key, whether or not they are UTF-8.
    return text.encode("utf-8", "surrogateescape")


def _facility(text: str, what: str) -> str:
    name = text.lower()
    if name != NO_SYSLOG and name not in FACILITIES:
        raise ConfigError(
            "Unknown syslog facility: [{text}] (allowed: {names})",
            text=text,
            names=", ".join((*FACILITIES, NO_SYSLOG)),
        )
    return name


def _seconds(text: str, what: str) -> Interval:
    return parse_number(text, what, 0, SCRIPT_TIMEOUT_MAX_S) * NS_PER_S


@dataclass(frozen=True, slots=True)
class Option:
    """One row: how it is written, which setting it makes, and what to say of it.

    `parse` is None for a flag.  `original` tells that `ucarp` has it too: its
    abbreviations win over those of ours.
    """

    short: str
    long: str
    field: str
    parse: "Callable[[str, str], Any] | None"
    metavar: str
    help: str
    original: bool = True


def N_(text: str) -> str:
    """Mark `text` for translation, which happens where it is shown."""
    return text


OPTIONS = (
    Option("i", "interface", "interface", _text, "IF", N_("network interface to work on (default: the first one)")),
    Option("s", "srcip", "source", parse_ipv4, "IP", N_("this host's own, permanent address on it")),
    Option("v", "vhid", "vhid", _number(1, VHID_MAX), "ID", N_("number of the group, 1 to 255, the same on all its hosts")),
    Option("a", "addr", "vip", parse_ipv4, "IP", N_("the virtual address that the group shares")),
    Option("o", "passfile", "passfile", _text, "FILE", N_("read the group's password from the first line of FILE")),
    Option("p", "pass", "password", _password, "WORD", N_("the group's password, 1 to 19 bytes (better: --passfile)")),
    Option("u", "upscript", "upscript", _text, "FILE", N_("run FILE to take the address: FILE IF ADDR [XPARAM]")),
    Option("d", "downscript", "downscript", _text, "FILE", N_("run FILE to drop the address, same arguments")),
    Option("x", "xparam", "xparam", _any_text, "TEXT", N_("one more argument for both scripts")),
    Option("b", "advbase", "advbase", _number(0, ADVBASE_MAX), "SECONDS", N_("time between two adverts, 0 to 255 (default 1)")),
    Option("k", "advskew", "advskew", _number(0, ADVSKEW_MAX), "SKEW", N_("1/256 seconds on top, 0 to 255 (default 0); lower is preferred")),
    Option("r", "deadratio", "dead_ratio", _number(1, DEAD_RATIO_MAX), "RATIO", N_("missing adverts until a master counts as dead (default 3)")),
    Option("P", "preempt", "preempt", None, "", N_("take over from a live master that is less preferred")),
    Option("n", "neutral", "neutral", None, "", N_("do not run the down script at start")),
    Option("z", "shutdown", "shutdown", None, "", N_("when told to stop: run the down script, say farewell, exit")),
    Option("S", "ignoreifstate", "ignore_link_state", None, "", N_("ignore the state of the interface (crossover cables)")),
    Option("M", "nomcast", "nomcast", None, "", N_("send adverts to the broadcast MAC instead of the group's")),
    Option("m", "mcastip", "group", parse_ipv4, "IP", N_("multicast group of the adverts (default 224.0.0.18)")),
    Option("B", "daemonize", "daemonize", None, "", N_("go to the background once everything works")),
    Option("f", "facility", "facility", _facility, "NAME", N_("syslog facility (default daemon), or none")),
    Option("", "syslog", "facility", _facility, "NAME", N_("the same as --facility"), original=False),
    Option("D", "debug", "debug", None, "", N_("say more: every event and what came of it")),
    Option("", "script-timeout", "script_timeout_ns", _seconds, "SECONDS", N_("kill a script that runs longer (default 0: never)"), original=False),
    Option("", "pidfile", "pidfile", _text, "FILE", N_("keep the process id in FILE while running"), original=False),
    Option("", "no-farewell", "no_farewell", None, "", N_("leave without telling the peers"), original=False),
    Option("h", "help", "help", None, "", N_("show this help")),
    Option("", "version", "version", None, "", N_("show the version"), original=False),
)  # fmt: skip
"""Every option, in the order of the help text."""


def parse(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """The settings and the words that belong to no option.

    Options may be bundled, abbreviated and mixed with words, as `getopt_long` has
    it; the last of two contradicting ones holds.  Raises `ConfigError`.
    """
    values, words = parse_values(arguments, OPTIONS)
    return Settings(**values), words


def parse_values(
    arguments: Sequence[str], rows: Sequence[Option]
) -> "tuple[dict[str, Any], list[str]]":
    """The same by the names of the fields, for a table with rows of its own."""
    given, words = split(arguments, rows)
    values: dict[str, Any] = {}
    for row, name, text in given:
        values[row.field] = True if row.parse is None else row.parse(text, name)
        if row.field == "passfile":
            values.pop("password", None)
        elif row.field == "password":
            values.pop("passfile", None)
    return values, words


def passwords(
    arguments: Sequence[str], rows: Sequence[Option] = OPTIONS
) -> list[bytes]:
    """Every password on the command line, also those that a later one replaces.

    Raises `ConfigError`, where `parse` does too.
    """
    given, _ = split(arguments, rows)
    return [_encode(text) for row, _, text in given if row.field == "password"]


def split(
    arguments: Sequence[str], rows: Sequence[Option]
) -> tuple[list[tuple[Option, str, str]], list[str]]:
    """Each option as (row, the name it was called by, value), and all other words.

    Values are not looked at yet.  Raises `ConfigError`.
    """
    given: list[tuple[Option, str, str]] = []
    words: list[str] = []
    rest = deque(arguments)
    while rest:
        word = rest.popleft()
        if word == "--":
            words.extend(rest)
            break
        if word.startswith("--"):
            given.append(_long(word, rest, rows))
        elif word.startswith("-") and word != "-":
            given.extend(_bundle(word, rest, rows))
        else:
            words.append(word)
    return given, words


def _long(
    word: str, rest: deque[str], rows: Sequence[Option]
) -> tuple[Option, str, str]:
    abbreviation, equals, text = word[2:].partition("=")
    row = _find_long(abbreviation, rows)
    name = f"--{row.long}"
    if row.parse is None and equals:
        raise ConfigError("Option {name} takes no value (see --help)", name=name)
    if row.parse is not None and not equals:
        text = _next_word(name, rest)
    return row, name, text


def _bundle(
    word: str, rest: deque[str], rows: Sequence[Option]
) -> Iterator[tuple[Option, str, str]]:
    for position, letter in enumerate(word[1:], start=2):
        name = f"-{letter}"
        row = next((row for row in rows if row.short == letter), None)
        if row is None:
            raise ConfigError("Unknown option: {name} (see --help)", name=name)
        if row.parse is None:
            yield row, name, ""
        else:
            yield row, name, word[position:] or _next_word(name, rest)
            return


def _next_word(name: str, rest: deque[str]) -> str:
    if not rest:
        raise ConfigError("Option {name} needs a value (see --help)", name=name)
    return rest.popleft()


def _find_long(name: str, rows: Sequence[Option]) -> Option:
    for row in rows:
        if row.long == name:
            return row
    meant = [row for row in rows if row.long.startswith(name)]
    # An abbreviation that was unique among the original's options stays what it was:
    # --no is --nomcast, whatever we have added since.
    meant = [row for row in meant if row.original] or meant
    if not meant:
        raise ConfigError("Unknown option: {name} (see --help)", name=f"--{name}")
    if len(meant) > 1:
        raise ConfigError(
            "Option {name} may mean {names} (see --help)",
            name=f"--{name}",
            names=", ".join(f"--{row.long}" for row in meant),
        )
    return meant[0]
