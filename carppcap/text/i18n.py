"""Messages in the language of whoever reads them.

English is the source, so a missing or damaged catalogue means English and nothing
else.  Nothing here raises.
"""

import os
from collections.abc import Mapping
from functools import cache
from gettext import NullTranslations, translation
from itertools import takewhile

DOMAIN = "carppcap"

DIRECTORY = os.path.join(os.path.dirname(os.path.dirname(__file__)), "locale")
"""Holds LANGUAGE/LC_MESSAGES/carppcap.mo; the .po beside it is its source."""


def translate(template: str) -> str:
    """`template` in the reader's language, its {placeholders} untouched.

    Fill them in afterwards: `translate(error.template).format(**error.values)`.
    """
    # The entry of the empty string is the header of a catalogue.
    return _catalogue().gettext(template) if template else template


_ = translate


def wanted_languages(environment: Mapping[str, str]) -> list[str]:
    """The languages that `environment` asks for, best first, until English.

    As GNU gettext has it: LC_ALL, LC_MESSAGES or LANG, whichever is set first, and
    LANGUAGE instead of it unless it is C.  Python's own search would heed LANGUAGE
    even then, and give a script that asked for the C locale words it cannot match.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "C")
    if _is_english(locale):
        return []
    languages = environment.get("LANGUAGE", "").split(":")
    wanted = [language for language in languages if language] or [locale]
    # There is no catalogue for English: the search has to end there, not go past it.
    return list(takewhile(lambda language: not _is_english(language), wanted))


def _is_english(locale: str) -> bool:
    language = locale.partition(".")[0].partition("@")[0].partition("_")[0]
    return language in ("C", "POSIX", "en")


@cache
def _catalogue() -> NullTranslations:
    # Read once: a process keeps its language.
    return load(DIRECTORY, wanted_languages(os.environ))


def load(directory: str, languages: list[str]) -> NullTranslations:
    """The catalogues of `languages` under `directory`, or one that changes nothing."""
    try:
        return translation(DOMAIN, directory, languages, fallback=True)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, English is at hand
        return NullTranslations()
