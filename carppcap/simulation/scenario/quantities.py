"""Lengths of time and shares, as people write them.

`where` is the place in the file, for the error: all functions raise `ConfigError`.
"""

import re
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


def parse_length(text: str, where: str) -> Interval:
    """Nanoseconds of `1.5s`, `200ms`, `2m` and the like, at most ten years."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?)(us|ms|s|m|h|d)", text, re.ASCII)
    length_ns = int(Decimal(match[1]) * _UNITS[match[2]]) if match else None
    if length_ns is None or length_ns > LENGTH_MAX_S * NS_PER_S:
        raise ConfigError(
            "{where}: [{text}] is not a length of time (allowed: such as 200ms, 1.5s, "
            "2m, 1h, and at most ten years)",
            where=where,
            text=text,
        )
    return length_ns


def parse_positive_length(text: str, where: str) -> Interval:
    """The same, but not 0."""
    length_ns = parse_length(text, where)
    if length_ns == 0:
        raise ConfigError(
            "{where}: [{text}] must be more than 0", where=where, text=text
        )
    return length_ns


def parse_span(text: str, where: str) -> Span:
    """One time, `10s`, or any between two, `10s..11s`."""
    low, dots, high = text.partition("..")
    low_ns = parse_length(low, where)
    high_ns = parse_length(high, where) if dots else low_ns
    if high_ns < low_ns:
        raise ConfigError(
            "{where}: [{text}] ends before it begins", where=where, text=text
        )
    return Span(low_ns, high_ns)


def parse_share(text: str, where: str) -> float:
    """0 to 1, of `5%` or `0.1%`."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,9})?)%", text, re.ASCII)
    percent = float(match[1]) if match else -1.0
    if not 0 <= percent <= 100:
        raise ConfigError(
            "{where}: [{text}] is not a share (allowed: 0% to 100%)",
            where=where,
            text=text,
        )
    return percent / 100


def format_length(length_ns: Interval) -> str:
    """The shortest way to write it without a fraction; `-5s` if negative."""
    sign = "-" if length_ns < 0 else ""
    for unit in ("s", "ms"):
        if length_ns % _UNITS[unit] == 0:
            return f"{sign}{abs(length_ns) // _UNITS[unit]}{unit}"
    return f"{sign}{abs(length_ns) // NS_PER_US}us"


def format_share(share: float) -> str:
    """With as many digits as it needs."""
    return f"{100 * share:.10g}%"
