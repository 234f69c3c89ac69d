"""Ties: the order of addresses, and the answer before we yield."""

from ipaddress import IPv4Address

import pytest

from carppcap.addresses import Address
from carppcap.election.events import AdvertReceived
from carppcap.election.ties import PEERS_MAX, Tie, Ties
from tests.builders import HIGHER, HIGHER6, LOWER, OURS, config, ns

ANSWER, STAY, YIELD = Tie


def verdicts(it: Ties, source: Address, *heard: tuple[float, int]) -> list[Tie]:
    """Return what is done about adverts of 1/0, heard at these seconds, by counter."""
    return [
        it.judge(AdvertReceived(source, 1, 0, counter), ns(second))
        for second, counter in heard
    ]


@pytest.mark.parametrize(
    ("theirs", "ours", "lost"),
    [
        pytest.param(LOWER, OURS, True, id="lower-wins"),
        pytest.param(HIGHER, OURS, False, id="higher-loses"),
        pytest.param(OURS, OURS, False, id="an-address-does-not-lose-to-itself"),
        pytest.param(
            IPv4Address("10.0.1.1"), IPv4Address("10.0.0.2"), True, id="last-octet"
        ),
        pytest.param(HIGHER, None, True, id="no-address-of-ours"),
        pytest.param(HIGHER6, OURS, True, id="no-address-of-ours-in-IPv6"),
    ],
)
def test_the_order_of_addresses(
    theirs: Address, ours: IPv4Address | None, lost: bool
) -> None:
    """That of ucarp, the last octet first."""
    it = Ties(lambda: config(source=ours))

    assert verdicts(it, theirs, (0, 1), (0.5, 2)) == [ANSWER, YIELD if lost else STAY]


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        pytest.param([(0, 5), (0, 6)], [ANSWER, YIELD], id="two"),
        pytest.param([(0, 5), (2.875, 6)], [ANSWER, YIELD], id="one-of-them-lost"),
        # A kernel that yielded is silent for a master-down interval.
        pytest.param([(0, 5), (3, 6), (4, 7)], [ANSWER, ANSWER, YIELD], id="later"),
        pytest.param([(0, 5), (0.5, 5)], [ANSWER, STAY], id="a-frame-twice"),
        pytest.param([(0, 5), (0.75, 5)], [ANSWER, YIELD], id="one-counter-for-all"),
        pytest.param(
            [(0, 5), (0.25, 5), (0.25, 6)],
            [ANSWER, STAY, YIELD],
            id="twice-and-another",
        ),
    ],
)
def test_a_tie_that_is_lost(
    heard: list[tuple[float, int]], expected: list[Tie]
) -> None:
    """A kernel yields to our answer; all others advertise again, and then we yield."""
    assert verdicts(Ties(config), LOWER, *heard) == expected


def test_a_tie_that_is_won_is_answered_once_in_an_interval() -> None:
    """Two hosts may both think that they have won."""
    heard = [(0, 5), (0.5, 6), (0.875, 7), (1, 8), (1.5, 9), (2.5, 10)]

    assert verdicts(Ties(config), HIGHER, *heard) == [
        *[ANSWER, STAY, STAY],
        *[ANSWER, STAY, ANSWER],
    ]


def test_each_peer_is_answered_up_to_a_limit() -> None:
    """An attacker may have many addresses."""
    it = Ties(config)
    lower, higher = (
        [IPv4Address(f"10.1.{n}.{last}") for n in range(6)] for last in (1, 9)
    )
    first = [verdicts(it, peer, (0, 5)) for peer in (*lower, *higher)]
    again = [verdicts(it, peer, (4, 6)) for peer in (*lower, *higher)]

    assert first == [[ANSWER]] * PEERS_MAX + [[STAY]] * 4
    assert again == first
    assert verdicts(it, LOWER, (0, 5)) == [YIELD]


@pytest.mark.parametrize(("due", "expected"), [(4.875, YIELD), (5.125, ANSWER)])
def test_an_answer_after_a_stall(due: float, expected: Tie) -> None:
    """The peer heard it only then, if its advert had to wait, and advertises again."""
    it = Ties(config)
    assert verdicts(it, LOWER, (5, 5)) == [ANSWER]
    it.sent_late(ns(due), ns(30))

    assert verdicts(it, LOWER, (30.125, 6)) == [expected]


def test_each_mastership_has_ties_of_its_own() -> None:
    """What was heard in the one before means nothing."""
    it = Ties(config)
    assert verdicts(it, LOWER, (0, 5)) == [ANSWER]
    it.forget()

    assert verdicts(it, LOWER, (0.5, 6)) == [ANSWER]
