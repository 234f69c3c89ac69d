"""The adverts of a virtual host."""

from ipaddress import IPv6Address
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address, Family
from carppcap.election.actions import SendAdvert, SendSolicitation
from carppcap.election.advertiser import OWN_COUNTERS_MAX, Advertiser
from carppcap.units import Instant, advert_interval_ns
from tests.builders import LOWER, LOWER6, VIP, config, ns


def advertiser(**changes: object) -> Advertiser:
    numbers = count(1)
    return Advertiser(config(**changes), lambda now: now * 1000 + next(numbers))


@pytest.mark.parametrize(
    ("advskew", "demotion", "said"),
    [
        (0, 0, 0),
        (0, 1, 1),
        (100, 50, 150),
        (100, 140, 240),
        (100, 255, 240),
        (240, 1, 240),
        (250, 0, 250),
        (250, 9, 250),
        (255, 255, 255),
    ],
)
def test_demotion_raises_the_skew(advskew: int, demotion: int, said: int) -> None:
    """Up to 240, and never below what it was."""
    it = advertiser(advskew=advskew)
    it.demote(demotion)

    assert it.advskew == said
    assert it.demotion == demotion
    assert it.interval_ns == ns(1 + said / 256)
    assert it.advert(5) == [SendAdvert(1, said, 5001, demotion)]


@pytest.mark.parametrize(
    ("advbase", "advskew", "announce_s", "adverts"),
    [
        (1, 0, 60, 60),
        (1, 100, 60, 43),
        (0, 1, 60, 15_360),
        (60, 0, 60, 1),
        (255, 255, 60, 1),
        (1, 0, 0, 0),
        (255, 0, 0, 0),
    ],
)
def test_announcements_go_with_adverts(
    advbase: int, advskew: int, announce_s: int, adverts: int
) -> None:
    """In time, if adverts are frequent enough; 0 switches them off."""
    it = advertiser(
        advbase=advbase, advskew=advskew, announce_interval_ns=ns(announce_s)
    )

    assert it.adverts_per_announcement == adverts


@pytest.mark.parametrize(
    ("sent", "advskew"),
    [
        ("..", 7),
        ("xx", 7),
        ("xxx", 240),
        ("xx.x", 7),
        ("xxx..", 240),
        ("xxx..x..", 240),
        ("xxx...", 7),
        ("xxx...xx", 7),
        ("xxx...xxx", 240),
    ],
)
def test_failures_to_send_raise_the_skew(sent: str, advskew: int) -> None:
    """Three failures in a row, until three successes in a row; it is no demotion."""
    it = advertiser(advskew=7)
    for result in sent:
        it.note_outcome(ok=result == ".")

    assert it.advskew == advskew
    assert it.demotion == 0


def test_each_family_has_an_advert_and_each_advert_a_counter() -> None:
    """IPv4 first; the counter is drawn for the instant."""
    it = advertiser(vips=(IPv6Address("fd00::fc"), VIP), farewell=True)

    assert it.advert(2) == [
        SendAdvert(1, 0, 2001, 0, Family.IPV4),
        SendAdvert(1, 0, 2002, 0, Family.IPV6),
    ]
    assert it.farewell(3) == [
        SendAdvert(255, 255, 3003, 0, Family.IPV4),
        SendAdvert(255, 255, 3004, 0, Family.IPV6),
    ]


@pytest.mark.parametrize(
    ("advbase", "advskew", "theirs", "asked"),
    [
        pytest.param(1, 0, (1, 0), (1, 1), id="an-equal"),
        pytest.param(1, 0, (1, 100), (1, 101), id="a-worse"),
        pytest.param(1, 0, (1, 255), (2, 0), id="carried"),
        pytest.param(1, 50, (1, 0), (1, 50), id="a-better"),
        pytest.param(1, 0, (2, 0), (2, 1), id="as-slow-as-may-be"),
        pytest.param(1, 0, (2, 1), (1, 0), id="slower-than-may-be"),
        pytest.param(1, 0, (255, 255), (1, 0), id="forged"),
        pytest.param(200, 0, (254, 255), (255, 0), id="longest"),
        pytest.param(200, 0, (255, 0), (200, 0), id="longer"),
        pytest.param(0, 20, (0, 20), (0, 21), id="below-a-second"),
    ],
)
def test_no_master_yields_to_a_probe(
    advbase: int, advskew: int, theirs: tuple[int, int], asked: tuple[int, int]
) -> None:
    """It is a step slower than the probed master, within the bounds."""
    it = advertiser(advbase=advbase, advskew=advskew)

    [probe] = it.probe(advert_interval_ns(*theirs), 4)

    assert probe == SendAdvert(*asked, 4001)


def test_answers_are_limited() -> None:
    """At most one in an interval, beside the regular adverts."""
    it = advertiser(advskew=128)
    answers = [
        second for second in (0, 1, 1.4375, 1.5, 2.75, 3) if it.answer(ns(second))
    ]

    assert answers == [0, 1.5, 3]


def test_no_farewell_if_it_is_off() -> None:
    """And no counter is drawn for it."""
    it = advertiser()

    assert it.farewell(3) == []
    assert it.advert(3) == [SendAdvert(1, 0, 3001)]


def test_own_counters_are_known_for_a_while() -> None:
    """The oldest are forgotten first."""
    it = advertiser()
    for _ in range(OWN_COUNTERS_MAX + 1):
        it.advert(0)

    assert not it.is_own(1)
    assert it.is_own(2)
    assert it.is_own(OWN_COUNTERS_MAX + 1)
    assert not it.is_own(OWN_COUNTERS_MAX + 2)


@pytest.mark.parametrize(
    ("peers", "families"),
    [
        ((), [Family.IPV4, Family.IPV6]),
        ((LOWER,), [Family.IPV6]),
        ((LOWER6,), [Family.IPV4]),
        ((LOWER, LOWER6), []),
    ],
)
def test_solicitations(peers: tuple[Address, ...], families: list[Family]) -> None:
    """One in each family that has no unicast peers, with a counter of its own."""
    it = advertiser(vips=(VIP, IPv6Address("fd00::252")), peers=peers)

    assert it.solicit(5) == [
        SendSolicitation(5001 + number, family)
        for number, family in enumerate(families)
    ]


@given(
    now=st.integers(0, 10**12),
    interval=st.tuples(st.integers(0, 255), st.integers(1, 255)),
    parts=st.integers(1, 64),
    data=st.data(),
)
def test_a_place_in_the_interval(
    now: Instant, interval: tuple[int, int], parts: int, data: st.DataObject
) -> None:
    """The second advert is not late, is never at once, and has its place for ever."""
    advbase, advskew = interval
    it = advertiser(advbase=advbase, advskew=advskew)
    part = data.draw(st.integers(0, parts - 1))
    it.place = part, parts

    first = it.first_deadline(now)

    assert now < first <= now + it.interval_ns
    assert first % it.interval_ns == it.interval_ns * part // parts
    assert it.next_deadline(first, first) == first + it.interval_ns


def test_without_a_place() -> None:
    """The second advert is one interval later."""
    assert advertiser().first_deadline(5) == 5 + ns(1)


@pytest.mark.parametrize("place", [None, (3, 4)])
def test_a_stalled_master(place: tuple[int, int] | None) -> None:
    """It does not send what it missed, and finds its place again."""
    it = advertiser()
    it.place = place

    found = [it.next_deadline(ns(0.75), ns(at)) for at in (0.75, 1.74, 1.75, 9.5)]

    after = 10.5 if place is None else 9.75
    assert found == [ns(1.75), ns(1.75), ns(2.75), ns(after)]
