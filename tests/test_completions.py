"""Completions of shells: up to date, and what the shells themselves make of them."""

import shlex
import shutil
import subprocess

import pytest

from carppcap.options.table import OPTIONS
from tests.completions import DIRECTORY, FILES, WORDS, content

BASH = """
source "$0"
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
compopt() { :; }
_carppcap
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete_in_bash(words: list[str]) -> list[str]:
    """What bash offers for the last of `words`, which it has taken apart at `=`."""
    script = str(DIRECTORY / "carppcap.bash")
    shown = subprocess.run(
        ["bash", "--norc", "-c", BASH, script, *words],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stderr == ""
    return shown.stdout.split()


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell} here")


@pytest.mark.parametrize("name", FILES)
def test_completions_are_those_of_the_tables(name: str) -> None:
    """`make docs` brings them up to date."""
    assert DIRECTORY.joinpath(name).read_text("utf-8") == content(name)


def test_every_choice_has_its_words() -> None:
    """An option whose value is a word from a list completes to that list."""
    choices = [row.field for row in OPTIONS if "choice" in repr(row.parse)]

    assert choices
    assert set(choices) <= set(WORDS)


@needs("bash")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("carppcap --own", "--own-addresses"),
        ("carppcap --src", "--srcip="),
        ("carppcap -i l", "lo"),
        ("carppcap --interface = l", "lo"),
        ("carppcap --vhid=1 --source-mac =", "virtual bsd real"),
        ("carppcap --facility = non", "none"),
        ("carppcap --vhid =", ""),
        ("carppcap --passfile /etc/passw", "/etc/passwd"),
        ("carppcap re", "replay"),
        ("carppcap simulate --nod", "--nodes= --node="),
        ("carppcap replay --wri", "--write="),
        ("carppcap replay /etc/hostnam", "/etc/hostname"),
        ("carppcap --nodes", ""),
    ],
)
def test_bash(line: str, expected: str) -> None:
    """Names, values from a list, interfaces, files, and the options of each command."""
    found = complete_in_bash(shlex.split(line))

    assert [word for word in found if not word.startswith("/etc/passwd-")] == (
        expected.split()
    )


@needs("fish")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("carppcap --own", ["--own-addresses"]),
        ("carppcap --source-mac=r", ["--source-mac=real"]),
        ("carppcap simulate --node", ["--node", "--nodes"]),
    ],
)
def test_fish(line: str, expected: list[str]) -> None:
    """What fish offers, without its descriptions."""
    script = shlex.quote(str(DIRECTORY / "carppcap.fish"))
    shown = subprocess.run(
        ["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert sorted(
        row.split("\t")[0].rstrip("=") for row in shown.stdout.splitlines()
    ) == (expected)


ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; fpath=({directory} \\$fpath); autoload -U compinit; compinit -u -D"
zpty -w z "LISTMAX=1000; print rea''dy"
zpty -r -m z seen '*ready*'
zpty -w -n z {line}$'\\t'
zpty -r -m z seen '*{expected}*'
print -r -- $seen
zpty -d z
"""


@needs("zsh")
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("carppcap --own", "--own-addresses"),
        ("carppcap --source-mac=re", "--source-mac=real"),
        ("carppcap simulate --quie", "--quiet"),
    ],
)
def test_zsh(line: str, expected: str) -> None:
    """What zsh makes of the line at the tabulator, at a terminal."""
    script = ZSH.format(directory=DIRECTORY, line=shlex.quote(line), expected=expected)
    shown = subprocess.run(
        ["zsh", "-f", "-c", script],
        check=True,
        timeout=30,
        capture_output=True,
        text=True,
    )

    assert expected in shown.stdout
