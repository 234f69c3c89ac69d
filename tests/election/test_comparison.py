"""Adverts compared with us."""

from ipaddress import IPv4Address

import pytest

from carppcap.addresses import Address
from carppcap.election.advertiser import Advertiser
from carppcap.election.comparison import is_lost_tie
from carppcap.election.events import AdvertReceived
from tests.builders import HIGHER, LOWER, OURS, config, counters


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
    ],
)
def test_the_order_of_addresses(
    theirs: Address, ours: Address | None, lost: bool
) -> None:
    """That of ucarp, the last octet first; only equal intervals make a tie."""
    settings = config(source=ours)
    equal = AdvertReceived(theirs, 1, 0, 99)
    slower = AdvertReceived(theirs, 1, 1, 99)
    advertiser = Advertiser(settings, counters())

    assert is_lost_tie(equal, advertiser, settings) is lost
    assert is_lost_tie(slower, advertiser, settings) is False
