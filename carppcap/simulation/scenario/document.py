"""The parser of scenario files, which makes a `Scenario` of a TOML document.

    title = "The preferred host crashes and comes back"
    duration = "60s"
    [group]
    flags = "-v 7 -p secret -a 10.9.0.9"
    [wire]
    loss = "5%"
    [node.alpha]
    flags = "-k 0 -P"
    up_script = "200ms"
    [node.beta]
    flags = "-k 100"
    kind = "ucarp"
    [...]
    story = '''
    at 10s crash alpha
    at 20s start alpha
    '''

`flags` are options of the daemon; those for scripts and files are ignored.  By default
the vhid is 7, the password is fixed, the virtual address is 10.9.0.254, and each host
has an address of its own.  The default skew of the first host is 0, of the second 100,
of the third 200, and of all further hosts 254.
"""

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeAlias

from carppcap.election.config import ADVSKEW_MAX
from carppcap.errors import ConfigError
from carppcap.options.command_line import parse_values
from carppcap.options.parsers import VirtualAddress, password
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS
from carppcap.simulation.scenario import parts, quantities
from carppcap.simulation.scenario.parts import Kind, Member, Order, Scenario, Verb
from carppcap.simulation.scenario.quantities import located
from carppcap.simulation.scenario.story import ALL, parse_story
from carppcap.wire.auth import PASSWORD_LENGTH_MAX

VHID_DEFAULT = 7
PASSWORD_DEFAULT = b"simulated"
VIP_DEFAULT = IPv4Address("10.9.0.254")
FIRST_ADDRESS = IPv4Address("10.9.0.1")
FIRST_ADDRESS6 = IPv6Address("fe80::1")
SKEW_STEP = 100
MEMBERS_MAX = 32
DRIFT_MAX_PPM = 100_000

_RESERVED = frozenset(
    (ALL, parts.STORY, parts.ATTACKER, "and", "by", "from", "of", "to")
)
_NO_PROCESS = (Verb.KILL, Verb.STALL, Verb.HANG)
_OF_KEEPERS = (Verb.KILL_KEEPER, Verb.KILL_BOTH)


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise ConfigError(
            "unknown kind of host [{text}] (allowed: {kinds})",
            text=text,
            kinds=", ".join(kind.value for kind in Kind),
        ) from None


def _start(text: str) -> parts.Span | None:
    return None if text == "never" else quantities.parse_span(text)


def _drift(text: str) -> int:
    match = re.fullmatch(r"([+-]?\d{1,6})ppm", text, re.ASCII)
    if match is None or abs(int(match[1])) > DRIFT_MAX_PPM:
        raise ConfigError(
            "[{text}] is not a drift (allowed: such as 50ppm, -20ppm, at most "
            "{most}ppm)",
            text=text,
            most=DRIFT_MAX_PPM,
        )
    return int(match[1])


def _second_password(text: str) -> bytes:
    return password(text, "second_password")


def parse_script(text: str) -> parts.Script:
    """Return the script that `text` describes.

    `text` is the duration, with remarks after commas, e.g. `200ms, exit 1, address
    first`.  It may also be `none`, for no script.  Raises `ConfigError` for any other
    text.
    """
    if text.strip() == "none":
        return parts.Script(exit_code=None)
    length, *remarks = (part.strip() for part in text.split(","))
    script = parts.Script(quantities.parse_length(length))
    for remark in remarks:
        match = re.fullmatch(r"exit (\d{1,3})", remark, re.ASCII)
        if remark == "address first":
            script = replace(script, address_first=True)
        elif match is not None and int(match[1]) <= 255:
            script = replace(script, exit_code=int(match[1]))
        else:
            raise ConfigError(
                "cannot understand [{text}] (allowed: such as 200ms, or "
                "10s, exit 1, address first; or none)",
                text=text,
            )
    return script


_Table: TypeAlias = Mapping[str, Any]
"""A table of a TOML document."""

