"""Conversions for tests: our own files, in the formats of others."""

from carppcap.configuration.document import Configuration, read
from carppcap.configuration.render import Draft, Value, render
from carppcap.conversion.formats import FORMATS, format_of
from carppcap.conversion.result import Conversion, Source


def sources(*files: tuple[str, str]) -> list[Source]:
    return [Source(path, text) for path, text in files]


def converted(text: str, path: str = "file") -> Conversion:
    """The conversion of one file, in the format that it has."""
    given = sources((path, text))
    name = format_of(given)
    assert name is not None
    return FORMATS[name](given)


def said(result: Conversion) -> list[str]:
    """The remarks, each with its line."""
    return [f"{remark.line}: {remark.error}" for remark in result.remarks]


def only(result: Conversion) -> Draft:
    (draft,) = result.drafts
    return draft


def values(result: Conversion) -> dict[str, Value]:
    """The values of the only group."""
    return only(result).values


def read_again(result: Conversion) -> Configuration:
    """The file that is written, as the daemon reads it."""
    return read(render(["Head."], result.top, result.drafts))
