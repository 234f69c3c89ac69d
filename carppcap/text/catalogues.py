"""Catalogues of messages: extract, merge, compile.

`make locales` brings the template and all .po files up to date with the sources and
compiles them.  The build hooks below compile them too, wherever the package is
built or installed from, so that no compiled file has to be kept in the tree.
"""

import argparse
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

PACKAGE = Path(__file__).resolve().parent.parent
ROOT = PACKAGE.parent
TEMPLATE = PACKAGE / "locale" / "carppcap.pot"
HEADER = """\
# Template for translations of carppcap.
# Copyright (C) 2026 The carppcap developers
# This file is distributed under the same license as carppcap."""

MARKERS = ("N_", "translate")
"""Functions whose first argument is a message; so is that of our exceptions.

Lines of the log are not translated: programs match them.
"""

_ERROR_CLASS = re.compile(r"^class (\w+Error)\(", re.MULTILINE)
_VOLATILE = re.compile(rb'^"(POT-Creation-Date|Generated-By): .*\n', re.MULTILINE)


class BuildPy(build_py):
    """Compile the catalogues before the files of the package are gathered."""

    def run(self) -> None:
        compile_all()
        super().run()


class Sdist(sdist):
    """The same for an archive of the sources, so that it runs where it is unpacked."""

    def run(self) -> None:
        compile_all()
        super().run()


def catalogue_paths() -> list[Path]:
    """Every .po file of the package."""
    return sorted(TEMPLATE.parent.glob("*/LC_MESSAGES/*.po"))


def read(path: Path) -> Catalog:
    """The catalogue in a .po or .pot file; its language is that of its directory."""
    locale = None if path == TEMPLATE else path.parent.parent.name
    with path.open("rb") as file:
        return read_po(file, locale=locale)


def extract() -> Catalog:
    """Every message of the sources, each with the files it stands in."""
    template = Catalog(
        project="carppcap",
        version=_version(),
        header_comment=HEADER,
        charset="utf-8",
        fuzzy=False,
    )
    template.msgid_bugs_address = ""
    for path, message, comments in _messages():
        template.add(
            message,
            # Without line numbers: they would change with every commit.
            locations=[(path.relative_to(ROOT).as_posix(), 0)],
            auto_comments=comments,
        )
    return template


def update() -> list[Path]:
    """Bring template and catalogues up to date; the files that had to change."""
    template = extract()
    changed = [TEMPLATE] if _write(TEMPLATE, template) else []
    for path in catalogue_paths():
        catalogue = read(path)
        catalogue.update(template)
        if _write(path, catalogue):
            changed.append(path)
    return changed


def compile_all() -> None:
    """Write the .mo beside every .po; unsure and missing messages stay English."""
    for path in catalogue_paths():
        with path.with_suffix(".mo").open("wb") as file:
            write_mo(file, read(path))


def _messages() -> Iterator[tuple[Path, str, list[str]]]:
    errors = _ERROR_CLASS.findall((PACKAGE / "errors.py").read_text("utf-8"))
    keywords = dict.fromkeys((*MARKERS, *errors))
    for path in sorted(PACKAGE.rglob("*.py")):
        for _, message, comments, _ in extract_from_file(
            "python", path, keywords=keywords, comment_tags=("Translators:",)
        ):
            if not isinstance(message, str):
                raise TypeError(f"{path}: plural forms are not used here: {message}")
            yield path, message, comments


def _version() -> str:
    text = (PACKAGE / "__init__.py").read_text("utf-8")
    return text.partition('__version__ = "')[2].partition('"')[0]


def _write(path: Path, catalogue: Catalog) -> bool:
    """Write `catalogue` unless `path` says the same already; whether it did."""
    old = path.read_bytes() if path.exists() else b""
    new = _as_text(catalogue)
    if _VOLATILE.sub(b"", old) == _VOLATILE.sub(b"", new):
        return False
    catalogue.creation_date = datetime.now(UTC)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_as_text(catalogue))
    return True


def _as_text(catalogue: Catalog) -> bytes:
    file = BytesIO()
    write_po(
        file,
        catalogue,
        width=88,
        sort_by_file=True,
        ignore_obsolete=True,  # the history of the file keeps them
        include_lineno=False,
    )
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(prog="catalogues", description=__doc__)
    parser.add_argument("--compile-only", action="store_true")
    if not parser.parse_args().compile_only:
        for path in update():
            print(f"updated {path.relative_to(ROOT)}")
    compile_all()


if __name__ == "__main__":
    main()
