"""The documents: complete, well-formed, and true where a test can tell."""

import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docutils.core import publish_string

import carppcap
from carppcap.options.table import OPTIONS, Option
from carppcap.replay.command import REPLAY_OPTIONS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.rst"
CHANGELOG = ROOT / "CHANGELOG.rst"
MAN_PAGE = ROOT / "carppcap" / "man" / "carppcap.8"

EVERY_OPTION = (*OPTIONS, *REPLAY_OPTIONS)


def literal_blocks(text: str) -> list[list[str]]:
    """The lines of each block behind `::`, without their common indentation."""
    blocks = re.findall(r"::\n\n((?:[ ]+.*\n|\n)+)", text)
    return [
        [line[len(first) :] for line in block.rstrip().splitlines()]
        for block in blocks
        for first in re.findall(r"^ +", block)
    ]


def examples(text: str) -> list[tuple[str, list[str]]]:
    """Each `$ command` in a literal block, and the output below it."""
    found = []
    for block in literal_blocks(text):
        if not block[0].startswith("$ "):
            continue
        joined = "\n".join(block).replace("\\\n", " ")
        command, *output = joined.splitlines()
        found.append((command.removeprefix("$ "), output))
    return found


@pytest.mark.parametrize("row", OPTIONS, ids=lambda row: row.long)
def test_readme_has_a_row_for_every_option(row: Option) -> None:
    """Short name, long name and value, as `--help` shows them."""
    short = f"``-{row.short}``, " if row.short else ""
    value = f"={row.metavar}" if row.metavar else ""

    assert f"* - {short}``--{row.long}{value}``" in README.read_text("utf-8")


@pytest.mark.parametrize("row", REPLAY_OPTIONS, ids=lambda row: row.long)
def test_readme_names_the_options_of_replay(row: Option) -> None:
    """What only `carppcap replay` has is in its section."""
    value = f"={row.metavar}" if row.metavar else ""

    assert f"``--{row.long}{value}``" in README.read_text("utf-8")


@pytest.mark.parametrize("row", EVERY_OPTION, ids=lambda row: row.long)
def test_man_page_has_an_item_for_every_option(row: Option) -> None:
    """Short name, long name and value, as `--help` shows them."""
    short = f"Fl {row.short} , " if row.short else ""
    value = f" Ns = Ns Ar {row.metavar}" if row.metavar else ""

    assert f"\n.It {short}Fl -{row.long}{value}\n" in MAN_PAGE.read_text("utf-8")


@pytest.mark.parametrize("page", [README, CHANGELOG], ids=lambda page: page.name)
def test_page_is_well_formed(page: Path) -> None:
    """docutils has nothing to remark, be it as little as an information."""
    remarks = io.StringIO()
    publish_string(
        page.read_text("utf-8"),
        source_path=str(page),
        writer="html5",
        settings_overrides={
            "report_level": 1,
            "warning_stream": remarks,
            "raw_enabled": False,  # as package indexes have it
            "file_insertion_enabled": False,
        },
    )

    assert remarks.getvalue() == ""


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_man_page_is_well_formed() -> None:
    """Not even a question of style; pages of others may be missing here."""
    lint = subprocess.run(
        ["mandoc", "-T", "lint", "-W", "style", str(MAN_PAGE)],
        capture_output=True,
        text=True,
        check=False,
    )
    remarks = lint.stdout.splitlines()

    assert [line for line in remarks if "referenced manual not found" not in line] == []


def test_newest_entry_of_the_changelog_is_this_version() -> None:
    """Whoever raises the version tells users why."""
    titles = re.findall(r"^(\d\S*) .*\n-+$", CHANGELOG.read_text("utf-8"), re.MULTILINE)

    assert titles[0] == carppcap.__version__


@pytest.mark.parametrize(
    ("command", "output"), examples(README.read_text("utf-8")), ids=lambda x: x[:40]
)
def test_example_in_the_readme_prints_what_it_shows(
    command: str, output: list[str]
) -> None:
    """Every `$ carppcap ...` is run from the top of the tree."""
    program, *arguments = shlex.split(command)
    run = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stdout.splitlines() == output
    assert (run.returncode, run.stderr) == (0, "")
