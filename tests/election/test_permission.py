"""When the keeper refreshes and removes addresses, by the advert that permits it."""

import pytest

from carppcap.election.permission import Permission
from carppcap.election.tenure import tenure
from carppcap.units import NS_PER_MS
from tests.builders import config


class Subject:
    """A permission of one advert a second, and when it made the keeper refresh."""

    def __init__(self, advert_ms: int = 0, taken_ms: int | None = 0) -> None:
        self.now_ms = 0
        self.refreshed: list[int] = []
        self.permission = Permission(
            tenure(config()), lambda: self.refreshed.append(self.now_ms)
        )
        self.permission.advert = advert_ms * NS_PER_MS
        if taken_ms is not None:
            self.permission.taken(taken_ms * NS_PER_MS)

    @property
    def deadline_ms(self) -> int | None:
        deadline = self.permission.deadline
        return None if deadline is None else deadline // NS_PER_MS

    def renew(self, ms: int, advert_ms: int) -> None:
        self.now_ms = ms
        self.permission.advert = advert_ms * NS_PER_MS
        self.permission.renewed(ms * NS_PER_MS)

    def meet(self, ms: int) -> bool:
        self.now_ms = ms
        return self.permission.meet_deadline(ms * NS_PER_MS)


@pytest.mark.parametrize(("ms", "allowed"), [(0, True), (2649, True), (2650, False)])
def test_taking(ms: int, allowed: bool) -> None:
    """As long as a peer cannot have taken over."""
    assert Subject().permission.allows_taking(ms * NS_PER_MS) is allowed


def test_one_advert_and_no_other() -> None:
    """One more refresh before the window closes, and then the end."""
    it = Subject()

    assert it.deadline_ms == 600
    assert it.meet(599)
    assert it.meet(600)
    assert (it.refreshed, it.deadline_ms) == ([600], 2650)
    assert it.meet(2649)
    assert not it.meet(2650)
    assert it.refreshed == [600]


def test_an_advert() -> None:
    """It permits a refresh at once, and another one."""
    it = Subject()
    it.renew(1000, 1000)

    assert (it.refreshed, it.deadline_ms) == ([1000], 1600)


def test_adverts_in_quick_succession() -> None:
    """They make the keeper refresh at most ten times a second."""
    it = Subject()
    for ms in (1000, 1001, 1002):
        it.renew(ms, ms)

    assert (it.refreshed, it.deadline_ms) == ([1000], 1100)
    assert it.meet(1100)
    assert (it.refreshed, it.deadline_ms) == ([1000, 1100], 1602)


def test_an_order_that_comes_late() -> None:
    """After the window a lifetime would outlive the permission."""
    it = Subject()
    it.renew(1700, 1000)

    assert (it.refreshed, it.deadline_ms) == ([], 3650)


@pytest.mark.parametrize("given_up", [False, True])
def test_nothing_is_held(given_up: bool) -> None:
    """Nothing is to be done."""
    it = Subject(taken_ms=0 if given_up else None)
    it.permission.given_up()
    it.renew(1000, 1000)

    assert (it.refreshed, it.deadline_ms, it.permission.end) == ([], None, None)
    assert it.meet(9000)