_Fields: TypeAlias = Mapping[str, tuple[str, Callable[[str], Any]]]
"""The keys that a table may have, each with a field name and the parser of a value."""

_TOP: _Fields = {
    "title": ("title", str),
    "duration": ("duration_ns", quantities.parse_positive_length),
}
_PARTS = ("group", "wire", "node", "story")
_SHARES = ("loss", "duplicate", "reorder", "corrupt")
WIRE: _Fields = {
    **{share: (share, quantities.parse_share) for share in _SHARES},
    "delay": ("delay_ns", quantities.parse_length),
    "jitter": ("jitter_ns", quantities.parse_length),
}
_NODE: _Fields = {
    "flags": ("flags", str),
    "kind": ("kind", _kind),
    "start": ("start", _start),
    "up_script": ("up", parse_script),
    "down_script": ("down", parse_script),
    "drift": ("drift_ppm", _drift),
    "second_password": ("second_password", _second_password),
}


def parse_document(document: _Table, where: str) -> Scenario:
    """Return the scenario that a document describes.

    Raises a `ConfigError` that begins with `where`, the name of the file, if anything
    in the document is wrong.
    """
    with located(where):
        fields = _fields(document, _TOP, _PARTS)
        group = _table(document, "group")
        with located("group"):
            _fields(group, {}, ("flags",))
            flags = shlex.split(_text(group, "flags"))
        members = _members(_table(document, "node"), flags)
        names = tuple(member.name for member in members)
        story = parse_story(_lines(document), names)
        wire = _table(document, "wire")
        with located("wire"):
            quality = parts.Quality(**_fields(wire, WIRE))
        scenario = Scenario(members, story, quality, **fields)
        check(scenario)
    return scenario


def check(scenario: Scenario) -> None:
    """Raise `ConfigError` if the story does not fit the duration or the kinds of hosts.

    Each event must be able to begin before the end of the run, and the kind of host
    must be able to do what the event asks of it.
    """
    members = {member.name: member for member in scenario.members}
    for scene in scenario.story:
        if scene.at.low_ns >= scenario.duration_ns:
            raise ConfigError(
                "the story goes on at {at}, but the run ends at {end}",
                at=quantities.format_length(scene.at.low_ns),
                end=quantities.format_length(scenario.duration_ns),
            )
        if isinstance(scene.deed, Order):
            for name in scene.deed.names:
                _check_order(scene.deed.verb, members[name])


def _check_order(verb: Verb, member: Member) -> None:
    name, kind = member.name, member.kind
    if verb in _NO_PROCESS and kind.is_kernel:
        raise ConfigError(
            "{name} runs {kind}, so it has no process to {verb} "
            "(allowed: crash, stop, pull)",
            name=name,
            kind=kind.value,
            verb=verb.value,
        )
    if verb in _OF_KEEPERS and not member.own_addresses:
        raise ConfigError(
            "{name} has no keeper (allowed: carppcap with --own-addresses)", name=name
        )
    if verb in (Verb.DEMOTE, Verb.UNDEMOTE) and kind is Kind.UCARP:
        raise ConfigError(
            "{name} runs {kind}, which knows no demotion (allowed: "
            "carppcap and kernels)",
            name=name,
            kind=kind.value,
        )


def _members(nodes: _Table, group_flags: Sequence[str]) -> tuple[Member, ...]:
    with located("node"):
        if not 1 <= len(nodes) <= MEMBERS_MAX:
            raise ConfigError(
                "{count} hosts (allowed: 1 to {most})",
                count=len(nodes),
                most=MEMBERS_MAX,
            )
        tables = {_checked_name(name): _table(nodes, name) for name in nodes}
    return tuple(
        _member(name, table, group_flags, number)
        for number, (name, table) in enumerate(tables.items())
    )


