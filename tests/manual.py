"""The option lists of the manual pages, made from the option tables.

    python -m tests.manual

rewrites the lists in carppcap/man; `make docs` does so first.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap

from carppcap.commands.check import CHECK_OPTIONS
from carppcap.commands.convert import CONVERT_OPTIONS
from carppcap.commands.init import INIT_OPTIONS
from carppcap.configuration.keys import KEYS, description
from carppcap.options.table import OPTIONS, Option
from carppcap.replay.command import REPLAY_OPTIONS
from carppcap.simulation.command import ROWS
from tests.tables import replace_between

MAN = Path(__file__).resolve().parents[1] / "carppcap" / "man"

PAGES: dict[str, tuple[Option, ...]] = {
    "carppcap.8": OPTIONS,
    "carppcap-check.1": CHECK_OPTIONS,
    "carppcap-convert.1": CONVERT_OPTIONS,
    "carppcap-init.1": INIT_OPTIONS,
    "carppcap-replay.1": REPLAY_OPTIONS,
    "carppcap-simulate.1": ROWS,
    "carppcap.toml.5": (),
}
"""The options whose list each page has between its markers.  That of the configuration
file has keys."""

WIDTH = 78

SYSTEMS = {"FreeBSD": "Fx", "NetBSD": "Nx", "OpenBSD": "Ox"}


def with_list(page: str, text: str) -> str:
    """Return the text of `page` with its list of options as the table has it."""
    return replace_between(text, "options", "".join(f"{x}\n" for x in items(page)))


def items(page: str) -> Iterator[str]:
    """The lines of the list of options in `page`, in mdoc(7)."""
    yield ".Bl -tag -width Ds"
    if page == "carppcap.toml.5":
        yield from _keys()
    for row in PAGES[page]:
        short = f"Fl {row.short} , " if row.short else ""
        value = f" Ns = Ns Ar {row.metavar}" if row.metavar else ""
        yield f".It {short}Fl -{row.long}{value}"
        for sentence in _sentences(f"{row.help[0].upper()}{row.help[1:]}.", row.detail):
            yield from _mdoc(sentence, row.metavar)
    yield ".El"


def _keys() -> Iterator[str]:
    """The keys of the configuration file, those about the whole daemon last."""
    for key in sorted(KEYS.values(), key=lambda key: key.is_global):
        metavar = key.option.metavar
        yield f".It Ic {key.name}" + (f" No = Ar {metavar}" if metavar else "")
        text = description(key.name)
        yield from _mdoc(f"{text[0].upper()}{text[1:]}.", metavar)
        if key.is_global:
            yield "About the whole daemon."


def _sentences(*texts: str) -> Iterator[str]:
    for text in texts:
        yield from re.split(r"(?<=\.) (?=[A-Z])", text) if text else ()


def _mdoc(sentence: str, metavar: str) -> Iterator[str]:
    """The lines of one sentence, with macros for options, values and systems."""
    marks = [
        (r"(?<=See )[A-Z]+(?: [A-Z]+)*", r"Sx \g<0>"),
        (r"\bSIG[A-Z0-9]+\b", r"Dv \g<0>"),
        (r"(?<![\w-])-(-[a-z][a-z-]*)", r"Fl \1"),
        *((rf"\b{name}\b", macro) for name, macro in SYSTEMS.items()),
    ]
    if metavar:
        marks.append((rf"\b{metavar}\b", r"Ar \g<0>"))
    for pattern, macro in marks:
        sentence = re.sub(pattern, rf"\0{macro}\0", sentence)
    plain, *rest = sentence.split("\0")
    yield from wrap(plain, WIDTH)
    for macro, after in zip(rest[::2], rest[1::2], strict=True):
        plain = after.lstrip(".,;:)")
        punctuation = after[: len(after) - len(plain)]
        yield " ".join((f".{macro}", *punctuation))
        yield from wrap(plain.strip(), WIDTH)


def main(pages: Iterable[str] = PAGES) -> int:
    for page in pages:
        path = MAN / page
        path.write_text(with_list(page, path.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
