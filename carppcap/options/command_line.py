"""The parser of command lines.  It follows getopt_long(3), as ucarp does.

The parser checks each value by itself.  `Settings.virtual_host` checks whether the
values fit together.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from carppcap.errors import ConfigError
from carppcap.options.parsers import encode, merge_virtual_addresses
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS, Option

Given = tuple[Option, str, str]
"""An option that was given: its row in the table, its name, and the text of its value.

An option may have two names.  This is the one that the user chose, e.g. `-s` or
`--srcip`, without abbreviation."""


def parse(arguments: Sequence[str]) -> tuple[Settings, list[str]]:
    """Return the settings that `arguments` give, and the words that are not options.

    Short options may be bundled, long ones abbreviated, and options may stand between
    other words, as for getopt_long(3).  If two options contradict each other, the last
    one counts.  Raises `ConfigError` for a wrong option or value.
    """
    values, words = parse_values(arguments, OPTIONS)
    return Settings(**values), words


def parse_values(
    arguments: Sequence[str], rows: Sequence[Option]
) -> tuple[dict[str, Any], list[str]]:
    """Parse `arguments` by the options in `rows`.

    Return the values, keyed by `Option.field`, and the words that are not options.
    Raises `ConfigError` for a wrong option or value.
    """
    given, words = split(arguments, rows)
    values: dict[str, Any] = {}
    for row, name, text in given:
        put(values, row.field, True if row.parse is None else row.parse(text, name))
    return values, words


def put(values: dict[str, Any], field: str, value: Any) -> None:
    """Store the value of an option in `values`, as `field`.

    It replaces an earlier value, but addresses and peers are added to the earlier ones.
    An IPv6 source address has a field of its own.  A password replaces a password file,
    and a password file replaces a password.
    """
    if field == "addresses":
        value = merge_virtual_addresses(values.get(field, ()), value)
    elif field == "peers":
        value = tuple(dict.fromkeys((*values.get(field, ()), *value)))
    elif field == "source" and value.version == 6:
        field = "source6"
    elif field == "passfile":
        values.pop("password", None)
    elif field == "password":
        values.pop("passfile", None)
    values[field] = value


def passwords(
    arguments: Sequence[str], rows: Sequence[Option] = OPTIONS
) -> list[bytes]:
    """Return every password in `arguments`, even one that a later option replaces.

    Raises `ConfigError` as `split` does.
    """
    given, _ = split(arguments, rows)
    return [encode(text) for row, _, text in given if row.field == "password"]


def split(
    arguments: Sequence[str], rows: Sequence[Option]
) -> tuple[list[Given], list[str]]:
    """Return the options in `arguments`, and the words that are not options.

    Raises `ConfigError` for an option that is unknown, that is ambiguous, that lacks
    its value, or that has a value but takes none.
    """
    given: list[Given] = []
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


def _long(word: str, rest: deque[str], rows: Sequence[Option]) -> Given:
    abbreviation, equals, text = word[2:].partition("=")
    row = _find_long(abbreviation, rows)
    name = f"--{row.long}"
    if row.parse is None and equals:
        raise ConfigError("Option {name} takes no value (see --help)", name=name)
    if row.parse is not None and not equals:
        text = _next_word(name, rest)
    return row, name, text


def _bundle(word: str, rest: deque[str], rows: Sequence[Option]) -> Iterator[Given]:
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
    # If several options begin with an abbreviation, those of ucarp precede ours.  So
    # --no means --nomcast, as with ucarp, although we also have --no-farewell.
    meant = [row for row in meant if row.ucarp] or meant
    if not meant:
        raise ConfigError("Unknown option: {name} (see --help)", name=f"--{name}")
    if len(meant) > 1:
        raise ConfigError(
            "Option {name} may mean {names} (see --help)",
            name=f"--{name}",
            names=", ".join(f"--{row.long}" for row in meant),
        )
    return meant[0]
