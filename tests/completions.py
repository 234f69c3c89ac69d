"""The completions of shells, made from the option tables.

    python -m tests.completions

rewrites the files in carppcap/completions; `make docs` does so first.
"""

import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from carppcap.commands.check import CHECK_OPTIONS
from carppcap.commands.convert import CONVERT_OPTIONS
from carppcap.commands.init import INIT_OPTIONS
from carppcap.election.config import GuardMode, SourceMac
from carppcap.options.parsers import FACILITIES, NO_SYSLOG
from carppcap.options.settings import OnConflict
from carppcap.options.table import OPTIONS, Option
from carppcap.replay.command import REPLAY_OPTIONS
from carppcap.simulation.command import ROWS

DIRECTORY = Path(__file__).resolve().parents[1] / "carppcap" / "completions"

COMMANDS: dict[str, Sequence[Option]] = {
    "replay": (*REPLAY_OPTIONS, *OPTIONS),
    "simulate": ROWS,
    "run": (),
    "check": CHECK_OPTIONS,
    "init": (*INIT_OPTIONS, *OPTIONS),
    "convert": CONVERT_OPTIONS,
}
"""The commands beside the daemon, each with its options."""

HEAD = "Made by `make docs` from the option tables."

WORDS = {
    "source_mac": [member.value for member in SourceMac],
    "on_conflict": [member.value for member in OnConflict],
    "replay_guard": [member.value for member in GuardMode],
    "facility": [*FACILITIES, NO_SYSLOG],
}
"""The words that may be the value of an option, by its field."""

INTERFACES = "command ls /sys/class/net"
FILE, INTERFACE = "FILE", "IF"


def _names(rows: Sequence[Option]) -> list[str]:
    """The names of the options as they are offered: those with a value end in `=`."""
    return [f"--{row.long}{'=' if row.metavar else ''}" for row in rows]


def _pattern(rows: Sequence[Option]) -> str:
    """The pattern of a `case` of bash for the names of `rows`."""
    short = [f"-{row.short}" for row in rows if row.short]
    return "|".join(dict.fromkeys(short + [f"--{row.long}" for row in rows]))


def bash() -> Iterator[str]:
    """The lines for bash."""
    every = (*OPTIONS, *(row for rows in COMMANDS.values() for row in rows))
    files = [row for row in every if row.metavar == FILE]
    interfaces = [row for row in every if row.metavar == INTERFACE]
    others = [
        row
        for row in every
        if row.metavar not in ("", FILE, INTERFACE) and row.field not in WORDS
    ]
    yield f"# {HEAD}"
    yield "_carppcap() {"
    yield "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}"
    yield "    # bash takes --name=value apart into three words."
    yield "    if [[ $cur == = ]]; then"
    yield "        cur="
    yield "    elif [[ $prev == = ]]; then"
    yield "        prev=${COMP_WORDS[COMP_CWORD-2]}"
    yield "    fi"
    yield "    COMPREPLY=()"
    yield "    case $prev in"
    yield f"    {_pattern(interfaces)})"
    yield f'        COMPREPLY=($(compgen -W "$({INTERFACES})" -- "$cur"))'
    yield "        return ;;"
    yield f"    {_pattern(files)})"
    yield "        compopt -o filenames"
    yield '        mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
    yield "        return ;;"
    for field, words in WORDS.items():
        yield f"    {_pattern([row for row in OPTIONS if row.field == field])})"
        yield f'        COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$cur"))'
        yield "        return ;;"
    yield f"    {_pattern(others)})"
    yield "        return ;;"
    yield "    esac"
    yield "    if [[ $cur == -* ]]; then"
    yield "        local options"
    yield "        case ${COMP_WORDS[1]} in"
    for name, rows in COMMANDS.items():
        yield f'        {name}) options="{" ".join(_names(rows))}" ;;'
    yield f'        *) options="{" ".join(_names(OPTIONS))}" ;;'
    yield "        esac"
    yield '        COMPREPLY=($(compgen -W "$options" -- "$cur"))'
    yield "        [[ ${COMPREPLY-} == *= ]] && compopt -o nospace"
    yield "    elif [[ $COMP_CWORD == 1 ]]; then"
    yield f'        COMPREPLY=($(compgen -W "{" ".join(COMMANDS)}" -- "$cur"))'
    yield f"    elif [[ ${{COMP_WORDS[1]}} == @({'|'.join(COMMANDS)}) ]]; then"
    yield "        compopt -o filenames"
    yield '        mapfile -t COMPREPLY < <(compgen -f -- "$cur")'
    yield "    fi"
    yield "}"
    yield "complete -F _carppcap carppcap"


def _zsh_specs(rows: Sequence[Option]) -> Iterator[str]:
    for row in rows:
        text = re.sub(r"[][:\\]", r"\\\g<0>", row.help)
        value = ""
        if row.metavar:
            action = {FILE: "_files", INTERFACE: f"($({INTERFACES}))"}.get(
                row.metavar, f"({' '.join(WORDS.get(row.field, ()))})"
            )
            value = f":{row.metavar}:{'' if action == '()' else action}"
        for name in (f"-{row.short}", f"--{row.long}"):
            if name != "-":
                sign = "" if not value else "=" if name.startswith("--") else "+"
                yield shlex.quote(f"*{name}{sign}[{text}]{value}")


def zsh() -> Iterator[str]:
    """The lines for zsh."""
    yield "#compdef carppcap"
    yield f"# {HEAD}"
    yield "if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then"
    yield f"    compadd {' '.join(COMMANDS)}"
    yield "    return"
    yield "fi"
    yield "case $words[2] in"
    for name, rows in (*COMMANDS.items(), ("*", OPTIONS)):
        yield f"{name})"
        if name != "*":
            yield "    shift words; (( CURRENT-- ))"
        yield "    _arguments -s -S \\"
        for spec in _zsh_specs(rows):
            yield f"        {spec} \\"
        yield "        '*:FILE:_files' ;;" if name != "*" else "        ;;"
    yield "esac"


def fish() -> Iterator[str]:
    """The lines for fish."""
    commands = " ".join(COMMANDS)
    yield f"# {HEAD}"
    daemon = f"not __fish_seen_subcommand_from {commands}"
    yield f"complete -c carppcap -n '{daemon}' -f -a '{commands}'"
    for name, rows in (("", OPTIONS), *COMMANDS.items()):
        when = f"__fish_seen_subcommand_from {name}" if name else daemon
        for row in rows:
            words = ["complete", "-c", "carppcap", "-n", when]
            words += ["-s", row.short] if row.short else []
            words += ["-l", row.long]
            if row.metavar == FILE:
                words += ["-r", "-F"]
            elif row.metavar:
                words += ["-x"]
            if row.metavar == INTERFACE:
                words += ["-a", f"({INTERFACES})"]
            elif row.field in WORDS:
                words += ["-a", " ".join(WORDS[row.field])]
            quoted = (_fish_word(word) for word in (*words, "-d", row.help))
            yield " ".join(quoted)


def _fish_word(word: str) -> str:
    if word.replace("-", "").isalnum():
        return word
    return "'" + word.replace("\\", "\\\\").replace("'", "\\'") + "'"


FILES: dict[str, Callable[[], Iterator[str]]] = {
    "carppcap.bash": bash,
    "_carppcap": zsh,
    "carppcap.fish": fish,
}


def content(name: str) -> str:
    """Return what the file `name` has to contain."""
    return "".join(f"{line}\n" for line in FILES[name]())


def main() -> int:
    for name in FILES:
        DIRECTORY.joinpath(name).write_text(content(name), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
