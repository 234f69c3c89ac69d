"""Addresses of our own: the order of addresses and scripts."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from carppcap.daemon.own_vips import HURRY_NS, OwnVips
from carppcap.daemon.vips import VipsNews
from carppcap.election.actions import (
    Cause,
    RivalAnswered,
    State,
    StateChanged,
)
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
    StepDown,
    Tick,
)
from carppcap.errors import LinkError
from carppcap.log.journal import Journal
from carppcap.node.groups import Step
from carppcap.options.settings import OnConflict, Settings
from carppcap.system.keeper_messages import Kind, Report
from tests.builders import VIP, config
from tests.shell import MemoryLog

CLAIM = Step(
    5,
    "eth0",
    7,
    Tick(),
    (StateChanged(State.BACKUP, State.MASTER, Cause.MASTER_DOWN),),
    State.MASTER,
    None,
)
ADVERT = Step(9, "eth0", 7, Tick(), (), State.MASTER, None)
LEAVING = Step(9, "eth0", 7, StepDown(0), (), State.MASTER, None)
YIELDED = Step(
    9,
    "eth0",
    7,
    Tick(),
    (StateChanged(State.MASTER, State.BACKUP, Cause.BETTER_MASTER),),
    State.BACKUP,
    None,
)
CONTESTED = Step(
    9,
    "eth0",
    7,
    Tick(),
    (RivalAnswered(VIP, b"\2\0\0\0\0\x09"),),
    State.MASTER,
    None,
)
WILL = [b"farewell"]
CHARGE = 3


class FakeKeeper:
    """Notes orders, and reports what it is told to."""

    def __init__(self) -> None:
        self.orders: list[tuple[Any, ...]] = []

    def order(self, *order: Any, charge: int) -> int:
        assert charge == CHARGE
        self.orders.append(order)
        return len(self.orders)


class Subject:
    """Two addresses on eth0, whose first order, at the start, has been carried out."""

    def __init__(
        self,
        up: str = "",
        down: str = "",
        *,
        vmac: bool = False,
        on_conflict: OnConflict = OnConflict.NOTHING,
    ) -> None:
        self.log = MemoryLog()
        self.keeper = FakeKeeper()
        host = config(vmac=vmac)
        self.vips = OwnVips(
            Settings(
                upscript=up or None, downscript=down or None, on_conflict=on_conflict
            ),
            host,
            Journal(self.log, host, 0),
            self.keeper,  # type: ignore[arg-type]
            CHARGE,
        )
        assert self.kinds == [Kind.DROP]
        idle = [self.vips.idle]
        assert self.report() == []
        assert [*idle, self.vips.idle] == [False, True]
        self.keeper.orders.clear()
        self.keeper.orders.append(("start",))

    @property
    def kinds(self) -> list[Any]:
        """The orders so far, but for the first of `__init__`."""
        return [order[0] for order in self.keeper.orders if order[0] != "start"]

    def report(self, **values: Any) -> list[VipsNews]:
        """What follows from the report to the latest order."""
        self.vips.take_report(Report(len(self.keeper.orders), **values))
        return self.vips.tend(0)

    def settle(self) -> list[VipsNews]:
        """What is told until no script runs any more."""
        news = []
        for _ in range(1000):
            news += self.vips.tend(0)
            if self.vips.scripts.idle:
                return news
            time.sleep(0.005)
        raise AssertionError("the script does not end")

    def claim(self) -> None:
        """Become master."""
        self.vips.note(CLAIM, lambda: WILL)
        assert self.vips.acquire(CLAIM) == []
        assert self.report(was_lost=True) == [AddressesAcquired(True)]


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    """Makes a script that notes its name, and what was ordered is known by then."""

    def make(name: str, *lines: str) -> str:
        path = tmp_path / name
        text = ["#!/bin/sh", f"echo {name} >>{tmp_path}/ran", *lines]
        path.write_text("\n".join(text))
        path.chmod(0o755)
        return str(path)

    return make


def ran(tmp_path: Path) -> Sequence[str]:
    notes = tmp_path / "ran"
    return notes.read_text().split() if notes.exists() else []


def test_permissions() -> None:
    """Every advert of a master that holds the addresses, with the farewell for it."""
    subject = Subject()
    subject.vips.note(CLAIM, lambda: WILL)
    assert subject.kinds == []
    subject.vips.acquire(CLAIM)
    subject.vips.note(ADVERT, lambda: WILL)
    subject.vips.note(ADVERT, None)

    assert subject.keeper.orders[1:] == [
        (Kind.TAKE, 5, "eth0", "eth0", WILL),
        (Kind.KEEP, 9, "eth0", "eth0", WILL),
    ]


def test_first_advert_that_did_not_leave() -> None:
    """The addresses may be taken, for as long as without the next one."""
    subject = Subject()
    subject.vips.note(CLAIM, None)
    subject.vips.acquire(CLAIM)

    assert subject.keeper.orders[1:] == [(Kind.TAKE, 5, "eth0", "eth0", ())]


def test_up_script_follows(script: Callable[..., str], tmp_path: Path) -> None:
    """It runs when the addresses are there, and then they are looked at again."""
    subject = Subject(script("up"))
    subject.vips.acquire(CLAIM)
    assert subject.vips.scripts.idle

    assert subject.report() == [AddressesAcquired(True)]
    assert subject.settle() == []
    assert ran(tmp_path) == ["up"]
    assert subject.kinds == [Kind.TAKE, Kind.TAKE]
    assert subject.report(lines=("Removing it",)) == [AddressesAcquired(True)]
    assert ("WARNING", "Removing it") in subject.log.lines


def test_addresses_that_cannot_be_taken(
    script: Callable[..., str], tmp_path: Path
) -> None:
    """No script for what is not there."""
    subject = Subject(script("up"))
    subject.vips.acquire(CLAIM)

    assert subject.report(ok=False) == [AddressesAcquired(False)]
    assert subject.settle() == []
    assert ran(tmp_path) == []


@pytest.mark.parametrize("has_script", [True, False])
@pytest.mark.parametrize("ok", [True, False])
def test_leaving(script: Callable[..., str], has_script: bool, ok: bool) -> None:
    """Adverts and permissions go on while the down script runs; then all must go."""
    subject = Subject(down=script("down") if has_script else "")
    subject.claim()
    subject.vips.note(LEAVING, None)
    subject.vips.release(LEAVING)
    subject.vips.note(ADVERT, lambda: WILL)
    assert subject.kinds == [Kind.TAKE, Kind.KEEP]

    assert subject.settle() == []
    assert subject.kinds == [Kind.TAKE, Kind.KEEP, Kind.CLEAR]
    subject.vips.note(ADVERT, lambda: WILL)
    idle = [subject.vips.idle]
    assert subject.report(ok=ok) == [AddressesReleased(ok)]
    assert [*idle, subject.vips.idle] == [False, True]


def test_yielding(script: Callable[..., str], tmp_path: Path) -> None:
    """The addresses at once, then the script, then a look at what it left."""
    subject = Subject(down=script("down"))
    subject.claim()
    subject.vips.note(YIELDED, lambda: WILL)
    assert subject.kinds == [Kind.TAKE, Kind.CLEAR]
    assert ran(tmp_path) == []

    subject.vips.release(YIELDED)
    subject.settle()
    assert ran(tmp_path) == ["down"]
    assert subject.kinds == [Kind.TAKE, Kind.CLEAR, Kind.DROP]
    left = ("10.1.1.252/24 is on lo",)
    assert subject.report(ok=False, left=left) == [AddressesReleased(False)]
    [line] = [text for text in subject.log.texts if "10.1.1.252/24 is on lo" in text]
    assert "leaves it alone" in line


@pytest.mark.parametrize(
    ("report", "news"),
    [
        ({}, []),
        ({"was_lost": True}, [AddressesAcquired(True)]),
        ({"ok": False}, [AddressesLost()]),
    ],
)
def test_a_rival(
    script: Callable[..., str],
    tmp_path: Path,
    report: dict[str, bool],
    news: list[VipsNews],
) -> None:
    """After the script the keeper looks whether the addresses are there as before."""
    subject = Subject(script("up"), on_conflict=OnConflict.SCRIPT)
    subject.claim()
    subject.settle()
    subject.report()

    subject.vips.note(CONTESTED, None)
    subject.settle()

    assert ran(tmp_path) == ["up", "up"]
    assert subject.kinds == [Kind.TAKE] * 3
    assert subject.report(**report) == news


def test_leaving_that_is_overtaken(script: Callable[..., str]) -> None:
    """A better master does not wait for our down script."""
    subject = Subject(down=script("down", "sleep 60"))
    subject.claim()
    subject.vips.release(LEAVING)
    subject.vips.note(YIELDED, None)
    assert subject.kinds == [Kind.TAKE, Kind.CLEAR]

    subject.vips.scripts.kill()
    subject.settle()
    assert subject.kinds == [Kind.TAKE, Kind.CLEAR, Kind.DROP]


def test_leaving_before_the_addresses_are_there(
    script: Callable[..., str], tmp_path: Path
) -> None:
    """No up script runs after the down script."""
    subject = Subject(script("up"), script("down"))
    subject.vips.acquire(CLAIM)
    subject.vips.release(LEAVING)

    assert subject.report() == []
    subject.settle()
    assert ran(tmp_path) == ["down"]


def test_claim_while_the_down_script_runs(
    script: Callable[..., str], tmp_path: Path
) -> None:
    """It would remove what is taken now, so that waits."""
    subject = Subject(script("up"), script("down", "sleep 0.2"))
    subject.vips.release(YIELDED)
    assert subject.vips.acquire(CLAIM) == []
    assert subject.kinds == []

    subject.settle()
    assert subject.kinds == [Kind.TAKE]
    assert subject.report() == [AddressesAcquired(True)]
    subject.settle()
    assert ran(tmp_path) == ["down", "up"]


def test_up_script_that_ends_too_late(script: Callable[..., str]) -> None:
    """What it has set on a host that is not master any more is removed."""
    subject = Subject(script("up", "sleep 0.2"), script("down"))
    subject.claim()
    subject.vips.note(YIELDED, None)
    subject.vips.release(YIELDED)
    subject.settle()

    assert subject.kinds == [Kind.TAKE, Kind.CLEAR, Kind.CLEAR, Kind.DROP]


@pytest.mark.parametrize(
    "report", [Report(0), Report(1, was_lost=True), Report(1, ok=False)]
)
def test_losses(report: Report) -> None:
    """Also those that another keeper finds."""
    subject = Subject()
    subject.claim()
    subject.vips.take_report(report)

    assert subject.vips.tend(0) == [AddressesLost()]


def test_old_report_while_a_new_one_is_awaited() -> None:
    """A failure of an earlier order says nothing of the addresses to be taken."""
    subject = Subject()
    subject.vips.acquire(CLAIM)
    subject.vips.take_report(Report(1, ok=False))

    assert subject.vips.tend(0) == []


def test_failure_of_another_keeper_while_nothing_is_wanted() -> None:
    """It is no loss: the addresses that are left are not ours."""
    subject = Subject()
    subject.vips.take_report(Report(1, ok=False))

    assert subject.vips.tend(0) == []


NO_KEEPER = Report(0, ok=False)


def test_no_keeper_works() -> None:
    """A peer has to take over; this host steps aside once."""
    subject = Subject()
    subject.claim()
    subject.vips.take_report(NO_KEEPER)

    assert subject.vips.tend(0) == [AddressesAcquired(False)]
    subject.vips.note(YIELDED, None)
    subject.vips.take_report(NO_KEEPER)
    assert subject.vips.tend(0) == []
    subject.vips.take_report(NO_KEEPER)
    assert subject.vips.tend(0) == []


def test_no_keeper_works_at_a_claim() -> None:
    """The addresses cannot be taken."""
    subject = Subject()
    subject.vips.acquire(CLAIM)
    subject.vips.take_report(NO_KEEPER)

    assert subject.vips.tend(0) == [AddressesAcquired(False)]


def test_no_keeper_works_at_the_end() -> None:
    """The end does not wait for it."""
    subject = Subject()
    subject.claim()
    subject.vips.release(LEAVING)
    subject.settle()
    subject.vips.take_report(NO_KEEPER)

    assert subject.vips.tend(0) == [AddressesReleased(False)]
    assert subject.vips.idle


def test_keeper_that_does_not_answer_at_the_end(script: Callable[..., str]) -> None:
    """After a second signal it has a second; then the daemon ends without a report."""
    subject = Subject(down=script("down", "sleep 60"))
    subject.claim()
    subject.vips.release(LEAVING)
    subject.vips.hurry(5)
    subject.vips.hurry(9)
    assert subject.settle() == []
    idle = [subject.vips.idle]
    deadlines = [subject.vips.deadline]

    due = 5 + HURRY_NS
    assert subject.vips.tend(due - 1) == []
    assert subject.vips.tend(due) == [AddressesReleased(False)]
    assert [*idle, subject.vips.idle] == [False, True]
    assert [*deadlines, subject.vips.deadline] == [due, None]


class FakeMac:
    """An interface of our own, without addresses."""

    name = "carp7.eth0"
    deeds: list[str]
    fails = False

    bare = False

    def __init__(self, *parent_and_addresses: Any) -> None:
        type(self).deeds = []

    def acquire(self) -> None:
        assert self.bare
        if self.fails:
            raise LinkError("no room for a macvlan")
        self.deeds.append("acquire")

    def release(self) -> None:
        self.deeds.append("release")

    def close(self) -> None:
        self.deeds.append("close")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeMac]:
    """The interfaces that will be made."""
    module = ModuleType("carppcap.system.vmac")

    class Fake(FakeMac):
        """A class of its own for each test."""

    module.VirtualMac = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "carppcap.system.vmac", module)
    return Fake


def test_virtual_mac(fake: type[FakeMac]) -> None:
    """The interface is ours, the addresses on it are the keeper's."""
    subject = Subject(vmac=True)
    subject.claim()
    assert subject.keeper.orders[1:] == [(Kind.TAKE, 5, "carp7.eth0", "eth0", WILL)]

    subject.vips.note(YIELDED, None)
    subject.vips.close()
    assert fake.deeds == ["acquire", "release", "close"]
    assert subject.kinds[1:] == [Kind.CLEAR]


def test_virtual_mac_that_cannot_be_made(fake: type[FakeMac]) -> None:
    """Then there is nothing to take."""
    subject = Subject(vmac=True)
    fake.fails = True

    assert subject.vips.acquire(CLAIM) == [AddressesAcquired(False)]
    assert subject.kinds == []
