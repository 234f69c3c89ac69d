"""Compile the catalogues of messages.

This happens when the module is run as a command, and whenever setuptools builds the
package, so the repository need not contain compiled catalogues.  `make locales` updates
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
    """Compiles the catalogues before setuptools makes a source archive.

    The files of the archive can be run without a build, so compiled catalogues must be
    among them.
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
