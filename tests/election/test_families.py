"""The master-down deadlines by family."""

import pytest

from carppcap.addresses import Family
from carppcap.election.families import Families

V4, V6 = Family.IPV4, Family.IPV6
BOTH = (V4, V6)


def listening(families: tuple[Family, ...] = BOTH) -> Families:
    """Listening since 10, for 3."""
    it = Families(families, 3)
    it.listen(10)
    return it


@pytest.mark.parametrize(
    ("heard", "silent"),
    [
        pytest.param([(V4, 11)], [[]], id="not-yet"),
        pytest.param([(V4, 12), (V4, 13)], [[], [V6]], id="at-the-deadline"),
        pytest.param([(V4, 13), (V4, 14)], [[V6], []], id="named-once"),
        pytest.param([(V6, 13)], [[V4]], id="either-one"),
        pytest.param([(V6, 11), (V4, 13)], [[], []], id="heard-in-time"),
        pytest.param([(V6, 11), (V4, 14)], [[], [V6]], id="from-the-last-one"),
        pytest.param(
            [(V4, 13), (V6, 14), (V4, 16), (V4, 17)], [[V6], [], [], [V6]], id="again"
        ),
    ],
)
def test_which_families_are_silent(
    heard: list[tuple[Family, int]], silent: list[list[Family]]
) -> None:
    """Reported when the other family is heard, because then the master is alive."""
    it = listening()

    assert [it.note_advert(family, at) for family, at in heard] == silent


def test_listening_again_forgets_the_silence() -> None:
    """A family cannot be heard while we do not listen."""
    it = listening()
    it.note_advert(V4, 13)
    it.listen(20)

    assert it.deadline_of(V6) == 23
    assert it.note_advert(V4, 22) == []
    assert it.note_advert(V4, 23) == [V6]


@pytest.mark.parametrize("families", [(), (V4,), (V6,)])
def test_a_single_family_is_never_reported(families: tuple[Family, ...]) -> None:
    """Its silence is that of the master."""
    it = listening(families)

    assert it.note_advert(V4, 99) == []
    assert it.note_advert(V6, 199) == []


@pytest.mark.parametrize(
    ("families", "heard_at", "family", "decides"),
    [
        pytest.param(BOTH, None, V4, True, id="first"),
        pytest.param(BOTH, 11, V4, True, id="first-always"),
        pytest.param(BOTH, None, V6, True, id="first-never-heard"),
        pytest.param(BOTH, 11, V6, False, id="first-heard"),
        pytest.param(BOTH, 9, V6, True, id="first-heard-long-ago"),
        pytest.param((V6,), None, V6, True, id="only-one"),
        pytest.param((), None, V6, True, id="none-known"),
    ],
)
def test_which_family_decides_ties(
    families: tuple[Family, ...], heard_at: int | None, family: Family, decides: bool
) -> None:
    """One for both, or each of two hosts might yield to the other."""
    it = listening(families)
    if heard_at is not None:
        it.note_advert(V4, heard_at)

    assert it.decides_ties(family, 12) is decides
