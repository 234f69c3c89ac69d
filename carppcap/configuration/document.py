"""Reads a configuration file: its text in, its groups and every mistake in it out.

    facility = "local0"            # about the whole daemon
    passfile = "/etc/vip.pass"     # the default of every group

    [group.web]
    interface = "eth0"
    srcip = "10.1.1.1"
    vhid = 42
    addr = ["10.1.1.252/24"]

No file is opened: passwords in files are read by whoever runs the groups.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from carppcap.configuration.findings import Finding, Severity, mistake
from carppcap.configuration.keys import (
    ALTERNATIVES,
    KEYS,
    Key,
    Kind,
    alternatives_of,
    nearest,
    options_in,
    unknown_key,
    wrong_kind,
)
from carppcap.configuration.locate import Path, locate
from carppcap.configuration.render import quoted
from carppcap.errors import CarpError, ConfigError
from carppcap.options.command_line import put
from carppcap.options.settings import Settings

GROUP = "group"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", re.ASCII)
_PAIR = re.compile(r"\s*([\w-]+)\s*=\s*([^\s\[{#]\S*)", re.ASCII)
"""A key, and the first word of its value, which is neither an array nor a table."""
_UNREAD = b"?"
"""Stands for a password that is in a file."""


@dataclass(frozen=True, slots=True)
class Group:
    """One group of the file, with the settings of the whole daemon.

    `settings` names the passfile, or there is a `credential`, or it has the password.
    `lines` has the line of each key that was given for the group, or as a default for
    all; `line` is that of its table.
    """

    name: str
    line: int
    settings: Settings
    credential: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The interface without an alias, `eth0` for `eth0:1`; empty if not given."""
        return (self.settings.interface or "").partition(":")[0]

    def line_of(self, *names: str) -> int:
        """Return the line of the first of these keys that was given, else `line`."""
        return next(
            (self.lines[name] for name in names if name in self.lines), self.line
        )

    def line_about(self, error: CarpError) -> int:
        """Return the line that `error` is about: of the first option that it names."""
        return self.line_of(*options_in(error.template))

    def resolved(self, credentials: str | None) -> Settings:
        """Return the settings, with the file of the credential as the passfile.

        `credentials` is the directory of systemd's credentials, or None.  Raises
        `ConfigError` if there is none but a credential is wanted.
        """
        if self.credential is None:
            return self.settings
        if credentials is None:
            raise ConfigError(
                "credential {name} needs LoadCredential={name}:FILE in the unit: there "
                "is no CREDENTIALS_DIRECTORY",
                name=self.credential,
            )
        return replace(self.settings, passfile=f"{credentials}/{self.credential}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The groups of a file, in its order, and what is wrong with the file.

    If there are mistakes, the groups have only the settings that could be read.
    """

    groups: tuple[Group, ...]
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """True if there is no mistake."""
        return all(f.severity is not Severity.MISTAKE for f in self.findings)


@dataclass(slots=True)
class _Table:
    """The keys of a table: the settings of each, and the line of each.

    `misspelt` are the keys that unknown ones were probably meant to be.
    """

    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    misspelt: frozenset[str] = frozenset()

    def over(self, defaults: "_Table") -> "_Table":
        """Return a table with the keys of this one, and the `defaults` of the rest."""
        replaced = {other for name in self.lines for other in alternatives_of(name)}
        kept = [name for name in defaults.lines if name not in replaced]
        return _Table(
            {n: defaults.fields[n] for n in kept if n in defaults.fields} | self.fields,
            {name: defaults.lines[name] for name in kept} | self.lines,
            defaults.misspelt | self.misspelt,
        )


def read(text: str) -> Configuration:
    """Return the groups that `text` describes, and every mistake in it."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        document = tomllib.loads(text)
        lines = locate(text)
    except (ValueError, RecursionError) as error:
        return Configuration((), (_syntax_error(text, error),))
    reader = _Reader(lines)
    groups = reader.document(document)
    return Configuration(
        tuple(groups), tuple(sorted(reader.findings, key=lambda found: found.line))
    )


def check_name(name: str) -> None:
    """Raise `ConfigError` unless `name` can be the name of a group."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            "[{name}] cannot be the name of a group (allowed: 1 to 32 letters, digits, "
            "_ and -)",
            name=name[:80],
        )


def _syntax_error(text: str, error: Exception) -> Finding:
    last = text.count("\n") + (not text.endswith("\n"))
    why = "nested too deeply" if isinstance(error, RecursionError) else f"{error}"
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", why)
    line = int(place[1]) if place and place[1] else max(last, 1) if place else 1
    if place:
        why = why[: place.start()] + (f" in column {place[2]}" if place[2] else "")
    pair = _PAIR.match(text.split("\n")[line - 1])
    if pair and why.startswith("Cannot overwrite"):
        return mistake(line, ConfigError("not TOML: {key} is there twice", key=pair[1]))
    is_here = place is not None and place[1] is not None
    is_text = pair and pair[1] in KEYS and KEYS[pair[1]].kind in (Kind.TEXT, Kind.LIST)
    if pair and is_text and is_here and pair[2][0] not in "\"'":
        return mistake(
            line,
            ConfigError(
                "not TOML: a text needs quotes: {key} = {value}",
                key=pair[1],
                value=quoted(pair[2]),
            ),
        )
    return mistake(line, ConfigError("not TOML: {why}", why=why))


class _Reader:
    """Reads one document, and collects `findings`."""

    def __init__(self, lines: Mapping[Path, int]) -> None:
        self._lines = lines
        self.findings: list[Finding] = []

    def document(self, document: Mapping[str, Any]) -> list[Group]:
        """Return the groups of `document`."""
        top = {key: value for key, value in document.items() if key != GROUP}
        defaults = self._table(top, ())
        tables = document.get(GROUP, {})
        if not isinstance(tables, dict) or not tables:
            self._mistake(
                self._lines.get((GROUP,), 1),
                ConfigError(
                    "no group (allowed: one table [group.NAME] for each group)"
                ),
            )
            return []
        groups = [self._group(name, table, defaults) for name, table in tables.items()]
        good = [group for group in groups if group is not None]
        for first, second in combinations(good, 2):
            self._compare(first, second)
        return good

    def _compare(self, first: Group, second: Group) -> None:
        """Report two groups with the same vhid on an interface."""
        vhid = second.settings.vhid
        is_one = (first.device, first.settings.vhid) == (second.device, vhid)
        if is_one and second.device and vhid is not None:
            self._mistake(
                second.line_of("vhid"),
                ConfigError(
                    "{second} has the vhid {vhid} on {interface}, and so has {first} "
                    "in line {line} (allowed: another --vhid for each group of an "
                    "interface)",
                    second=second.name,
                    vhid=vhid,
                    interface=second.device,
                    first=first.name,
                    line=first.line_of("vhid"),
                ),
            )

    def _group(self, name: str, table: Any, defaults: _Table) -> Group | None:
        path = (GROUP, name)
        line = self._lines[path]
        try:
            check_name(name)
        except ConfigError as wrong_name:
            self._mistake(line, wrong_name)
        if not isinstance(table, dict):
            self._mistake(
                line,
                ConfigError(
                    "{name} is no group (allowed: a table [group.NAME])", name=name[:80]
                ),
            )
            return None
        given = self._table(table, path).over(defaults)
        values: dict[str, Any] = {"own_addresses": True}
        for fields in given.fields.values():
            values |= fields
        credential = values.pop("credential", None)
        group = Group(name, line, Settings(**values), credential, given.lines)
        unread = {key for key in given.lines if key not in given.fields}
        wrong = {
            other for key in unread | given.misspelt for other in alternatives_of(key)
        }
        if "addr" in wrong:  # It decides of which family the others have to be.
            wrong |= {"srcip", "peer"}
        for error in _mistakes(group):
            # What was given, but is wrong, is not missing.
            if not wrong.intersection(options_in(error.template)):
                self._mistake(group.line_about(error), error, path)
        return group

    def _table(self, table: Mapping[str, Any], path: Path) -> _Table:
        """Return the keys of a table; each of them is read by itself."""
        read = _Table()
        known = tuple(
            name for name, key in KEYS.items() if not (path and key.is_global)
        )
        for name, value in table.items():
            line = self._lines[*path, name]
            if name not in KEYS or name not in known:
                self._unknown(name, value, path, known)
                meant = nearest(name, known)
                read.misspelt |= frozenset((meant,)) if meant else frozenset()
                continue
            read.lines[name] = line
            fields = self._fields(KEYS[name], value, (*path, name))
            if fields is not None:
                read.fields[name] = fields
        for names in ALTERNATIVES:
            first, *more = [name for name in read.lines if name in names] or [""]
            for other in more:
                self._mistake(
                    read.lines[other],
                    ConfigError(
                        "{other} beside {first} (allowed: one of {names})",
                        other=other,
                        first=first,
                        names=", ".join(names),
                    ),
                    path,
                )
        return read

    def _unknown(
        self, name: str, value: Any, path: Path, known: tuple[str, ...]
    ) -> None:
        line = self._lines[*path, name]
        if name in KEYS:
            error = ConfigError(
                "{key} is about the whole daemon (allowed: above the first table)",
                key=name,
            )
        elif not path and _is_table(value):
            error = ConfigError(
                "unknown table [{table}] (allowed: [group.NAME])", table=name[:80]
            )
        else:
            error = unknown_key(name, known)
        self._mistake(line, error, path)

    def _fields(self, key: Key, value: Any, path: Path) -> dict[str, Any] | None:
        """Return the settings that a key gives, or None if its value is wrong."""
        if key.kind is Kind.FLAG and isinstance(value, bool):
            return {key.option.field: value}
        is_list = key.kind is Kind.LIST and isinstance(value, list)
        texts = value if is_list else [value]
        paths = [(*path, index) for index in range(len(texts))] if is_list else [path]
        wanted = int if key.kind is Kind.NUMBER else str
        parse, fields = key.option.parse, dict[str, Any]()
        is_good = True
        for text, its_path in zip(texts, paths, strict=True):
            line = self._lines[its_path]
            try:
                if parse is None or type(text) is not wanted:
                    raise wrong_kind(key, text)
                put(fields, key.option.field, parse(_text(text), key.name))
            except ConfigError as error:
                is_good = False
                self._mistake(line, error, path)
        if is_list and not texts:
            is_good = False
            self._mistake(self._lines[path], wrong_kind(key, value), path)
        return fields if is_good else None

    def _mistake(self, line: int, error: CarpError, path: Path = ()) -> None:
        """Add a mistake; `path` leads to the table, or into it, if it is of a group."""
        group = f"{path[1]}"[:80] if path[:1] == (GROUP,) else ""
        self.findings.append(mistake(line, error, group))


def _is_table(value: Any) -> bool:
    """True for a table, and for an array of tables."""
    elements = value if isinstance(value, list) and value else [value]
    return isinstance(elements[0], dict)


def _text(value: str | int) -> str:
    """Return `value` as the command line would have it."""
    # Python refuses to write more than 4300 digits; no number has as many as 20.
    return value if isinstance(value, str) else f"{max(min(value, 10**20), -(10**20))}"


def _mistakes(group: Group) -> Iterator[ConfigError]:
    """Yield what is missing in the settings of a group, and what does not fit."""
    settings = group.settings
    if settings.interface is None:
        yield ConfigError("You must supply a network interface (--interface)")
    if settings.password is None:
        if settings.passfile is None and group.credential is None:
            yield ConfigError(
                "You must supply a password (--passfile, --pass or credential)"
            )
        settings = replace(settings, password=_UNREAD)
    yield from settings.mistakes()
