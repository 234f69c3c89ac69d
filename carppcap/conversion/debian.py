"""Converts the `ucarp-*` lines of Debian's /etc/network/interfaces.

    iface eth0 inet static
        address 10.1.1.1/24
        ucarp-vid 42
        ucarp-vip 10.1.1.252
        ucarp-password secret

    iface eth0:ucarp inet static
        address 10.1.1.252/24

The second stanza is what Debian's scripts bring up and down; carppcap sets the address
without it.  Debian's hook runs ucarp with `-B -z`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from carppcap.configuration.keys import KEYS
from carppcap.conversion.result import Conversion, Source
from carppcap.conversion.ucarp import keep_scripts

_KEYS = {
    "vid": "vhid",
    "vip": "addr",
    "password": "pass",
    "passfile": "passfile",
    "upscript": "upscript",
    "downscript": "downscript",
    "advskew": "advskew",
    "advbase": "advbase",
    "deadratio": "deadratio",
    "nomcast": "nomcast",
    "master": "preempt",
    "xparam": "xparam",
    "facility": "facility",
}
_NO = ("no", "off", "false", "0", "")
_STANZAS = ("auto", "allow-", "iface", "mapping", "source", "no-auto-down", "template")


@dataclass(slots=True)
class _Stanza:
    """An `iface` stanza: the number, the word and the value of each of its lines."""

    interface: str
    path: str
    line: int
    lines: list[tuple[int, str, str]] = field(default_factory=list)

    def value(self, word: str) -> str:
        return next((value for _, key, value in self.lines if key == word), "")

    @property
    def network(self) -> tuple[str, int | None]:
        """The address, and the length of its prefix; None if it has none."""
        address, _, length = self.value("address").partition("/")
        length = length or self.value("netmask")
        try:
            return address, IPv4Network(f"0.0.0.0/{length}").prefixlen
        except ValueError:
            return address, None


def convert(sources: Sequence[Source]) -> Conversion:
    """Return a group for each `iface` stanza in `sources` that has `ucarp-vid`."""
    result = Conversion()
    stanzas = [found for source in sources for found in _stanzas(source)]
    for stanza in stanzas:
        if stanza.value("ucarp-vid"):
            _add_group(result, stanza, stanzas)
        elif not stanza.interface.endswith(":ucarp"):
            _report(result, stanza, "ucarp-")
    return result


def _stanzas(source: Source) -> Iterator[_Stanza]:
    stanza: _Stanza | None = None
    for number, line in source.lines():
        word, *rest = line.split(None, 1) or [""]
        value = rest[0].strip() if rest else ""
        if not word or word.startswith("#"):
            continue
        if word.startswith(_STANZAS):
            if stanza is not None:
                yield stanza
            stanza = None
            if word == "iface":
                stanza = _Stanza(
                    value.split(None, 1)[0] if value else "", source.path, number
                )
        elif stanza is not None:
            stanza.lines.append((number, word, value))
    if stanza is not None:
        yield stanza


def _add_group(result: Conversion, stanza: _Stanza, stanzas: Sequence[_Stanza]) -> None:
    path = stanza.path
    draft = result.draft(f"vip-{stanza.value('ucarp-vid')}", path, stanza.line)
    result.put(draft, "interface", stanza.interface, path, stanza.line)
    address, _ = stanza.network
    if address:
        result.put(draft, "srcip", address, path, stanza.line)
    alias = next(
        (s for s in stanzas if s.interface == f"{stanza.interface}:ucarp"), None
    )
    for line, word, value in stanza.lines:
        key = _KEYS.get(word.removeprefix("ucarp-"))
        if not word.startswith("ucarp-"):
            continue
        if key is None:
            result.without_counterpart(path, line, f"{word} {value}")
        elif key in ("preempt", "nomcast"):
            if value.lower() not in _NO:
                draft.values[key] = True
        elif KEYS[key].is_global:
            result.top.setdefault(key, value)
        elif key == "addr":
            prefix = alias.network[1] if alias is not None else None
            with_prefix = f"{value}/{prefix}" if prefix is not None else value
            result.put(draft, key, with_prefix, path, line)
        else:
            result.put(draft, key, value, path, line)
    draft.values["shutdown"] = True
    keep_scripts(draft)
    if alias is not None:
        _report(result, alias, "")


def _report(result: Conversion, stanza: _Stanza, beginning: str) -> None:
    """Report what is in a stanza, apart from its address, and begins like this."""
    for line, word, value in stanza.lines:
        if word.startswith(beginning) and word not in ("address", "netmask"):
            result.without_counterpart(stanza.path, line, f"{word} {value}")
