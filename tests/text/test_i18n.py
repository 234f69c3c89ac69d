"""Catalogues are complete, and choosing one never fails."""

import re
import subprocess
import sys
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from carppcap.options.table import OPTIONS
from carppcap.replay.command import REPLAY_OPTIONS
from carppcap.simulation.command import ROWS
from carppcap.text import catalogues, i18n
from carppcap.text import help as usage
from tests.shell import ROOT, run

LANGUAGES = ("de", "es", "fr")

every_language = pytest.mark.parametrize("language", LANGUAGES)


TEMPLATE = catalogues.DIRECTORY / "carppcap.pot"


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file)


def catalogue(language: str) -> Catalog:
    return read(catalogues.DIRECTORY / language / "LC_MESSAGES" / "carppcap.po")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The messages of the sources as they are now."""
    path = tmp_path_factory.mktemp("extracted") / "carppcap.pot"
    extract = "from setuptools import setup; setup()"
    command = [sys.executable, "-c", extract, "-q", "extract_messages", "-o", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return read(path)


def messages(catalogue: Catalog) -> set[str]:
    return {str(message.id) for message in catalogue if message.id}


def placeholders(template: str) -> set[str | None]:
    return {
        field for _, field, _, _ in Formatter().parse(template) if field is not None
    }


def options(text: str) -> set[str]:
    """The options that a text names, with one dash or two."""
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of catalogues with a German one, of one message."""
    path = tmp_path / "de" / "LC_MESSAGES" / "carppcap.mo"
    path.parent.mkdir(parents=True)
    german = Catalog(locale="de", charset="utf-8")
    german.add("link is down", "Verbindung unterbrochen")
    with path.open("wb") as file:
        write_mo(file, german)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, []),
        ({"LANG": ""}, []),
        ({"LANG": "C"}, []),
        ({"LANG": "C.UTF-8"}, []),
        ({"LANG": "POSIX"}, []),
        ({"LANG": "en_GB.UTF-8"}, []),
        ({"LANG": "de_AT.UTF-8"}, ["de_AT.UTF-8"]),
        ({"LANG": "de_DE@euro"}, ["de_DE@euro"]),
        ({"LANG": "de_DE", "LC_MESSAGES": "fr_FR"}, ["fr_FR"]),
        ({"LANG": "de_DE", "LC_MESSAGES": "fr_FR", "LC_ALL": "es_ES"}, ["es_ES"]),
        ({"LANG": "de_DE", "LC_ALL": ""}, ["de_DE"]),
        ({"LANG": "de_DE", "LC_ALL": "C"}, []),
        ({"LANG": "de_DE", "LANGUAGE": "fr:es"}, ["fr", "es"]),
        ({"LANG": "de_DE", "LANGUAGE": "fr:en:es"}, ["fr"]),
        ({"LANG": "de_DE", "LANGUAGE": ":"}, ["de_DE"]),
        ({"LANG": "en_US", "LANGUAGE": "fr"}, []),
        ({"LANG": "C", "LANGUAGE": "fr"}, []),
        ({"LANGUAGE": "fr"}, []),
    ],
)
def test_wanted_languages(environment: dict[str, str], expected: list[str]) -> None:
    """The variables count in the order of gettext, and C silences LANGUAGE."""
    assert i18n.wanted_languages(environment) == expected


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ([], "link is down"),
        (["de_AT.UTF-8"], "Verbindung unterbrochen"),
        (["xx", "de"], "Verbindung unterbrochen"),
        (["xx"], "link is down"),
        (["../../etc", "\0"], "link is down"),
    ],
)
def test_load(directory: Path, languages: list[str], expected: str) -> None:
    """The first language with a catalogue is used, English if there is none."""
    assert i18n.load(str(directory), languages)("link is down") == expected


@pytest.mark.parametrize("size", [0, 3, 20, 40, 300])
def test_damaged_catalogue(directory: Path, size: int) -> None:
    """A catalogue cut short or overwritten means English, not an exception."""
    path = directory / "de" / "LC_MESSAGES" / "carppcap.mo"
    path.write_bytes(path.read_bytes()[:size].ljust(size, b"\xff"))

    assert i18n.load(str(directory), ["de"])("link is up") == "link is up"


