"""From a scenario file, as TOML reads it, to a `Scenario`.

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

Flags are those of the daemon; of scripts, files and the like there is no need here.
What is left out has a default: vhid 7, a password, the address 10.9.0.254, and for
each host an address of its own and a skew of 0, 100, 200 and so on.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from carppcap.election.config import ADVSKEW_MAX
from carppcap.errors import ConfigError
from carppcap.options.command_line import parse_values
from carppcap.options.parsers import VirtualAddress
from carppcap.options.settings import Settings
from carppcap.options.table import OPTIONS
from carppcap.simulation.scenario.parts import (
    ATTACKER,
    INTERFACE,
    STORY,
    Deed,
    Demote,
    Kind,
    Member,
    Order,
    Quality,
    Scenario,
    Script,
    Span,
    Verb,
)
from carppcap.simulation.scenario.quantities import (
    format_length,
    parse_length,
    parse_positive_length,
    parse_share,
    parse_span,
)
from carppcap.simulation.scenario.story import EVERYBODY, parse_story
from carppcap.units import NS_PER_S, Interval
from carppcap.wire.auth import PASSWORD_LENGTH_MAX

VHID_DEFAULT = 7
PASSWORD_DEFAULT = b"simulated"
VIP_DEFAULT = IPv4Address("10.9.0.254")
FIRST_ADDRESS = IPv4Address("10.9.0.1")
FIRST_ADDRESS6 = IPv6Address("fe80::1")
SKEW_STEP = 100
DURATION_DEFAULT_NS = 60 * NS_PER_S
MEMBERS_MAX = 32
DRIFT_MAX_PPM = 100_000

_TOP = ("title", "duration", "group", "wire", "node", "story")
_NODE = ("flags", "kind", "start", "up_script", "down_script", "drift")
_SHARES = ("loss", "duplicate", "reorder", "corrupt")
_LENGTHS = ("delay", "jitter")
_RESERVED = frozenset((EVERYBODY, STORY, ATTACKER, "and", "by", "from", "of", "to"))
_NO_PROCESS = frozenset((Verb.KILL, Verb.STALL))


def parse_document(document: Mapping[str, Any], where: str) -> Scenario:
    """The scenario of a document; `where` names the file.  Raises `ConfigError`."""
    _check_keys(document, _TOP, where)
    group = _table(document, "group", where)
    _check_keys(group, ("flags",), f"{where}: group")
    flags = _words(group, "flags", f"{where}: group")
    nodes = _table(document, "node", where)
    members = _members(nodes, flags, f"{where}: node")
    duration_ns = DURATION_DEFAULT_NS
    if "duration" in document:
        text = _text(document, "duration", where)
        duration_ns = parse_positive_length(text, f"{where}: duration")
    names = tuple(member.name for member in members)
    story = parse_story(_lines(document, where), names, f"{where}: story")
    scenario = Scenario(
        members=members,
        story=story,
        quality=_quality(_table(document, "wire", where), f"{where}: wire"),
        duration_ns=duration_ns,
        title=_text(document, "title", where) if "title" in document else "",
    )
    check(scenario, where)
    return scenario


def check(scenario: Scenario, where: str) -> None:
    """Raises `ConfigError` for a story that cannot happen to these hosts."""
    kinds = {member.name: member.kind for member in scenario.members}
    for scene in scenario.story:
        if scene.at.low_ns >= scenario.duration_ns:
            raise ConfigError(
                "{where}: the story goes on at {at}, but the run ends at {end}",
                where=where,
                at=format_length(scene.at.low_ns),
                end=format_length(scenario.duration_ns),
            )
        for name in getattr(scene.deed, "names", ()):
            _check_deed(scene.deed, name, kinds[name], where)


def _check_deed(deed: Deed, name: str, kind: Kind, where: str) -> None:
    match deed:
        case Order(verb) if verb in _NO_PROCESS and kind.is_kernel:
            raise ConfigError(
                "{where}: {name} runs {kind}, and nobody can {verb} a kernel "
                "(allowed: crash, stop, pull)",
                where=where,
                name=name,
                kind=kind.value,
                verb=verb.value,
            )
        case Demote() if kind is Kind.UCARP:
            raise ConfigError(
                "{where}: {name} runs {kind}, which knows no demotion (allowed: "
                "carppcap and kernels)",
                where=where,
                name=name,
                kind=kind.value,
            )


def _members(
    nodes: Mapping[str, Any], group_flags: Sequence[str], where: str
) -> tuple[Member, ...]:
    if not 1 <= len(nodes) <= MEMBERS_MAX:
        raise ConfigError(
            "{where}: {count} hosts (allowed: 1 to {most})",
            where=where,
            count=len(nodes),
            most=MEMBERS_MAX,
        )
    members: list[Member] = []
    for name in nodes:
        table = _table(nodes, name, where)
        place = f"{where}.{name}"
        _check_keys(table, _NODE, place)
        is_word = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", name, re.ASCII)
        if is_word is None or name in _RESERVED:
            raise ConfigError(
                "{where}: [{name}] cannot be the name of a host (allowed: a word of "
                "letters and digits, but not {reserved})",
                where=where,
                name=name,
                reserved=", ".join(sorted(_RESERVED)),
            )
        flags = group_flags, _words(table, "flags", place)
        members.append(_member(name, len(members), flags, table, place))
    return tuple(members)


def _member(
    name: str,
    number: int,
    flags: Iterable[Sequence[str]],
    table: Mapping[str, Any],
    where: str,
) -> Member:
    settings = _settings(flags, number, f"{where}: flags")
    try:
        config = settings.virtual_host(INTERFACE)
    except ConfigError as error:
        raise ConfigError("{where}: {why}", where=where, why=error) from None
    member = Member(
        name,
        config,
        shutdown=settings.shutdown,
        ignore_link_state=settings.ignore_link_state,
        script_timeout_ns=settings.script_timeout_ns,
    )
    if "kind" in table:
        text = _text(table, "kind", where)
        member = replace(member, kind=_kind(text, f"{where}: kind"))
    if member.kind is Kind.UCARP and (len(config.vips) > 1 or config.source is None):
        raise ConfigError(
            "{where}: {kind} shares one address, of IPv4 (allowed: one -a)",
            where=where,
            kind=member.kind.value,
        )
    if "start" in table:
        text = _text(table, "start", where)
        member = replace(member, start=_start(text, f"{where}: start"))
    if "drift" in table:
        text = _text(table, "drift", where)
        member = replace(member, drift_ppm=_drift(text, f"{where}: drift"))
    for key, field in (("up_script", "up"), ("down_script", "down")):
        if key in table:
            text = _text(table, key, where)
            script = {field: parse_script(text, f"{where}: {key}")}
            member = replace(member, **script)  # type: ignore[arg-type]
    return member


def _settings(flags: Iterable[Sequence[str]], number: int, where: str) -> Settings:
    """What all `flags` say; the later ones replace, and do not add to, the earlier."""
    values: dict[str, Any] = {}
    words: list[str] = []
    try:
        for part in flags:
            said, others = parse_values(part, OPTIONS)
            if "password" in said:
                values.pop("passfile", None)
            values |= said
            words += others
    except ConfigError as error:
        raise ConfigError("{where}: {why}", where=where, why=error) from None
    if words:
        raise ConfigError(
            "{where}: unexpected word [{word}] (allowed: options of the daemon)",
            where=where,
            word=words[0],
        )
    skew = min(number * SKEW_STEP, ADVSKEW_MAX - 1)
    settings = Settings(**({"advskew": skew} | values))
    password = settings.password or PASSWORD_DEFAULT
    if settings.passfile is not None:  # Those who name the same file share a word.
        name = settings.passfile.encode("utf-8", "surrogateescape")
        password = name[-PASSWORD_LENGTH_MAX:]
    return replace(
        settings,
        vhid=settings.vhid or VHID_DEFAULT,
        source=settings.source or FIRST_ADDRESS + number,
        source6=settings.source6 or FIRST_ADDRESS6 + number,
        addresses=settings.addresses or (VirtualAddress(VIP_DEFAULT),),
        password=password,
    )


def _kind(text: str, where: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise ConfigError(
            "{where}: unknown kind of host [{text}] (allowed: {kinds})",
            where=where,
            text=text,
            kinds=", ".join(kind.value for kind in Kind),
        ) from None


def _start(text: str, where: str) -> Span | None:
    return None if text == "never" else parse_span(text, where)


def _drift(text: str, where: str) -> int:
    match = re.fullmatch(r"([+-]?\d{1,6})ppm", text, re.ASCII)
    if match is None or abs(int(match[1])) > DRIFT_MAX_PPM:
        raise ConfigError(
            "{where}: [{text}] is not a drift (allowed: such as 50ppm, -20ppm, at most "
            "{most}ppm)",
            where=where,
            text=text,
            most=DRIFT_MAX_PPM,
        )
    return int(match[1])


def parse_script(text: str, where: str) -> Script:
    """`200ms`, and perhaps `exit 1` and `address first`; or `none`.

    Raises `ConfigError`.
    """
    if text.strip() == "none":
        return Script(exit_code=None)
    length, *remarks = (part.strip() for part in text.split(","))
    duration_ns: Interval = parse_length(length, where)
    script = Script(duration_ns)
    for remark in remarks:
        match = re.fullmatch(r"exit (\d{1,3})", remark, re.ASCII)
        if remark == "address first":
            script = replace(script, address_first=True)
        elif match is not None and int(match[1]) <= 255:
            script = replace(script, exit_code=int(match[1]))
        else:
            raise ConfigError(
                "{where}: cannot understand [{text}] (allowed: such as 200ms, or "
                "10s, exit 1, address first; or none)",
                where=where,
                text=text,
            )
    return script


def _quality(table: Mapping[str, Any], where: str) -> Quality:
    _check_keys(table, (*_SHARES, *_LENGTHS), where)
    values: dict[str, Any] = {}
    for key in table:
        text, place = _text(table, key, where), f"{where}: {key}"
        if key in _SHARES:
            values[key] = parse_share(text, place)
        else:
            values[f"{key}_ns"] = parse_length(text, place)
    return Quality(**values)


def _lines(document: Mapping[str, Any], where: str) -> list[str]:
    story = document.get("story", "")
    if isinstance(story, list) and all(isinstance(line, str) for line in story):
        return story
    return _text(document, "story", where).splitlines() if story else []


def _words(table: Mapping[str, Any], key: str, where: str) -> list[str]:
    try:
        return shlex.split(_text(table, key, where)) if key in table else []
    except ValueError as error:
        raise ConfigError("{where}: {why}", where=where, why=error) from None


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise ConfigError(
            "{where}: {key} must be a text in quotes (got {value})",
            where=where,
            key=key,
            value=_shown(value),
        )
    return value


def _shown(value: object) -> str:
    """`value`, as far as it fits into a sentence."""
    try:
        return f"{value}"[:40]
    except ValueError:  # Python does not write numbers of more than 4300 digits.
        return "an endless number"


def _table(document: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    value = document.get(key, {})
    if not isinstance(value, Mapping):
        raise ConfigError("{where}: [{key}] must be a table", where=where, key=key)
    return value


def _check_keys(table: Mapping[str, Any], allowed: Sequence[str], where: str) -> None:
    for key in table:
        if key not in allowed:
            raise ConfigError(
                "{where}: unknown key [{key}] (allowed: {keys})",
                where=where,
                key=key,
                keys=", ".join(allowed),
            )
