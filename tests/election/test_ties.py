"""Ties: which peer is remembered, and for how long."""

import pytest

from carppcap.election.ties import Ties
from tests.builders import HIGHER, LOWER


def ties(*said: str) -> Ties:
    """`yield`, `heard`, `master`, or `better` for yielding to no equal."""
    it = Ties()
    for word in said:
        match word:
            case "yield":
                it.note_yielded(LOWER)
            case "better":
                it.note_yielded(None)
            case "heard":
                it.note_alive(LOWER)
            case "heard-other":
                it.note_alive(HIGHER)
            case "master":
                it.note_mastership()
    return it


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([], False),
        (["yield"], False),
        (["yield", "master"], True),
        (["yield", "heard", "master"], False),
        (["yield", "heard-other", "master"], True),
        (["yield", "better", "master"], False),
        (["yield", "master", "better"], False),
        (["yield", "master", "better", "master"], False),
        (["yield", "master", "yield", "master"], True),
        (["yield", "master", "master"], False),
    ],
)
def test_a_tie_is_kept_from_a_peer_that_was_silent_since(
    said: list[str], kept: bool
) -> None:
    """And from no other."""
    assert ties(*said).may_keep(LOWER, 1) is kept
    assert ties(*said).may_keep(HIGHER, 1) is False


def test_a_tie_is_kept_once_however_often_the_frame_comes() -> None:
    """Then the peer does not yield, so we must."""
    it = ties("yield", "master")
    kept = []
    for counter in (5, 5, 6, 5):
        kept.append(it.may_keep(LOWER, counter))
        it.note_tie(LOWER, counter)

    assert kept == [True, True, False, False]


def test_a_tie_with_another_peer_uses_up_nothing() -> None:
    """Only the peer that yielded to us counts."""
    it = ties("yield", "master")
    it.note_tie(HIGHER, 5)

    assert it.may_keep(LOWER, 6)


def test_each_mastership_keeps_a_tie_of_its_own() -> None:
    """The counter of the one before means nothing."""
    it = ties("yield", "master")
    it.note_tie(LOWER, 5)
    it.note_yielded(LOWER)
    it.note_mastership()

    assert it.may_keep(LOWER, 6)
