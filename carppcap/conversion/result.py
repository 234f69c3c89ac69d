"""What a conversion gives: groups, values for the whole daemon, and what is left."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from carppcap.configuration.keys import KEYS, Kind, alternatives_of
from carppcap.configuration.render import Draft, Value
from carppcap.errors import CarpError, ConfigError
from carppcap.options.parsers import parse_number

OWN_ADDRESSES_HINT = (
    "As before, the scripts set the addresses, and a daemon that is killed leaves them "
    "there.  Without this line carppcap sets them and takes them away, and scripts "
    "still run."
)


class Source(NamedTuple):
    """A file to convert."""

    path: str
    text: str

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line.

        A line that ends in a backslash goes on in the next one.
        """
        number, lines = 1, self.text.replace("\r\n", "\n").split("\n")
        while lines:
            first, line = number, lines.pop(0)
            number += 1
            while line.endswith("\\") and lines:
                line = f"{line[:-1]} {lines.pop(0)}"
                number += 1
            yield first, line


class Remark(NamedTuple):
    """Something in line `line` of a source that was not taken over as it is."""

    path: str
    line: int
    error: CarpError


Converter = Callable[[Sequence[Source]], "Conversion"]


@dataclass(slots=True)
class Conversion:
    """The groups of a conversion, the values for the whole daemon, and the remarks.

    `places` has the path and the line that each group comes from, by its name.
    """

    drafts: list[Draft] = field(default_factory=list)
    top: dict[str, Value] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)

    def draft(self, name: str, path: str, line: int) -> Draft:
        """Add a group with this name, or a similar one that is free and allowed.

        It comes from line `line` of `path`.
        """
        plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-_")[:28] or "vip"
        taken = {draft.name for draft in self.drafts}
        number, free = 1, plain
        while free in taken:
            number += 1
            free = f"{plain}-{number}"
        self.places[free] = (path, line)
        self.drafts.append(Draft(free))
        return self.drafts[-1]

    def remark(self, path: str, line: int, error: CarpError) -> None:
        """Add a remark about a line."""
        self.remarks.append(Remark(path, line, error))

    def without_counterpart(self, path: str, line: int, what: str) -> None:
        """Add a remark about something that carppcap does not have."""
        self.remark(
            path,
            line,
            ConfigError(
                "no counterpart for: {what}", what=" ".join(what.split())[:200]
            ),
        )

    def put(self, draft: Draft, key: str, text: str, path: str, line: int) -> None:
        """Give a group the value in `text`; a wrong one is a remark."""
        option, kind = KEYS[key].option, KEYS[key].kind
        try:
            if option.parse is not None:
                option.parse(text, key)
        except ConfigError as error:
            self.remark(path, line, error)
            return
        value = value_of(kind, text)
        before = draft.values.get(key)
        if isinstance(before, list) and isinstance(value, list):
            value = [*before, *(each for each in value if each not in before)]
        for other in alternatives_of(key) - {key}:  # The last one counts.
            draft.values.pop(other, None)
        draft.values[key] = value


def value_of(kind: Kind, text: str) -> Value:
    """Return `text`, the value of an option on a command line, as the file has it."""
    match kind:
        case Kind.FLAG:
            return True
        case Kind.NUMBER:
            return parse_number(text, "", -(10**9), 10**9)
        case Kind.LIST:
            return text.split(",")
        case _:
            return text
