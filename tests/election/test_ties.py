"""Ties: who is remembered, and for how long."""

from ipaddress import IPv4Address

import pytest

from carppcap.addresses import Address
from carppcap.election.ties import Ties
from tests.builders import HIGHER, LOWER, OURS


@pytest.mark.parametrize(
    ("theirs", "ours", "lost"),
    [
        pytest.param(LOWER, OURS, True, id="lower-wins"),
        pytest.param(HIGHER, OURS, False, id="higher-loses"),
        pytest.param(OURS, OURS, False, id="nobody-loses-to-himself"),
        pytest.param(
            IPv4Address("10.0.1.1"), IPv4Address("10.0.0.2"), True, id="last-octet"
        ),
        pytest.param(HIGHER, None, True, id="no-address-of-ours"),
    ],
)
def test_the_order_of_addresses(
    theirs: Address, ours: Address | None, lost: bool
) -> None:
    """That of the original: the last octet first."""
    assert Ties().is_lost(theirs, ours) is lost


def ties(*said: str) -> Ties:
    """`yield`, `heard`, `master`, or `better` for yielding to no equal."""
    it = Ties()
    for word in said:
        match word:
            case "yield":
                it.yielded_to(LOWER)
            case "better":
                it.yielded_to(None)
            case "heard":
                it.heard(LOWER)
            case "heard-other":
                it.heard(HIGHER)
            case "master":
                it.became_master()
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
def test_a_tie_is_kept_from_who_was_silent_since(said: list[str], kept: bool) -> None:
    """And from nobody else."""
    assert ties(*said).keep(LOWER, 1) is kept
    assert ties(*said).keep(HIGHER, 1) is False


def test_a_tie_is_kept_once_however_often_the_frame_comes() -> None:
    """Then the peer does not yield, so we must."""
    it = ties("yield", "master")

    assert [it.keep(LOWER, counter) for counter in (5, 5, 6, 5)] == [
        True, True, False, False,
    ]  # fmt: skip


def test_each_mastership_keeps_a_tie_of_its_own() -> None:
    """The counter of the one before means nothing."""
    it = ties("yield", "master")
    it.keep(LOWER, 5)
    it.yielded_to(LOWER)
    it.became_master()

    assert it.keep(LOWER, 6) is True
