"""Converts Fedora's files /etc/ucarp/vip-common.conf and vip-NUMBER.conf.

They are assignments of the shell; those of vip-common.conf hold for all.  The number in
the name of the other files is the vhid.

    VIP_ADDRESS="10.1.1.252"
    BIND_INTERFACE="eth0"
    SOURCE_ADDRESS="10.1.1.1"
    PASSWORD="secret"
    OPTIONS="--shutdown --preempt"
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from posixpath import basename
from typing import NamedTuple

from carppcap.conversion.result import Conversion, Source
from carppcap.conversion.ucarp import add_group
from carppcap.errors import ConfigError
from carppcap.options.command_line import split
from carppcap.options.table import OPTIONS

_OPTIONS = {
    "BIND_INTERFACE": "--interface",
    "SOURCE_ADDRESS": "--srcip",
    "VIP_ADDRESS": "--addr",
    "ID": "--vhid",
    "PASSWORD": "--pass",
    "PASSFILE": "--passfile",
    "UPSCRIPT": "--upscript",
    "DOWNSCRIPT": "--downscript",
}
_FEDORAS_SCRIPTS = ("/usr/libexec/ucarp/vip-up", "/usr/libexec/ucarp/vip-down")


class _Assignment(NamedTuple):
    path: str
    line: int
    name: str
    value: str


def convert(sources: Sequence[Source]) -> Conversion:
    """Return a group for each of `sources` that is not vip-common.conf."""
    result = Conversion()
    common = [s for s in sources if basename(s.path).startswith("vip-common")]
    defaults = [found for source in common for found in _assignments(result, source)]
    for source in sources:
        if source not in common:
            _add_group(result, source, defaults)
    return result


def _assignments(result: Conversion, source: Source) -> Iterator[_Assignment]:
    for line, text in source.lines():
        plain = text.strip()
        if not plain or plain.startswith("#"):
            continue
        found = re.fullmatch(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)", plain)
        try:
            words = shlex.split(found[2], comments=True) if found else []
        except ValueError:
            found = None
        if found is None or len(words) > 1:
            result.without_counterpart(source.path, line, plain)
        else:
            yield _Assignment(source.path, line, found[1], "".join(words))


def _add_group(
    result: Conversion, source: Source, defaults: Sequence[_Assignment]
) -> None:
    own = list(_assignments(result, source))
    by_name = {each.name: each for each in (*defaults, *own)}
    words: list[str] = []
    number = re.search(r"vip-(\d{1,3})\.conf", basename(source.path))
    if number and "ID" not in by_name:
        words += ["--vhid", f"{int(number[1])}"]
    for name, (path, line, _, value) in by_name.items():
        if name == "OPTIONS":
            words += value.split()
        elif name in _OPTIONS:
            # Fedora's scripts only set the address.
            if value and value not in _FEDORAS_SCRIPTS:
                # The shell script compares numbers with zeros before them: 001.
                plain = value.lstrip("0") if name == "ID" else value
                words += [f"{_OPTIONS[name]}={plain}"]
        else:
            result.without_counterpart(path, line, f"{name}={value}")
    try:
        given, others = split(words, OPTIONS)
    except ConfigError as error:
        result.remark(source.path, 1, error)
        return
    add_group(result, given, source.path, 1)
    for word in others:
        result.without_counterpart(source.path, 1, word)
