"""Compile the catalogues of messages, as a command and whenever the package is built.

Compiled catalogues are therefore not kept in the repository.  `make locales` updates
the template and the catalogues from the sources with Babel's commands, whose settings
are in setup.cfg.
"""

from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

DIRECTORY = Path(__file__).resolve().parents[1] / "locale"


class BuildPy(build_py):
    """Compiles the catalogues before setuptools collects the files of the package."""

    def run(self) -> None:
        compile_all()
        super().run()


class Sdist(sdist):
    """Compiles the catalogues for a source archive.

    Its files can be run without a build, so they must include compiled catalogues.
    """

    def run(self) -> None:
        compile_all()
        super().run()


def compile_all() -> None:
    """Write a .mo file beside every .po file.

    Messages whose translation is missing or fuzzy stay English.
    """
    for path in sorted(DIRECTORY.glob("*/LC_MESSAGES/*.po")):
        with path.open("rb") as source, path.with_suffix(".mo").open("wb") as target:
            write_mo(target, read_po(source, locale=path.parents[1].name))


if __name__ == "__main__":
    compile_all()