def test_translate(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """The environment decides; the header of a catalogue is never shown."""
    monkeypatch.setattr(i18n, "DIRECTORY", str(directory))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    i18n._catalogue.cache_clear()
    try:
        translated = [i18n.translate(text) for text in ("link is down", "other", "")]
    finally:
        i18n._catalogue.cache_clear()

    assert translated == ["Verbindung unterbrochen", "other", ""]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("election/config", "A link-layer address has 6 bytes (got {length})"),
        ("options/table", "take over from a live master that is less preferred"),
        ("cli", "Unable to go on: {why}"),
    ],
)
def test_extraction_finds_every_kind_of_message(
    module: str, message: str, extracted: Catalog
) -> None:
    """Errors and rows of the option table, each with its file."""
    found = {message.id: message.locations for message in extracted}

    assert [path for path, _ in found[message]] == [f"carppcap/{module}.py"]


def test_extraction_leaves_out_the_log(extracted: Catalog) -> None:
    """Programs match its lines, so they are English in every locale."""
    found = list(extracted)

    assert not [m for m in found if "script called when going up" in m.id]
    assert not [m for m in found if "carppcap/log/" in str(m.locations)]


def test_template_is_up_to_date(extracted: Catalog) -> None:
    """Run `make locales` when this fails."""
    assert messages(read(TEMPLATE)) == messages(extracted)


def test_the_languages_are_these() -> None:
    """Every catalogue is tested below."""
    found = [
        path.name for path in sorted(catalogues.DIRECTORY.iterdir()) if path.is_dir()
    ]

    assert tuple(found) == LANGUAGES


@every_language
def test_catalogue_has_the_messages_of_the_template(language: str) -> None:
    """Run `make locales` when this fails."""
    assert messages(catalogue(language)) == messages(read(TEMPLATE))


@every_language
def test_every_message_is_translated(language: str) -> None:
    """No message is missing or fuzzy."""
    open_messages = [
        message.id
        for message in catalogue(language)
        if message.id and (not message.string or message.fuzzy)
    ]

    assert open_messages == []


@every_language
def test_translations_keep_the_placeholders(language: str) -> None:
    """A translation is filled with the same values as its original."""
    differing = [
        message.id
        for message in catalogue(language)
        if message.id
        and message.string
        and placeholders(str(message.id)) != placeholders(str(message.string))
    ]

    assert differing == []


@every_language
def test_help_fits_a_terminal(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns stay where they are, and no line is longer than 80 characters."""
    texts = {
        str(message.id): str(message.string)
        for message in catalogue(language)
        if message.id
    }
    monkeypatch.setattr(usage, "translate", texts.__getitem__)
    shown = [
        usage.usage("carppcap"),
        usage.replay_usage((*REPLAY_OPTIONS, *OPTIONS)),
        usage.simulate_usage(ROWS),
    ]

    lines = "\n".join(shown).splitlines()
    assert [line for line in lines if len(line) > 80] == []


@every_language
def test_options_are_not_translated(language: str) -> None:
    """An option must be typed as it is shown."""
    differing = [
        message.id
        for message in catalogue(language)
        if message.id and options(str(message.id)) != options(str(message.string))
    ]

    assert differing == []


def test_the_build_compiles_every_catalogue() -> None:
    """The daemon can load every compiled catalogue."""
    catalogues.compile_all()

    for language in LANGUAGES:
        header = i18n.load(i18n.DIRECTORY, [language])("")
        assert f"Language: {language}\n" in header


def test_a_terminal_without_the_letters() -> None:
    """Letters are escaped where they cannot be shown, as in the log."""
    catalogues.compile_all()

    ended = run("--help", PYTHONIOENCODING="ascii", LC_ALL="de_DE", LANGUAGE="")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "N\\xf6tig: --vhid" in ended.stdout
