"""Compile the catalogues of messages, as a command and whenever the package is built.

So no compiled file is kept in the tree.  `make locales` brings template and catalogues
up to date with the sources, by Babel's commands; their settings are in setup.cfg.
"""

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

DIRECTORY = Path(__file__).resolve().parents[1] / "locale"


class BuildPy(build_py):
    """Compile the catalogues before the files of the package are gathered."""

    def run(self) -> None:
        compile_all()
        super().run()


class Sdist(sdist):
    """Compile the catalogues for an archive of the sources, which may run as it is."""

    def run(self) -> None:
        compile_all()
        super().run()


def compile_all() -> None:
    """Write the .mo beside every .po; fuzzy and missing messages stay English."""
    for path in sorted(DIRECTORY.glob("*/LC_MESSAGES/*.po")):
        with path.open("rb") as source, path.with_suffix(".mo").open("wb") as target:
            write_mo(target, read_po(source, locale=path.parents[1].name))


if __name__ == "__main__":
    compile_all()
