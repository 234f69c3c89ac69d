"""The transitions in the manual page."""

import pytest

from tests.election.diagram import BEGIN, END, PAGE, WIDTH, diagram, page_with


def test_the_manual_page_shows_the_transitions_of_the_table() -> None:
    """`make diagram` writes them."""
    page = PAGE.read_text("utf-8")

    assert page == page_with(diagram(), page)


def test_the_transitions_fit_a_terminal() -> None:
    """78 columns, and no line that troff takes for a request."""
    lines = diagram().splitlines()

    assert [line for line in lines if len(line) > WIDTH] == []
    assert [line for line in lines if line.startswith((".", "'"))] == []


def test_only_what_is_between_the_markers_is_replaced() -> None:
    """A page without them is not touched."""
    page = f"before\n{BEGIN}old\n{END}after\n"

    assert page_with("new\n", page) == f"before\n{BEGIN}new\n{END}after\n"
    with pytest.raises(ValueError, match="unpack"):
        page_with("new\n", "before\nafter\n")
