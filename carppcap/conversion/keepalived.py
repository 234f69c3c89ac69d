"""Converts the `vrrp_instance` blocks of keepalived.conf(5).

A skew of 256 minus the priority makes a backup wait as long as in VRRP (RFC 9568,
8.2.2: Skew_Time), and keeps the order of the hosts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from carppcap.configuration.render import Draft
from carppcap.conversion.result import Conversion, Source
from carppcap.election.config import ADVSKEW_MAX
from carppcap.errors import ConfigError

BLOCK = "vrrp_instance"

_TOKEN = re.compile(r'"[^"\n]*"|\'[^\'\n]*\'|[{}]|[^\s{}#!"\']+|[#!][^\n]*|\n')


@dataclass(slots=True)
class _Statement:
    """A line of the file; `block` are the statements between its braces, if any."""

    line: int
    words: list[str]
    block: "list[_Statement] | None" = None

    @property
    def text(self) -> str:
        inside = " ".join(each.text for each in self.block or ())
        return " ".join(self.words) + (
            f" {{ {inside} }}" if self.block is not None else ""
        )


def convert(sources: Sequence[Source]) -> Conversion:
    """Return a group for each `vrrp_instance` in `sources`."""
    result = Conversion()
    for path, text in sources:
        for statement in _statements(text):
            if statement.words[:1] == [BLOCK] and statement.block is not None:
                _Instance(result, path, statement).convert()
            else:
                result.without_counterpart(path, statement.line, statement.text)
    return result


def _statements(text: str) -> list[_Statement]:
    """Return the statements of a file.  Braces that do not match do no harm."""
    top: list[_Statement] = []
    open_blocks = [top]
    current: _Statement | None = None
    line = 1
    for token in _TOKEN.findall(text.replace("\r\n", "\n")):
        if token == "\n":
            line, current = line + 1, None
        elif token == "{":
            block: list[_Statement] = []
            if (
                current is None
                and open_blocks[-1]
                and open_blocks[-1][-1].block is None
            ):
                current = open_blocks[-1][-1]  # The brace stands in a line of its own.
            if current is None:
                current = _Statement(line, [])
                open_blocks[-1].append(current)
            current.block = block
            open_blocks.append(block)
            current = None
        elif token == "}":
            if len(open_blocks) > 1:
                open_blocks.pop()
            current = None
        elif token[0] not in "#!":
            if current is None:
                current = _Statement(line, [])
                open_blocks[-1].append(current)
            current.words.append(token.strip("\"'"))
    return top


class _Instance:
    """One `vrrp_instance` block, and the group that it becomes."""

    def __init__(self, result: Conversion, path: str, block: _Statement) -> None:
        self._result = result
        self._path = path
        self._block = block
        name = " ".join(block.words[1:])
        self._draft: Draft = result.draft(name, path, block.line)

    def convert(self) -> None:
        """Take over what has a counterpart, and report the rest."""
        values = self._draft.values
        values["preempt"] = True
        for statement in self._block.block or ():
            known = _HANDLERS.get(statement.words[0] if statement.words else "")
            if known is None:
                self._report(statement)
            else:
                known(self, statement)
        values["shutdown"] = True  # keepalived says farewell, too.
        if not values["preempt"]:
            del values["preempt"]
        if "pass" not in values:
            values["passfile"] = f"/etc/carppcap/{self._draft.name}.pass"
            self._remark(
                self._block.line,
                ConfigError(
                    "without authentication: CARP needs a password, in {file}",
                    file=values["passfile"],
                ),
            )

    def _report(self, statement: _Statement) -> None:
        self._result.without_counterpart(self._path, statement.line, statement.text)

    def _remark(self, line: int, error: ConfigError) -> None:
        self._result.remark(self._path, line, error)

    def _put(self, key: str, statement: _Statement, text: str | None = None) -> None:
        value = " ".join(statement.words[1:]) if text is None else text
        self._result.put(self._draft, key, value, self._path, statement.line)

    def _flag(self, key: str) -> None:
        self._draft.values[key] = True

    def _priority(self, statement: _Statement) -> None:
        text = "".join(statement.words[1:2])
        if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or not 1 <= int(text) <= 255:
            self._report(statement)
            return
        skew = min(256 - int(text), ADVSKEW_MAX - 1)
        self._draft.values["advskew"] = skew
        self._draft.comment(
            "advskew", f"priority {text}: the skew is 256 - priority, as in VRRP"
        )

    def _interval(self, statement: _Statement) -> None:
        text = "".join(statement.words[1:2])
        if re.fullmatch(r"[0-9]{1,3}(\.0*)?", text, re.ASCII):
            self._put("advbase", statement, text.partition(".")[0].lstrip("0") or "0")
        elif re.fullmatch(r"0?\.[0-9]{1,6}", text, re.ASCII):
            self._remark(
                statement.line,
                ConfigError(
                    "{what}: the advbase is 1 s now (for less: an advbase of 0, and an "
                    "advskew in 1/256 s, here {skew})",
                    what=" ".join(statement.words),
                    skew=min(max(round(float(text) * 256), 1), 255),
                ),
            )
        else:
            self._report(statement)

    def _authentication(self, statement: _Statement) -> None:
        for inner in statement.block or ():
            match inner.words:
                case ["auth_type", "PASS" | "AH"]:
                    pass
                case ["auth_pass", password]:
                    self._put("pass", inner, password)
                    self._remark(
                        inner.line,
                        ConfigError(
                            "VRRP sends its password in clear text: choose a new one, "
                            "better in a passfile"
                        ),
                    )
                case _:
                    self._report(inner)

    def _addresses(self, statement: _Statement) -> None:
        for inner in statement.block or ():
            address, *rest = inner.words or [""]
            while len(rest) >= 2 and rest[0] == "dev":
                if rest[1] == self._interface:
                    rest = rest[2:]
                else:
                    break
            self._put("addr", inner, address)
            if rest:
                self._result.without_counterpart(
                    self._path, inner.line, f"{address}: {' '.join(rest)}"
                )

    @property
    def _interface(self) -> str:
        for statement in self._block.block or ():
            if statement.words[:1] == ["interface"]:
                return "".join(statement.words[1:2])
        return ""

    def _peers(self, statement: _Statement) -> None:
        for inner in statement.block or ():
            for address in inner.words[:1]:
                self._put("peer", inner, address)
            if inner.words[1:]:
                self._report(inner)

    def _state(self, statement: _Statement) -> None:
        self._remark(
            statement.line,
            ConfigError("{what}: every host starts as BACKUP", what=statement.text),
        )

    def _preempt(self, statement: _Statement) -> None:
        self._draft.values["preempt"] = True

    def _no_preempt(self, statement: _Statement) -> None:
        self._draft.values["preempt"] = False

    def _vmac(self, statement: _Statement) -> None:
        self._flag("vmac")
        if statement.words[1:]:
            self._report(statement)


def _value(key: str) -> Callable[[_Instance, _Statement], None]:
    return lambda instance, statement: instance._put(key, statement)


_HANDLERS: dict[str, Callable[[_Instance, _Statement], None]] = {
    "interface": _value("interface"),
    "virtual_router_id": _value("vhid"),
    "unicast_src_ip": _value("srcip"),
    "mcast_src_ip": _value("srcip"),
    "down_timer_adverts": _value("deadratio"),
    "garp_master_refresh": _value("announce_interval"),
    "dont_track_primary": lambda instance, _: instance._flag("ignoreifstate"),
    "priority": _Instance._priority,
    "advert_int": _Instance._interval,
    "authentication": _Instance._authentication,
    "virtual_ipaddress": _Instance._addresses,
    "virtual_ipaddress_excluded": _Instance._addresses,
    "unicast_peer": _Instance._peers,
    "state": _Instance._state,
    "nopreempt": _Instance._no_preempt,
    "preempt": _Instance._preempt,
    "use_vmac": _Instance._vmac,
}
