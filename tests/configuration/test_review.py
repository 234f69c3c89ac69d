"""What will not work in one file."""

import pytest

from carppcap.configuration.review import review, seconds
from tests.configuration.files import GOOD, group, groups, shown

NOTE = "1: note: web: this host takes over at most {} after the death of a master"


def test_a_good_group() -> None:
    """Only the time of a fail-over is said."""
    assert shown(list(review([group()]))) == [NOTE.format("3.000 s")]
    assert shown(list(review([group("advskew = 100")]))) == [NOTE.format("3.391 s")]
    assert shown(list(review([group("peer = '10.1.1.2'")]))) == [NOTE.format("3.000 s")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("advbase = 255\nadvskew = 255", "8: warning: web can never win: with an interval of 255/255 each advert is a farewell (allowed: an advskew up to 254)"),
        ("deadratio = 1", "7: warning: web: with a deadratio of 1 a single late advert is a fail-over"),
        ("deadratio = 1", "7: warning: web: a host that loses both its daemon and its keeper may have the address for 0.850 s beside its successor (remedy: an advbase of at least 1, a deadratio of at least 3)"),
        ("upscript = 'up.sh'", "7: warning: web: up.sh is looked for in the directory in which the daemon starts (better: the whole path)"),
        ("own_addresses = false", "7: warning: web: without own_addresses its addresses are in the hands of upscript and downscript, and one of these is missing"),
    ],
)  # fmt: skip
def test_warnings(lines: str, expected: str) -> None:
    """Each with the line of the key, and its remedy."""
    assert expected in shown(list(review([group(*lines.splitlines())])))


@pytest.mark.parametrize("lines", ["own_addresses = false\nvmac = true",
                                   "own_addresses = false\nupscript = '/u'\ndownscript = '/d'"])  # fmt: skip
def test_no_warning(lines: str) -> None:
    """Somebody is there for the addresses."""
    assert len(list(review([group(*lines.splitlines())]))) == 1


def two(address: str, interface: str = "eth1") -> list[str]:
    second = GOOD.replace("web", "db").replace("10.1.1.252", address)
    second = second.replace("eth0", interface).replace("42", "43")
    return [
        line
        for line in shown(list(review(groups(GOOD + second))))
        if "note" not in line
    ]


def test_one_address_in_two_groups() -> None:
    """Whichever interface; the line of the other group is said."""
    expected = [
        "11: warning: 10.1.1.252 is in db and in web, line 5: when one of them leaves, it takes the address from the other (allowed: each addr in one group)"
    ]

    assert two("10.1.1.252") == two("10.1.1.252", "eth0") == expected
    assert two("10.1.1.253") == []


def test_a_link_local_address_is_another_one_on_each_interface() -> None:
    """Routers often share fe80::1 on all of them."""
    text = GOOD.replace("10.1.1.252", "fe80::1")
    second = text.replace("web", "db").replace("42", "43")

    assert len(list(review(groups(text + second)))) == 3
    assert len(list(review(groups(text + second.replace("eth0", "eth1"))))) == 2


def test_seconds() -> None:
    """Never less than it takes."""
    assert [seconds(ns) for ns in (0, 1, 10**6, 3_390_625_000)] == [
        "0.000 s", "0.001 s", "0.001 s", "3.391 s",
    ]  # fmt: skip
