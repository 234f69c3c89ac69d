"""Writes a configuration file: drafts of groups in, the text of the file out."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap

from carppcap.configuration.keys import KEYS

Value = bool | int | str | list[str]
"""A value in the file."""

_WIDTH = 78
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(slots=True)
class Draft:
    """A group to be written: its values by key, written in the order of `KEYS`.

    `comments` explain the key before which they stand; those of the key "" stand at the
    head of the table.
    """

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    comments: dict[str, list[str]] = field(default_factory=dict)

    def comment(self, key: str, text: str) -> None:
        """Add a comment that stands before `key`."""
        self.comments.setdefault(key, []).append(text)


def render(
    head: Iterable[str], top: Mapping[str, Value], drafts: Iterable[Draft]
) -> str:
    """Return the text of a file with these comments, values for all, and groups."""
    lines = [line for text in head for line in _comment(text)]
    if top:
        lines += ["", *(_pair(key, value) for key, value in top.items())]
    for draft in drafts:
        lines += ["", f"[group.{draft.name}]", *_comments(draft, "")]
        for key in KEYS:
            lines += _comments(draft, key)
            if key in draft.values:
                lines.append(_pair(key, draft.values[key]))
    return "\n".join(lines) + "\n"


def _comments(draft: Draft, key: str) -> Iterator[str]:
    for text in draft.comments.get(key, ()):
        yield from _comment(text)


def visible(text: str) -> str:
    """Return `text` in one line: with `?` for control characters and broken letters."""
    return _CONTROL.sub("?", text)


def _comment(text: str) -> Iterator[str]:
    lines = wrap(visible(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
    yield from (f"# {line}" for line in lines)


def _pair(key: str, value: Value) -> str:
    return f"{key} = {_shown(value)}"


def _shown(value: Value) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value}"
        case str():
            return quoted(value)
        case [single]:
            return quoted(single)
        case _:
            return f"[{', '.join(map(quoted, value))}]"


def quoted(text: str) -> str:
    """Return `text` as a basic string of TOML.

    Bytes that are not UTF-8, which TOML cannot have, are written as `?`.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(_escape, escaped) + '"'


def _escape(found: re.Match[str]) -> str:
    return "?" if found[0] >= "\ud800" else f"\\u{ord(found[0]):04x}"
