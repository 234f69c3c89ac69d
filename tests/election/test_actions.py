"""Actions, states and causes: values without behaviour."""

from copy import copy
from typing import get_args

import pytest

from carppcap.addresses import Family
from carppcap.election.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    Cause,
    FamilySilent,
    ReleaseAddresses,
    RivalAnswered,
    SendAdvert,
    SendHint,
    SendSolicitation,
    State,
    StateChanged,
)
from tests.builders import LOWER

EXAMPLES: list[Action] = [
    SendAdvert(1, 100, 42),
    SendSolicitation(42, Family.IPV6),
    SendHint(42, LOWER),
    AcquireAddresses(),
    ReleaseAddresses(),
    AnnounceAddresses(),
    FamilySilent(Family.IPV6),
    RivalAnswered(LOWER, b"\2\0\0\0\0\x09"),
    StateChanged(State.BACKUP, State.MASTER, Cause.MASTER_DOWN),
]


def test_examples_are_complete() -> None:
    """One example of each action stands above."""
    assert {type(action) for action in EXAMPLES} == set(get_args(Action))


@pytest.mark.parametrize("action", EXAMPLES, ids=lambda a: type(a).__name__)
def test_actions_are_values(action: Action) -> None:
    """Equal and hashed by content, and immutable."""
    twin = copy(action)

    assert twin is not action
    assert (twin, hash(twin)) == (action, hash(action))
    assert [other for other in EXAMPLES if other == action] == [action]
    for field in type(action).__match_args__:
        with pytest.raises(AttributeError):
            setattr(action, field, None)


@pytest.mark.parametrize("state", State)
def test_states_are_written_as_they_are_named(state: State) -> None:
    """ucarp's logs say INIT, BACKUP and MASTER."""
    assert state.value == state.name


@pytest.mark.parametrize("cause", Cause)
def test_causes_are_written_as_they_are_named(cause: Cause) -> None:
    """One word in small letters, for logs and metric labels alike."""
    assert cause.value == cause.name.lower()
