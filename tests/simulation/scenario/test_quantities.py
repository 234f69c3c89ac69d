"""Times and shares as people write them."""

import pytest

from carppcap.errors import ConfigError
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Span
from carppcap.simulation.scenario.quantities import (
    format_length,
    format_share,
    parse_length,
    parse_positive_length,
    parse_share,
    parse_span,
)
from carppcap.units import NS_PER_MS, NS_PER_S


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("0s", 0),
        ("1us", 1000),
        ("200ms", 200 * NS_PER_MS),
        ("1.5s", 1500 * NS_PER_MS),
        ("0.1s", 100 * NS_PER_MS),
        ("2m", 120 * NS_PER_S),
        ("1h", 3600 * NS_PER_S),
        ("1d", 86_400 * NS_PER_S),
        ("3660d", 3660 * 86_400 * NS_PER_S),
    ],
)
def test_length(text: str, expected_ns: int) -> None:
    """Lengths are exact to the nanosecond."""
    assert parse_length(text) == expected_ns


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "s",
        "-1s",
        "1 s",
        "1.s",
        ".5s",
        "1e3s",
        "5x",
        "3661d",
        "\u0661s",
        "1s\n",
    ],
)
def test_no_length(text: str) -> None:
    """A mistake is one line with what was found and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse_length(text)

    assert str(caught.value).startswith(f"[{text}] is not a length of time")


def test_nothing_is_no_duration() -> None:
    """A length of 0 is refused where time has to pass."""
    assert parse_positive_length("1us") == 1000
    with pytest.raises(ConfigError, match=r"^\[0ms\] must be more than 0"):
        parse_positive_length("0ms")


@pytest.mark.parametrize(
    ("text", "low_s", "high_s"),
    [("10s", 10, 10), ("10s..11s", 10, 11), ("0s..2m", 0, 120)],
)
def test_span(text: str, low_s: int, high_s: int) -> None:
    """Every time that is drawn lies in the span."""
    span = parse_span(text)
    dice = Dice(1)

    assert span == Span(low_s * NS_PER_S, high_s * NS_PER_S)
    drawn = {span.draw(dice) for _ in range(50)}
    assert all(span.low_ns <= time_ns <= span.high_ns for time_ns in drawn)
    assert (len(drawn) > 1) is (low_s < high_s)


@pytest.mark.parametrize("text", ["11s..10s", "..", "1s..", "..1s", "1s..2s..3s"])
def test_no_span(text: str) -> None:
    """A span is refused if either end is wrong."""
    with pytest.raises(ConfigError, match=r"^"):
        parse_span(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("0%", 0), ("5%", 0.05), ("0.1%", 0.001), ("100%", 1)]
)
def test_share(text: str, expected: float) -> None:
    """Shares are numbers from 0 to 1."""
    assert parse_share(text) == expected


@pytest.mark.parametrize(
    "text", ["5", "", "%", "-1%", "101%", "100.1%", "1e1%", "five%"]
)
def test_no_share(text: str) -> None:
    """A mistake is one line with what was found and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse_share(text)

    assert str(caught.value) == (f"[{text}] is not a share (allowed: 0% to 100%)")


@pytest.mark.parametrize(
    "text", ["0s", "10s", "3600s", "200ms", "1500us", "-5s", "-1ms", "-1500us"]
)
def test_format_length(text: str) -> None:
    """A length that is shown can be read again, except for its sign."""
    length_ns = parse_length(text.lstrip("-"))

    assert format_length(-length_ns if text.startswith("-") else length_ns) == text


@pytest.mark.parametrize("text", ["0%", "5%", "0.1%", "33.3%", "100%"])
def test_format_share(text: str) -> None:
    """A share that is shown can be read again."""
    assert format_share(parse_share(text)) == text
