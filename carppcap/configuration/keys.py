"""The keys of the configuration file, made from the options of the command line.

A key is the long name of an option, with `_` in place of `-`, so a new option is a new
key by itself.
"""

import re
from difflib import get_close_matches
from enum import Enum
from typing import NamedTuple, get_args, get_type_hints

from carppcap.errors import N_, ConfigError
from carppcap.options.parsers import parse_credential
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS, Option


class Kind(Enum):
    """What kind of TOML value a key has, and the error for any other value."""

    FLAG = N_("{key} must be true or false (got {value})")
    NUMBER = N_("{key} must be a whole number (got {value})")
    TEXT = N_("{key} must be a text in quotes (got {value})")
    LIST = N_("{key} must be a text in quotes, or several in brackets (got {value})")


class Key(NamedTuple):
    """A key: its option, its kind, and whether it is about the whole daemon.

    A key about the whole daemon cannot be in the table of a group.
    """

    option: Option
    kind: Kind
    is_global: bool

    @property
    def name(self) -> str:
        """The key as it is in the file."""
        return key_of(self.option)


_GLOBAL = frozenset(("daemonize", "debug", "facility", "no_realtime", "pidfile"))
"""Fields of `Settings` about the process, not about a group."""

_NOT_IN_FILE = frozenset(("help", "version"))

CREDENTIAL = Option("", "credential", "credential", parse_credential, "NAME", N_("read the group's password from systemd's credential NAME (LoadCredential=)"), ucarp=False, detail="It is the file NAME in the directory that systemd passes in CREDENTIALS_DIRECTORY, and is read like a passfile.")  # fmt: skip  # noqa: E501
"""The key that is no option: a command line can name the file itself."""

ALTERNATIVES = (("credential", "passfile", "pass"), ("facility", "syslog"))
"""Keys of which a table can have only one, because they set the same thing."""


def key_of(option: Option) -> str:
    """Return the name of the key for `option`."""
    return option.long.replace("-", "_")


def _kind(option: Option) -> Kind:
    if option.parse is None:
        return Kind.FLAG
    hint = get_type_hints(Settings).get(option.field, str)
    types = (hint, *get_args(hint))
    if int in types:
        return Kind.NUMBER
    is_list = tuple in types or any(getattr(t, "__origin__", t) is tuple for t in types)
    # A source address may be given for each family.
    return Kind.LIST if is_list or option.field == "source" else Kind.TEXT


KEYS = {
    key_of(row): Key(row, _kind(row), row.field in _GLOBAL)
    for row in (*OPTIONS, CREDENTIAL)
    if row.field not in _NOT_IN_FILE
}
"""Every key by its name, in the order of the help text."""


def description(name: str) -> str:
    """Return what `name` is for: the help text of its option, in the file's words."""
    key = KEYS[name]
    text = in_file(key.option.help)
    if key.kind is Kind.LIST:  # The rest is about several values on a command line.
        text = text.partition(";")[0]
    if name == "interface":  # It is required here.
        text = text.partition(" (default")[0]
    return text + (" (default true)" if name == "own_addresses" else "")


def alternatives_of(name: str) -> frozenset[str]:
    """Return the keys that a value for `name` replaces, with `name` itself."""
    for group in ALTERNATIVES:
        if name in group:
            return frozenset(group)
    return frozenset((name,))


def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """Return the name in `known` that `name` was probably meant to be, or None."""
    plain = name.replace("-", "_").lower()
    if plain in known:
        return plain
    found = get_close_matches(plain, known, n=1) or [
        other for other in known if len(plain) > 2 and other.startswith(plain)
    ]
    return found[0] if found else None


def unknown_key(name: str, known: tuple[str, ...]) -> ConfigError:
    """Return the error for a key that is not in `known`."""
    meant = nearest(name, known)
    if meant is None:
        return ConfigError(
            "unknown key [{key}] (allowed: {keys})",
            key=name[:80],
            keys=", ".join(known),
        )
    return ConfigError(
        "unknown key [{key}] (allowed: those in carppcap.toml(5)); did you mean "
        "{meant}?",
        key=name[:80],
        meant=meant,
    )


def wrong_kind(key: Key, value: object) -> ConfigError:
    """Return the error for a value that is not of the kind that `key` has."""
    if isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, str):
        shown = f'"{value[:40]}"'
    else:
        try:
            shown = f"{value}"[:40]
        except ValueError:  # Python refuses to write more than 4300 digits.
            shown = "an endless number"
    return ConfigError(key.kind.value, key=key.name, value=shown)


def options_in(text: str) -> list[str]:
    """Return the keys of the options that `text`, an English message, mentions."""
    words = re.findall(r"--([a-z]+(?:-[a-z]+)*)", text)
    return [name for name in (word.replace("-", "_") for word in words) if name in KEYS]


def in_file(text: str) -> str:
    """Return `text` with keys in place of the options that it mentions."""

    def key(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        return name if name in KEYS else found[0]

    return re.sub(r"--([a-z]+(?:-[a-z]+)*)", key, text)
