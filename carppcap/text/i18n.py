"""Messages in the reader's language.

English is the source, so a missing or damaged catalogue means English.  Nothing here
raises.
"""

import os
from collections.abc import Callable, Mapping
from functools import cache
from itertools import takewhile

from carppcap.errors import CarpError

DOMAIN = "carppcap"

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "locale")
"""Holds LANGUAGE/LC_MESSAGES/carppcap.mo; the .po beside it is its source."""


def translate(template: str) -> str:
    """Return `template` in the reader's language, its {placeholders} unfilled."""
    # The entry of the empty string is the header of a catalogue.
    return _catalogue()(template) if template else template


def translate_error(error: CarpError) -> str:
    """Return the sentence of `error` in the reader's language."""
    return translate(error.template).format(**error.values)


def wanted_languages(environment: Mapping[str, str]) -> list[str]:
    """Return the languages that `environment` asks for, best first, until English.

    As in GNU gettext the first of LC_ALL, LC_MESSAGES and LANG that is set decides,
    and LANGUAGE overrides it unless it is C.  Python's own search obeys LANGUAGE even
    in the C locale, so a script that asked for C would get words it cannot match.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "C")
    if _is_english(locale):
        return []
    languages = environment.get("LANGUAGE", "").split(":")
    wanted = [language for language in languages if language] or [locale]
    # There is no catalogue for English, so the search must not go past it.
    return list(takewhile(lambda language: not _is_english(language), wanted))


def _is_english(locale: str) -> bool:
    language = locale.partition(".")[0].partition("@")[0].partition("_")[0]
    return language in ("C", "POSIX", "en")


@cache
def _catalogue() -> Callable[[str], str]:
    # Read once: a process keeps its language.
    return load(DIRECTORY, wanted_languages(os.environ))


def load(directory: str, languages: list[str]) -> Callable[[str], str]:
    """Return what translates a message into the first of `languages` that we have."""
    from gettext import translation  # noqa: PLC0415 - not for the daemon

    try:
        return translation(DOMAIN, directory, languages, fallback=True).gettext
    except Exception:  # noqa: BLE001 - whatever is wrong with it, there is English
        return str
