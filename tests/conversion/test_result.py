"""Conversions: names, values and lines."""

import pytest

from carppcap.configuration.document import check_name
from carppcap.conversion.result import Conversion, Source
from tests.conversion.sources import said


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("VI_1", "VI_1"),
        ("a b/c", "a-b-c"),
        ("", "vip"),
        ("--", "vip"),
        ("x" * 40, "x" * 28),
    ],
)
def test_names(name: str, expected: str) -> None:
    """Always such that a group can have it, also the second time."""
    result = Conversion()

    assert [result.draft(name, "file", 1).name for _ in range(3)] == [
        expected, f"{expected}-2", f"{expected}-3",
    ]  # fmt: skip
    for draft in result.drafts:
        check_name(draft.name)


def test_values() -> None:
    """Lists grow, others are replaced, wrong ones are said."""
    result = Conversion()
    draft = result.draft("x", "file", 1)
    for key, text in (
        ("addr", "10.1.1.1,10.1.1.2"), ("addr", "10.1.1.2"), ("addr", "10.1.1.3"),
        ("vhid", "1"), ("vhid", "0x2"), ("preempt", ""), ("vhid", "-1"),
    ):  # fmt: skip
        result.put(draft, key, text, "f", 3)

    assert draft.values == {
        "addr": ["10.1.1.1", "10.1.1.2", "10.1.1.3"], "vhid": 2, "preempt": True,
    }  # fmt: skip
    assert said(result) == ["3: Invalid number: [-1] for vhid (allowed: 1 to 255)"]


def test_the_last_of_alternatives_counts() -> None:
    """As on the command line."""
    result = Conversion()
    draft = result.draft("x", "file", 1)
    for key, text in (("pass", "love"), ("passfile", "/p"), ("vhid", "1")):
        result.put(draft, key, text, "f", 3)

    assert draft.values == {"passfile": "/p", "vhid": 1}


def test_lines() -> None:
    """A backslash joins lines, and the first number counts."""
    assert list(Source("f", "a\\\r\nb\\\nc\nd\\").lines()) == [(1, "a b c"), (4, "d\\")]
