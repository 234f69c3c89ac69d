"""The command `carppcap convert`: a configuration file from those of others."""

import sys
from collections.abc import Sequence
from typing import Any

from carppcap.commands.files import read_text, write_text
from carppcap.commands.sources import addresses_of, source_for, way_to
from carppcap.configuration.render import Draft, render, visible
from carppcap.conversion.formats import FORMATS, format_of
from carppcap.conversion.result import Conversion, Remark, Source
from carppcap.errors import N_, ConfigError, LinkError
from carppcap.options.command_line import parse_values
from carppcap.options.parsers import plain_text
from carppcap.options.table import Option
from carppcap.text.help import convert_usage
from carppcap.text.i18n import translate_error


def _format(text: str, what: str) -> str:
    if text not in FORMATS:
        words = ", ".join(FORMATS)
        wrong = N_("Unknown word: [{text}] for {what} (allowed: {words})")
        raise ConfigError(wrong, text=text, what=what, words=words)
    return text


CONVERT_OPTIONS = (
    Option("", "from", "format", _format, "FORMAT", N_("format of the files: ucarp, debian, fedora or keepalived (default: what they look like)"), ucarp=False),
    Option("", "output", "output", plain_text, "FILE", N_("write to FILE (default: standard output)"), ucarp=False),
    Option("", "force", "force", None, "", N_("replace a FILE that is there already"), ucarp=False),
    Option("h", "help", "help", None, "", N_("show this help"), ucarp=False),
)  # fmt: skip
"""The options of the command."""


def convert(arguments: Sequence[str]) -> int:
    """Run `carppcap convert` with `arguments`; return its exit status.

    Raises `ConfigError` if the arguments are wrong, and `LinkError` if a file cannot be
    read or written, or has nothing that can be converted.
    """
    values, words = parse_values(arguments, CONVERT_OPTIONS)
    if values.get("help") or not arguments:
        print(convert_usage(CONVERT_OPTIONS), flush=True)
        return 0
    if not words:
        raise ConfigError("You must supply a file to convert (see --help)")
    sources = [Source(path, read_text(path)) for path in words]
    result = _converted(sources, values)
    for draft in result.drafts:
        _complete(draft, result)
    text = render(_head(sources, result), result.top, result.drafts)
    write_text(values.get("output"), text, mode=0o600, force=values.get("force", False))
    for remark in result.remarks:
        print(_shown(remark, translate_error(remark.error)), file=sys.stderr)
    return 0


def _converted(sources: Sequence[Source], values: dict[str, Any]) -> Conversion:
    name = values.get("format") or format_of(sources)
    result = None if name is None else FORMATS[name](sources)
    if result is None or not result.drafts:
        raise LinkError(
            "{path}: no group in it that could be converted (--from names its format)",
            path=sources[0].path,
        )
    return result


def _complete(draft: Draft, result: Conversion) -> None:
    """Add the interface and the source address that this host has, if they are missing.

    If this host has no such address, a remark says that it has to be written.
    ucarp takes the first interface; scripts often ask the kernel for the address.
    """
    addresses = addresses_of(draft)
    way = None if "interface" in draft.values else way_to(addresses)
    if way is not None:
        draft.values["interface"] = way.interface
        draft.comment("interface", "As this host has it; it was not given.")
    interface = f"{draft.values.get('interface', '')}"
    source = source_for(interface, addresses)
    if "srcip" in draft.values:
        return
    if source is None and interface and any(a.version == 4 for a in addresses):
        result.remark(
            *result.places[draft.name],
            ConfigError(
                "{interface} has no IPv4 address on this host: write the srcip of "
                "[group.{group}]",
                interface=interface,
                group=draft.name,
            ),
        )
    if source is not None:
        draft.values["srcip"] = [f"{source}"]
        draft.comment("srcip", "As this host has it; it was not given.")


def _head(sources: Sequence[Source], result: Conversion) -> list[str]:
    paths = ", ".join(source.path for source in sources)
    head = [f"Made by `carppcap convert` from {paths}."]
    if result.remarks:
        head.append("Not as it was there:")
    return head + [_shown(remark, f"{remark.error}") for remark in result.remarks]


def _shown(remark: Remark, text: str) -> str:
    return f"{remark.path}:{remark.line}: {visible(text)}"
