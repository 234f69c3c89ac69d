"""Converts command lines of ucarp and carppcap, as in scripts and units.

    /usr/sbin/ucarp -i eth0 -s 10.1.1.1 -v 42 -o /etc/vip.pass -a 10.1.1.252 \\
        -u /etc/vip-up.sh -d /etc/vip-down.sh -z -B &

Each line with the word `ucarp` or `carppcap` is a group; lines may go on after a
backslash.  What stands before that word and after a `;`, `&`, `|`, `<` or `>` belongs
to the shell.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from posixpath import basename

from carppcap.configuration.keys import KEYS, key_of
from carppcap.configuration.render import Draft
from carppcap.conversion.result import OWN_ADDRESSES_HINT, Conversion, Source
from carppcap.errors import ConfigError
from carppcap.options.command_line import Given, split
from carppcap.options.table import OPTIONS

_PROGRAMS = frozenset(("ucarp", "carppcap"))
_CALL = re.compile(r"(^|[\s/=\"'])(ucarp|carppcap)\s+-")
_SHELL = frozenset((";", "&", "&&", "||", "|", ">", ">>", "<", "2>", "2>&1", "&>"))


def convert(sources: Sequence[Source]) -> Conversion:
    """Return a group for each command line in `sources`."""
    result = Conversion()
    for source in sources:
        path = source.path
        for line, command in command_lines(source):
            try:
                words = words_of(command)
                given, others = split(words, OPTIONS)
            except ConfigError as error:
                _lose(result, path, line, error)
                continue
            except ValueError as error:
                _lose(result, path, line, ConfigError("{why}", why=error))
                continue
            add_group(result, given, path, line)
            for word in others:
                result.without_counterpart(path, line, word)
    return result


def _lose(result: Conversion, path: str, line: int, error: ConfigError) -> None:
    """Add remarks that because of `error` a line gives no group."""
    result.remark(path, line, error)
    result.remark(path, line, ConfigError("this line was not converted"))


def command_lines(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that calls ucarp or carppcap."""
    for number, line in source.lines():
        is_comment = line.lstrip().startswith(("#", ";"))
        if not is_comment and _CALL.search(line):
            yield number, line


def words_of(command: str) -> list[str]:
    """Return the arguments in a command line.

    Raises `ValueError` for a quote that is not closed, and `ConfigError` if the command
    is inside a quote.
    """
    words = shlex.split(command, comments=True)
    for position, word in enumerate(words):
        if basename(word.rpartition("=")[2]) in _PROGRAMS:
            words = words[position + 1 :]
            break
    else:
        raise ConfigError("cannot understand this command (allowed: ucarp -OPTIONS)")
    for position, word in enumerate(words):
        if word in _SHELL or word.startswith((">", "<", "2>")):
            return words[:position]
        if word.endswith(";"):
            return [*words[:position], word[:-1]]
    return words


def add_group(
    result: Conversion, given: Sequence[Given], path: str, line: int
) -> Draft:
    """Add the group that these options describe; return it."""
    texts = {key_of(row): text for row, _, text in given}
    name = f"vip-{texts['vhid']}" if "vhid" in texts else "vip"
    draft = result.draft(name, path, line)
    for row, _, text in given:
        key = KEYS.get(key_of(row))
        if key is None:
            continue
        if row.field == "daemonize":
            result.remark(
                path,
                line,
                ConfigError("-B is left out: a service manager starts the daemon"),
            )
        elif "$" in text and row.parse is not None:
            result.remark(
                path,
                line,
                ConfigError(
                    "the shell has the value of {key}: {text}", key=key.name, text=text
                ),
            )
        elif key.is_global:
            whole = Draft("", result.top)
            result.put(whole, key.name, text, path, line)
        else:
            result.put(draft, key.name, text, path, line)
    keep_scripts(draft)
    return draft


def keep_scripts(draft: Draft) -> None:
    """Leave the addresses of a group to its scripts, if it has any."""
    keys = draft.values.keys()
    if keys & {"upscript", "downscript"} and not keys & {"own_addresses", "vmac"}:
        draft.values["own_addresses"] = False
        draft.comment("own_addresses", OWN_ADDRESSES_HINT)