def _checked_name(name: str) -> str:
    is_word = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", name, re.ASCII)
    if is_word is None or name in _RESERVED:
        raise ConfigError(
            "[{name}] cannot be the name of a host (allowed: a word of letters and "
            "digits, but not {reserved})",
            name=name,
            reserved=", ".join(sorted(_RESERVED)),
        )
    return name


def _member(name: str, table: _Table, flags: Sequence[str], number: int) -> Member:
    with located(f"node.{name}"):
        fields = _fields(table, _NODE)
        own_flags = shlex.split(fields.pop("flags", ""))
        with located("flags"):
            settings = _settings((flags, own_flags), number)
        settings = replace(
            settings, second_password=fields.pop("second_password", None)
        )
        kind = fields.get("kind", Kind.CARPPCAP)
        member = Member(
            name,
            settings.virtual_host(parts.INTERFACE),
            shutdown=settings.shutdown,
            ignore_link_state=settings.ignore_link_state,
            script_timeout_ns=settings.script_timeout_ns,
            no_farewell=settings.no_farewell,
            own_addresses=settings.own_addresses and kind is Kind.CARPPCAP,
            **fields,
        )
        is_plain = len(member.config.vips) == 1 and member.config.source is not None
        if member.kind is Kind.UCARP and not is_plain:
            raise ConfigError(
                "{kind} shares one address, of IPv4 (allowed: one -a)",
                kind=member.kind.value,
            )
    return member


def _settings(flags: Iterable[Sequence[str]], number: int) -> Settings:
    """Return the settings of the host with this `number`, which counts from 0.

    `flags` are lists of options; options of later lists replace those of earlier ones.
    """
    given: dict[str, Any] = {}
    words: list[str] = []
    for part in flags:
        said, others = parse_values(part, OPTIONS)
        if "password" in said:
            given.pop("passfile", None)
        given |= said
        words += others
    if words:
        raise ConfigError(
            "unexpected word [{word}] (allowed: options of the daemon)", word=words[0]
        )
    if "passfile" in given:  # The file is not read: its name serves as the password.
        name = given["passfile"].encode("utf-8", "surrogateescape")
        given["password"] = name[-PASSWORD_LENGTH_MAX:]
    defaults: dict[str, Any] = {
        "vhid": VHID_DEFAULT,
        "source": FIRST_ADDRESS + number,
        "source6": FIRST_ADDRESS6 + number,
        "addresses": (VirtualAddress(VIP_DEFAULT),),
        "password": PASSWORD_DEFAULT,
        "advskew": min(number * SKEW_STEP, ADVSKEW_MAX - 1),
    }
    return Settings(**(defaults | given))


def _lines(document: _Table) -> list[str]:
    story = document.get("story", "")
    if isinstance(story, list) and all(isinstance(line, str) for line in story):
        return story
    return _text(document, "story").splitlines()


def _text(table: _Table, key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise ConfigError(
            "{key} must be a text in quotes (got {value})", key=key, value=_shown(value)
        )
    return value


def _shown(value: object) -> str:
    """Return `value` as text, cut to a length that fits a message."""
    try:
        return f"{value}"[:40]
    except ValueError:  # Python refuses to print more than 4300 digits.
        return "an endless number"


def _table(document: _Table, key: str) -> _Table:
    value = document.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError("[{key}] must be a table", key=key)
    return value


def _fields(
    table: _Table, known: _Fields, others: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the parsed values of the keys in `known`, keyed by field name.

    `table` may also have the keys in `others`, which are skipped.  Raises `ConfigError`
    for any other key and for a wrong value.
    """
    fields = {}
    for key in table:
        if key in known:
            name, parse = known[key]
            text = _text(table, key)
            with located(key):
                fields[name] = parse(text)
        elif key not in others:
            keys = ", ".join([*known, *others])
            raise ConfigError(
                "unknown key [{key}] (allowed: {keys})", key=key, keys=keys
            )
    return fields
