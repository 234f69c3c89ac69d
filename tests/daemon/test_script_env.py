"""The environment of scripts."""

from ipaddress import ip_address

import pytest

from carppcap.daemon.script_env import group_env, rival_env, step_env
from carppcap.election.actions import AcquireAddresses, ReleaseAddresses, RivalAnswered
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AdvertReceived,
    Event,
    LinkDown,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.node.groups import Group
from tests.builders import LOWER, config, ns, numbers

BETTER = AdvertReceived(LOWER, 0, 1, 900)
GONE = AddressesAcquired(ok=False)
TO_MASTER = [(0, Start()), (3, Tick())]


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ([(0, Start())], "INIT BACKUP startup"),
        (TO_MASTER, "BACKUP MASTER master_down"),
        ([*TO_MASTER, (4, BETTER)], "MASTER BACKUP better_master"),
        ([*TO_MASTER, (4, LinkDown())], "MASTER BACKUP link_down"),
        ([*TO_MASTER, (4, GONE)], "MASTER BACKUP address_failed"),
        ([*TO_MASTER, (4, StepDown(ns(3)))], "MASTER BACKUP step_down"),
        ([*TO_MASTER, (4, Stop())], "MASTER INIT shutdown"),
        (
            [*TO_MASTER, (4, AddressesAcquired(ok=True)), (5, AddressesLost())],
            "MASTER MASTER address_lost",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_step_env(story: list[tuple[int, Event]], told: str) -> None:
    """It has the old state, the new state and the cause of the change."""
    group = Group(config(dead_ratio=3), numbers())
    for seconds, event in story:
        step = group.handle(event, ns(seconds))
    wanted = (AcquireAddresses, ReleaseAddresses)
    assert any(isinstance(action, wanted) for action in step.actions)

    old, new, cause = told.split()
    assert step_env(step) == {
        "CARPPCAP_STATE": new,
        "CARPPCAP_PREVIOUS_STATE": old,
        "CARPPCAP_CAUSE": cause,
    }


def test_rival_env() -> None:
    """The state is what it was; the other host is named."""
    assert rival_env(RivalAnswered(LOWER, b"\2\0\0\0\0\x09")) == {
        "CARPPCAP_STATE": "MASTER",
        "CARPPCAP_PREVIOUS_STATE": "MASTER",
        "CARPPCAP_CAUSE": "rival",
        "CARPPCAP_RIVAL_MAC": "02:00:00:00:00:09",
        "CARPPCAP_RIVAL_ADDRESS": "10.1.1.4",
    }


@pytest.mark.parametrize(
    ("prefixes", "addresses"),
    [((), "10.1.1.252 fd00::252"), ((24, None), "10.1.1.252/24 fd00::252")],
)
def test_group_env(prefixes: tuple[int | None, ...], addresses: str) -> None:
    """It has what hardly changes; a single address is written like several."""
    vips = (ip_address("10.1.1.252"), ip_address("fd00::252"))
    assert group_env(config(vips=vips, prefixes=prefixes), "wan0") == {
        "CARPPCAP_INTERFACE": "wan0",
        "CARPPCAP_VHID": "7",
        "CARPPCAP_ADDRESSES": addresses,
    }
