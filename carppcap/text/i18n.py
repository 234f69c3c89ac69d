"""Messages in the user's language.

The messages in the sources are English.  They stay English if the catalogue of the
user's language is missing or damaged.  No function here raises an error.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile

from carppcap.errors import CarpError

DOMAIN = "carppcap"

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "locale")
"""The directory that contains the catalogues: LANGUAGE/LC_MESSAGES/carppcap.mo.

Each is compiled from the carppcap.po beside it."""


def translate(template: str) -> str:
    """Return `template` in the user's language, its {placeholders} still unfilled."""
    # In a catalogue, the entry of the empty string is the header of the file.
    return _catalogue()(template) if template else template


def translate_error(error: CarpError) -> str:
    """Return the sentence of `error` in the user's language."""
    return translate(error.template).format(**error.values)


def wanted_languages(environment: Mapping[str, str]) -> list[str]:
    """Return the languages that `environment` asks for, the preferred one first.

    English needs no catalogue, so the list ends before it.  As in GNU gettext, the
    locale is the first of LC_ALL, LC_MESSAGES and LANG that is set, and LANGUAGE
    overrides it.  But if the locale is C or English, the list is empty, whatever
    LANGUAGE says.  Python's own search is not used, because it obeys LANGUAGE even if
    the locale is C.  With it, a script that sets C could not rely on English messages.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "C")
    if _is_english(locale):
        return []
    languages = environment.get("LANGUAGE", "").split(":")
    wanted = [language for language in languages if language] or [locale]
    # A reader who prefers English to a language must not get that language.
    return list(takewhile(lambda language: not _is_english(language), wanted))


def _is_english(locale: str) -> bool:
    language = locale.partition(".")[0].partition("@")[0].partition("_")[0]
    return language in ("C", "POSIX", "en")


@cache
def _catalogue() -> Callable[[str], str]:
    # Cached: the language does not change while the process runs.
    return load(DIRECTORY, wanted_languages(os.environ))


def load(directory: str, languages: list[str]) -> Callable[[str], str]:
    """Return a function that translates a message into the first available language.

    That is the first of `languages` with a catalogue in `directory`.  If there is no
    such language, or if a catalogue is damaged, the function returns each message
    unchanged.
    """
    from gettext import translation  # noqa: PLC0415 - not for the daemon

    try:
        return translation(DOMAIN, directory, languages, fallback=True).gettext
    except Exception:  # noqa: BLE001 - whatever is wrong with it, there is English
        return str
