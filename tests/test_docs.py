"""The documents: complete, well-formed, and true where a test can tell."""

import re
import shlex
import shutil
import subprocess
import sys
from ipaddress import IPv4Address
from pathlib import Path

import pytest

import carppcap
from carppcap.election.actions import SendSolicitation
from carppcap.node.counter import CounterSequence
from carppcap.node.egress import Egress
from carppcap.units import NS_PER_S
from carppcap.wire.auth import Key
from tests.builders import config
from tests.manual import MAN, PAGES, with_list
from tests.render import MANUALS, ROOT, lint_manual, main, render_manual, render_page
from tests.render import PAGES as RST_PAGES
from tests.tables import replace_between

README = ROOT / "README.rst"
CHANGELOG = ROOT / "CHANGELOG.rst"
README_LINES_MAX = 250

DOCUMENTS = [*RST_PAGES, *MANUALS]

needs_mandoc = pytest.mark.skipif(
    shutil.which("mandoc") is None, reason="mandoc is not installed"
)


def name(value: object) -> str:
    """A document by its path, a text by its beginning."""
    if isinstance(value, Path):
        return str(value.relative_to(ROOT))
    return str(value)[:40]


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


def sections(manual: Path) -> set[str]:
    """The titles of the sections and subsections of a manual page."""
    titles = re.findall(r"^\.S[hs] (.*)$", manual.read_text("utf-8"), re.MULTILINE)
    return {title.removeprefix("\\&") for title in titles}


def dead_references(document: Path) -> set[str]:
    """What `document` names that does not exist: links, pages, sections, files."""
    text = document.read_text("utf-8")
    here = document.parent
    targets = re.findall(r"<([^<>\s]+)>`_", text)
    targets += re.findall(r"^\.\. _[^:]+: (\S+)$", text, re.MULTILINE)
    dead = {
        target
        for target in targets
        if not target.startswith("https://")
        and not target.endswith("_")
        and not (here / target).exists()
    }
    pages = set(re.findall(r"(carppcap[\w.-]*)\((\d)\)", text))
    pages |= set(re.findall(r"^\.Xr (carppcap[\w.-]*) (\d)", text, re.MULTILINE))
    dead |= {f"{x}({n})" for x, n in pages if not (MAN / f"{x}.{n}").exists()}
    for title, page, number in re.findall(
        r"\*([A-Z][\w ]+)\*\s+in\s+(carppcap[\w-]*)\((\d)\)", text
    ):
        if title not in sections(MAN / f"{page}.{number}"):
            dead.add(f"{page}({number}), {title}")
    for title in re.findall(r"^\.Sx (?:\\&)?(.*?)(?: [.,;:)])*$", text, re.MULTILINE):
        if title not in sections(document):
            dead.add(title)
    for path in re.findall(r"``([\w.*-]+/[\w./*-]+\.(?:py|rst|toml|txt))``", text):
        if not any(any(top.glob(path)) for top in (ROOT, here, ROOT / "carppcap")):
            dead.add(path)
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"``make (\w+)[^`]*``", text):
        if f"\n{target}:" not in makefile:
            dead.add(f"make {target}")
    for module in re.findall(r"python -m (tests[\w.]*)", text):
        path = ROOT / module.replace(".", "/")
        if not path.with_suffix(".py").exists() and not path.is_dir():
            dead.add(module)
    return dead


@pytest.mark.parametrize("page", PAGES)
def test_list_of_options_is_that_of_the_table(page: str) -> None:
    """`make docs` brings it up to date."""
    text = (MAN / page).read_text("utf-8")

    assert with_list(page, text) == text


def test_readme_is_short() -> None:
    """A page for a person who has never heard of us."""
    assert len(README.read_text("utf-8").splitlines()) <= README_LINES_MAX


@pytest.mark.parametrize("page", RST_PAGES, ids=name)
def test_page_is_well_formed(page: Path) -> None:
    """docutils has nothing to remark, be it as little as an information."""
    assert render_page(page)[1] == ""


@needs_mandoc
@pytest.mark.parametrize("page", MANUALS, ids=name)
def test_manual_is_well_formed(page: Path) -> None:
    """Not even a question of style."""
    assert lint_manual(page) == []


@needs_mandoc
def test_manual_links_to_our_pages_and_to_those_of_others() -> None:
    """A file beside it, or Debian's collection."""
    html = render_manual(MAN / "carppcap-replay.1")

    assert 'href="carppcap.8"' in html
    assert 'href="https://manpages.debian.org/tcpdump.8"' in html


@needs_mandoc
def test_everything_is_rendered_with_links_that_lead_somewhere(tmp_path: Path) -> None:
    """`make docs`: every relative link of the HTML has its file."""
    assert main(tmp_path) == 0

    for page in tmp_path.rglob("*.html"):
        for target in re.findall(r'href="([^":#]+)["#]', page.read_text("utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_document_names_only_what_exists(document: Path) -> None:
    """Links, manual pages and their sections, files, make targets, modules."""
    assert dead_references(document) == set()


@pytest.mark.parametrize(
    "text",
    [
        "see `there <missing/README.rst>`_\n",
        ".. _there: missing.rst\n",
        "see carppcap-missing(1)\n",
        ".Xr carppcap-missing 1\n",
        "see *MISSING* in carppcap(8)\n",
        ".Sx MISSING .\n",
        "see ``tests/missing.py``\n",
        "run ``make missing``\n",
        "run ``python -m tests.missing``\n",
    ],
)
def test_dead_reference_is_found(text: str, tmp_path: Path) -> None:
    """Each kind of reference."""
    document = tmp_path / "page.rst"
    document.write_text(text)

    assert len(dead_references(document)) == 1


def test_newest_entry_of_the_changelog_is_this_version() -> None:
    """A new version tells users why."""
    titles = re.findall(r"^(\d\S*) .*\n-+$", CHANGELOG.read_text("utf-8"), re.MULTILINE)

    assert titles[0] == carppcap.__version__


@pytest.mark.parametrize(
    ("command", "output"),
    [found for page in RST_PAGES for found in examples(page.read_text("utf-8"))],
    ids=name,
)
def test_example_prints_what_it_shows(command: str, output: list[str]) -> None:
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


def test_text_between_markers_is_replaced() -> None:
    """The markers stay, and so does everything around them."""
    text = "a\n.. begin x\nold\n.. end x\nb\n"

    assert replace_between(text, "x", "new\n") == "a\n.. begin x\nnew\n.. end x\nb\n"


@pytest.mark.parametrize("text", ["", ".. begin x\n.. end x\n" * 2])
def test_markers_are_unique(text: str) -> None:
    """A document without them, or with two pairs, is a mistake."""
    with pytest.raises(ValueError, match="pairs of markers named x"):
        replace_between(text, "x", "new\n")


def test_the_solicitation_is_the_one_that_is_shown() -> None:
    """Its bytes stand in the description of the protocol."""
    host = config(
        source=IPv4Address("10.1.1.2"), key=Key(b"love"), advskew=100, advbase=1
    )
    counters = CounterSequence(1_764_399_600 * NS_PER_S, 0, lambda: 0x5E)
    egress = Egress(host, bytes.fromhex("020000000002"), lambda: 0)
    (frame,) = egress.frames(SendSolicitation(counters.draw(0)), 0)

    text = (ROOT / "carppcap" / "wire" / "README.rst").read_text("utf-8")
    assert frame.hex() in text.replace(" ", "").replace("\n", "")
