"""Finds the lines of tables, keys and elements of arrays in a TOML document.

tomllib checks the document and knows its values, but not where they are.  `locate`
scans a document that tomllib has accepted, so it has to know only where strings,
comments, arrays and tables begin and end (TOML 1.0).
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""The keys, and the indexes in arrays, that lead from the document to a value."""

_BLANKS = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}\n#]*")
_BASIC = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_LITERAL = re.compile(r"'[^'\n]*'")
# A string may end in one or two quotes of its own before the three that close it.
_LONG_BASIC = re.compile(r'"""(?:[^"\\]|\\.|"(?!"")|"(?="{3}))*"""', re.DOTALL)
_LONG_LITERAL = re.compile(r"'''(?:[^']|'(?!'')|'(?='{3}))*'''", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)")
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}


def locate(text: str) -> dict[Path, int]:
    """Return the line of each table, key and element of an array in `text`.

    Lines count from 1.  A table is where it is mentioned first, an element where it
    begins.  `text` is a document that tomllib accepts, with `\\n` as the only end of a
    line.
    """
    return _Scan(text).lines


class _Scan:
    """A scan of one document; `lines` is its result."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._ends = [found.start() for found in re.finditer("\n", text)]
        self._elements: dict[Path, int] = {}  # of arrays of tables: how many so far
        self.lines: dict[Path, int] = {}
        self._document()

    def _document(self) -> None:
        table: Path = ()
        while self._next():
            if self._take("[["):
                table = self._header(is_array=True)
            elif self._take("["):
                table = self._header(is_array=False)
            else:
                self._pair(table)

    def _header(self, *, is_array: bool) -> Path:
        """Read a header behind its brackets; return the path of its table."""
        line = self._line()
        *parents, name = self._keys()
        path: Path = ()
        for key in parents:
            path = self._enter((*path, key), line)
        path = (*path, name)
        if is_array:
            self._elements[path] = self._elements.get(path, -1) + 1
            self.lines.setdefault(path, line)
        return self._enter(path, line)

    def _enter(self, path: Path, line: int) -> Path:
        """Return `path`, or that of the last element if an array of tables is there."""
        self.lines.setdefault(path, line)
        if path in self._elements:
            path = (*path, self._elements[path])
            self.lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._value(path)

    def _keys(self) -> Iterator[str]:
        """Yield the parts of a dotted key, and skip what ends it: `=`, `]` or `]]`."""
        while True:
            self._next()
            yield self._key()
            self._next()
            if not self._take("."):
                break
        self._take("=") or self._take("]]") or self._take("]")

    def _key(self) -> str:
        found = self._match(_BASIC)
        if found:
            return _ESCAPE.sub(_unescape, found[1:-1])
        return self._match(_LITERAL)[1:-1] or self._match(_BARE_KEY)

    def _value(self, path: Path) -> None:
        self._next()
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            while self._next() and not self._take("}"):
                self._pair(path)
                self._next()
                self._take(",")
        else:
            for string in (_LONG_BASIC, _LONG_LITERAL, _BASIC, _LITERAL):
                if self._match(string):
                    return
            self._match(_SCALAR)

    def _array(self, path: Path) -> None:
        index = 0
        while self._next() and not self._take("]"):
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            self._next()
            self._take(",")
            index += 1

    def _next(self) -> bool:
        """Skip blanks and comments; return False at the end of the text."""
        self._match(_BLANKS)
        return self._position < len(self._text)

    def _take(self, mark: str) -> bool:
        is_there = self._text.startswith(mark, self._position)
        if is_there:
            self._position += len(mark)
        return is_there

    def _match(self, pattern: re.Pattern[str]) -> str:
        """Skip what `pattern` matches here, and return it; empty if it does not."""
        found = pattern.match(self._text, self._position)
        if found is None:
            return ""
        self._position = found.end()
        return found[0]

    def _line(self) -> int:
        return bisect_right(self._ends, self._position) + 1


def _unescape(found: re.Match[str]) -> str:
    letter = found[1]
    if letter[0] in "uU":
        return chr(int(letter[1:], 16))
    return _ESCAPED.get(letter, letter)
