"""The limit on hints."""

from ipaddress import IPv4Address

from carppcap.node.hints import HINT_PERIOD_NS, HintLimit
from carppcap.units import NS_PER_S

A, B = IPv4Address("10.1.1.4"), IPv4Address("10.1.1.6")


def test_hints_to_one_host_are_limited() -> None:
    """Each host and id has a limit of its own."""
    limit = HintLimit()
    moments = [0, 0, HINT_PERIOD_NS - 1, HINT_PERIOD_NS, HINT_PERIOD_NS + 1]

    admitted = [limit.admit(A, 7, moment) for moment in moments]
    assert admitted == [True, False, False, True, False]
    assert limit.admit(A, 8, HINT_PERIOD_NS + 1)
    assert limit.admit(B, 7, HINT_PERIOD_NS + 1)


def test_all_hints_are_limited() -> None:
    """There are at most 256 a second, from however many addresses replays come."""
    limit = HintLimit()
    admitted = [
        limit.admit(IPv4Address(0x0C000000 + n), 7, n * NS_PER_S // 1000)
        for n in range(1000)
    ]

    assert admitted.count(True) == 256
