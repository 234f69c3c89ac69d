"""Parsers and formatters for lengths of time and for shares in percent.

The parsers raise a `ConfigError` that does not tell where the wrong text is.  `located`
adds the place.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from carppcap.errors import ConfigError
from carppcap.simulation.scenario.parts import Span
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US, Interval

LENGTH_MAX_S = 10 * 366 * 86_400

_UNITS = {
    "us": NS_PER_US,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86_400 * NS_PER_S,
}


@contextmanager
def located(where: str) -> Iterator[None]:
    """Turn an error in the `with` block into a `ConfigError` that begins with `where`.

    `where` is the place of the text that is being parsed, e.g. a file and a line.
    """
    try:
        yield
    except (ConfigError, ValueError, RecursionError) as error:
        raise ConfigError("{where}: {why}", where=where, why=error) from None


def parse_length(text: str) -> Interval:
    """Return in nanoseconds the length of time in `text`: `1.5s`, `200ms`, `2m` etc.

    Raises `ConfigError` for any other text, and for more than ten years.
    """
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h|d)", text, re.ASCII)
    length_ns = int(Decimal(match[1]) * _UNITS[match[2]]) if match else None
    if length_ns is None or length_ns > LENGTH_MAX_S * NS_PER_S:
        raise ConfigError(
            "[{text}] is not a length of time (allowed: such as 200ms, 1.5s, 2m, 1h, "
            "and at most ten years)",
            text=text,
        )
    return length_ns


def parse_positive_length(text: str) -> Interval:
    """Return what `parse_length` returns, but raise `ConfigError` for 0, too."""
    length_ns = parse_length(text)
    if length_ns == 0:
        raise ConfigError("[{text}] must be more than 0", text=text)
    return length_ns


def parse_span(text: str) -> Span:
    """Return the span that `text` describes: `10s..11s`, or a single time: `10s`."""
    low, dots, high = text.partition("..")
    low_ns = parse_length(low)
    high_ns = parse_length(high) if dots else low_ns
    if high_ns < low_ns:
        raise ConfigError("[{text}] ends before it begins", text=text)
    return Span(low_ns, high_ns)


def parse_share(text: str) -> float:
    """Return the share that `text` gives in percent, as a number from 0 to 1.

    `text` is e.g. `5%` or `0.1%`; raises `ConfigError` if it is not a share.
    """
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?)%", text, re.ASCII)
    percent = float(match[1]) if match else -1.0
    if not 0 <= percent <= 100:
        raise ConfigError("[{text}] is not a share (allowed: 0% to 100%)", text=text)
    return percent / 100


def format_length(length_ns: Interval) -> str:
    """Return the length as an integer with a unit, e.g. `-5s`.

    The unit is the largest of s, ms and us that needs no fraction.  Fractions of a
    microsecond are dropped.
    """
    sign = "-" if length_ns < 0 else ""
    whole = (unit for unit in ("s", "ms") if length_ns % _UNITS[unit] == 0)
    unit = next(whole, "us")
    return f"{sign}{abs(length_ns) // _UNITS[unit]}{unit}"


def format_share(share: float) -> str:
    """Return `share`, a number from 0 to 1, as text in percent, e.g. `0.1%`."""
    return f"{100 * share:.10g}%"
