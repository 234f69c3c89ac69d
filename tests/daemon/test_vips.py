"""The addresses of this host: by an interface of our own, and by scripts."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from unittest.mock import Mock

import pytest

from carppcap.addresses import Address
from carppcap.daemon.vips import CHECK_MAX_NS, LOOK_NS, Vips, VipsNews, abandon
from carppcap.election.actions import (
    AnnounceAddresses,
    Cause,
    RivalAnswered,
    State,
    StateChanged,
)
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
    Tick,
)
from carppcap.errors import LinkError
from carppcap.log.journal import Journal
from carppcap.node.groups import Step
from carppcap.options.settings import OnConflict, Settings
from carppcap.system.link import Held
from carppcap.units import NS_PER_S
from tests.builders import LOWER, OURS, VIP, config
from tests.shell import MemoryLog

VIPS = (VIP, LOWER)
TO_MASTER = StateChanged(State.BACKUP, State.MASTER, Cause.MASTER_DOWN)
STEP = Step(0, "eth0", 7, Tick(), (TO_MASTER,), State.MASTER, None)


class FakeInterface:
    """A virtual MAC that notes the calls of its methods in `deeds`."""

    deeds: list[str]
    fails = ""
    has = True
    index = 12

    def __init__(
        self, parent: str, vhid: int, addresses: tuple[tuple[Address, int | None], ...]
    ) -> None:
        self.parent = parent
        type(self).deeds = [f"make {parent} {vhid} {addresses}"]

    def acquire(self) -> None:
        self.deeds.append("acquire")
        if self.fails == "acquire":
            raise LinkError("no room for {what}", what="macvlan")

    def release(self) -> None:
        self.deeds.append("release")
        if self.fails == "release":
            raise LinkError("stuck")

    def has_addresses(self) -> bool:
        if self.fails == "has":
            raise LinkError("gone")
        return self.has

    def close(self) -> None:
        self.deeds.append("close")


class Subject:
    """Holds `VIPS` on eth0, with scripts that end as told."""

    def __init__(
        self,
        up: str = "",
        down: str = "",
        *,
        vmac: bool = False,
        xparam: str | None = None,
        interface: str = "eth0",
        on_conflict: OnConflict = OnConflict.NOTHING,
    ) -> None:
        self.log = MemoryLog(debug=True)
        self.held: frozenset[Address] | None = frozenset({OURS})
        host = config(interface=interface, vips=VIPS, prefixes=(24, None), vmac=vmac)
        self.vips = Vips(
            Settings(
                upscript=up or None,
                downscript=down or None,
                xparam=xparam,
                on_conflict=on_conflict,
            ),
            host,
            Journal(self.log, host, 0),
            self.look,
        )

    def look(self) -> Held | None:
        """What the kernel says."""
        return None if self.held is None else Held(self.held)

    def outcome(self) -> list[VipsNews]:
        """Return the outcome of the running script."""
        for _ in range(1000):
            news = self.vips.tend(0)
            if news:
                return news
            time.sleep(0.005)
        raise AssertionError("the script does not end")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeInterface]:
    """Replace `VirtualMac` by a fake; return the list of those made."""
    module = ModuleType("carppcap.system.vmac")

    class Fake(FakeInterface):
        """A fresh class of fakes for each test."""

    module.VirtualMac = Fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "carppcap.system.vmac", module)
    return Fake


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    """Return a function that writes a script of one line."""

    def make(line: str) -> str:
        path = tmp_path / f"script{len(list(tmp_path.iterdir()))}"
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("line", "held", "acquired", "released"),
    [
        pytest.param("exit 0", frozenset(), True, True, id="as-it-says"),
        pytest.param("exit 1", frozenset(), False, True, id="none-there"),
        pytest.param("exit 1", frozenset({VIP}), False, False, id="one-of-two"),
        pytest.param("exit 1", frozenset({OURS, *VIPS}), True, False, id="all-there"),
        pytest.param("exit 1", None, False, False, id="not-known"),
    ],
)
def test_what_a_script_has_done(
    script: Callable[[str], str],
    line: str,
    held: frozenset[Address] | None,
    acquired: bool,
    released: bool,
) -> None:
    """`acquire` needs all addresses to be there, `release` none, or else status 0."""
    subject = Subject(script(line), script(line))
    subject.held = held

    assert subject.vips.acquire(STEP) == []
    assert subject.outcome() == [AddressesAcquired(acquired)]
    subject.vips.release(STEP)
    assert subject.outcome() == [AddressesReleased(released)]
    subject.vips.close()


CHECKED = frozenset(VIPS)
FINE = Held(CHECKED)
BEING_CHECKED = Held(CHECKED, tentative=CHECKED)
DUPLICATE = Held(frozenset({OURS}), duplicates=CHECKED)

TAKEN = AddressesAcquired(True)
FAILED = AddressesAcquired(False)


class Checked(Subject):
    """With an up script that adds without `nodad`, and always exits with 0.

    `states` is what the kernel says after the first run of it, after the second, ...
    """

    def __init__(
        self, script: Callable[[str], str], directory: Path, *states: Held
    ) -> None:
        self.notes = directory / "notes"
        self.notes.touch()
        up = script(f"echo up $CARPPCAP_CAUSE >>{self.notes}")
        down = script(f"echo down $CARPPCAP_CAUSE >>{self.notes}; exit 1")
        super().__init__(up, down)
        self.states = states

    def look(self) -> Held:
        return self.states[min(self.ran.count("up"), len(self.states)) - 1]

    @property
    def ran(self) -> list[str]:
        """What ran, and why."""
        return self.notes.read_text().split()

    def settle(self) -> list[VipsNews]:
        """What is told of the up script until no script runs any more.

        At the end of the down script the next one may have taken the address.
        """
        return [one for one in self._settle() if isinstance(one, AddressesAcquired)]

    def _settle(self) -> list[VipsNews]:
        news = self.vips.tend(0)
        for _ in range(1000):
            if self.vips.scripts.idle:
                return news
            time.sleep(0.005)
            news += self.vips.tend(0)
        raise AssertionError("the scripts do not end")


def test_an_address_that_is_checked(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """It is announced at once, for the other family, and when the check has ended."""
    subject = Checked(script, tmp_path, BEING_CHECKED)
    subject.vips.acquire(STEP)
    assert subject.settle() == [TAKEN]
    assert subject.vips.deadline == LOOK_NS
    assert subject.vips.tend(LOOK_NS - 1) == []
    assert subject.vips.tend(LOOK_NS) == []
    assert subject.vips.deadline == 2 * LOOK_NS

    subject.states = (FINE,)

    assert subject.vips.tend(2 * LOOK_NS) == [TAKEN]
    assert subject.vips.deadline is None


@pytest.mark.parametrize("is_in_time", [True, False])
@pytest.mark.parametrize("ok", [True, False])
def test_a_duplicate(
    script: Callable[[str], str], tmp_path: Path, is_in_time: bool, ok: bool
) -> None:
    """Whatever the script says: it is dropped and taken once more, and then it counts.

    The check fails before the script ends, or later.
    """
    first = DUPLICATE if is_in_time else BEING_CHECKED
    subject = Checked(script, tmp_path, first, BEING_CHECKED)
    subject.vips.acquire(STEP)
    news = subject.settle()
    if not is_in_time:
        subject.states = (DUPLICATE, BEING_CHECKED)
        assert subject.vips.tend(LOOK_NS) == []
        news += subject.settle()
    assert news == [TAKEN] * (not is_in_time)
    lost = "down address_lost up address_lost"
    assert subject.ran == f"up master_down {lost}".split()

    subject.states = (FINE if ok else DUPLICATE,)
    assert subject.vips.tend(LOOK_NS) == [TAKEN if ok else FAILED]
    assert subject.vips.deadline is None
    warned = [text for text in subject.log.texts if "Duplicate address" in text]
    assert len(warned) == (1 if ok else 2)
    assert all("10.1.1.4, 10.1.1.252" in text for text in warned)
    assert all("nodad" in text for text in warned)


@pytest.mark.parametrize("left", [frozenset(), frozenset({VIP})], ids=["none", "one"])
def test_an_address_that_is_removed_while_it_is_checked(
    script: Callable[[str], str], tmp_path: Path, left: frozenset[Address]
) -> None:
    """The end of the check is no success without all addresses."""
    subject = Checked(script, tmp_path, DUPLICATE, BEING_CHECKED)
    subject.vips.acquire(STEP)
    assert subject.settle() == []

    subject.states = (Held(left),)

    assert subject.vips.tend(LOOK_NS) == [FAILED]
    assert subject.vips.deadline is None


def test_an_address_of_a_cloud_beside_one_that_is_checked(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """An address that was never on this host is not missed at the end of the check."""
    one = frozenset({VIP})
    subject = Checked(script, tmp_path, Held(one, tentative=one))
    subject.vips.acquire(STEP)
    assert subject.settle() == [TAKEN]

    subject.states = (Held(one),)

    assert subject.vips.tend(LOOK_NS) == [TAKEN]


def test_a_duplicate_both_times(script: Callable[[str], str], tmp_path: Path) -> None:
    """A master without the address is none; when it is master again, it tries again."""
    subject = Checked(script, tmp_path, DUPLICATE)
    for _ in range(2):
        subject.vips.acquire(STEP)
        assert subject.settle() == [FAILED]
        subject.vips.release(STEP)
        assert subject.settle() == []
    assert subject.ran.count("up") == 4


def test_a_check_that_does_not_end(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """Announced it was; but the second time it counts."""
    subject = Checked(script, tmp_path, BEING_CHECKED)
    subject.vips.acquire(STEP)
    subject.settle()
    assert subject.vips.tend(CHECK_MAX_NS) == []
    assert subject.vips.deadline is None

    subject.states = (BEING_CHECKED, DUPLICATE, BEING_CHECKED)
    subject.vips.acquire(STEP)
    assert subject.settle() == []
    assert subject.vips.tend(CHECK_MAX_NS) == [FAILED]


def test_a_duplicate_that_is_to_go(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """It is not taken again."""
    subject = Checked(script, tmp_path, DUPLICATE)
    subject.vips.acquire(STEP)
    subject.vips.release(STEP)

    assert subject.settle() == [FAILED]
    assert subject.ran == "up master_down down master_down".split()


def test_without_scripts_it_is_done_at_once() -> None:
    """There is no script to wait for."""
    subject = Subject()
    before = subject.vips.scripts.idle
    assert subject.vips.acquire(STEP) == []
    waiting = subject.vips.scripts.idle
    assert subject.vips.tend(0) == [AddressesAcquired(True)]

    assert (before, waiting, subject.vips.scripts.idle) == (True, False, True)
    assert subject.vips.scripts.command == ()
    assert subject.vips.scripts.deadline is None
    assert not subject.vips.is_lost


def test_a_script_gets_the_first_address(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """It is an argument, as with ucarp; the environment has all addresses."""
    notes = tmp_path / "notes"
    up = script(f'echo "$* $CARPPCAP_ADDRESSES $CARPPCAP_STATE" >{notes}')
    subject = Subject(up, xparam="x y")
    subject.vips.acquire(STEP)
    assert subject.vips.scripts.command == (up, "eth0", "10.1.1.252", "x y")
    subject.outcome()

    assert notes.read_text() == "eth0 10.1.1.252 x y 10.1.1.252/24 10.1.1.4 MASTER\n"
    assert f"Spawning [{up} eth0 10.1.1.252 x y]" in subject.log.texts


ANSWER = (RivalAnswered(VIP, b"\2\0\0\0\0\x09"), AnnounceAddresses())
CONTESTED = Step(0, "eth0", 7, Tick(), ANSWER, State.MASTER, None)


def until_idle(subject: Subject) -> list[VipsNews]:
    """Return what is told until no script runs any more."""
    news: list[VipsNews] = []
    for _ in range(1000):
        news += subject.vips.tend(0)
        if subject.vips.idle:
            return news
        time.sleep(0.005)
    raise AssertionError("the script does not end")


@pytest.mark.parametrize("code", [0, 1])
def test_a_rival(script: Callable[[str], str], tmp_path: Path, code: int) -> None:
    """The up script runs again if that is wanted, and its exit code has no effect."""
    notes = tmp_path / "notes"
    up = script(f'echo "$1 $2 $CARPPCAP_CAUSE" >>{notes}; exit {code}')
    subject = Subject(up, on_conflict=OnConflict.SCRIPT)
    subject.held = frozenset({OURS, *VIPS})
    subject.vips.acquire(STEP)
    subject.outcome()

    for _ in range(2):  # The second one comes while the script runs.
        subject.vips.note(CONTESTED, None)
    is_telling = [subject.vips.is_telling]
    assert until_idle(subject) == []
    assert [*is_telling, subject.vips.is_telling] == [True, False]

    assert notes.read_text().splitlines() == [
        "eth0 10.1.1.252 master_down",
        "eth0 10.1.1.252 rival",
    ]
    complaints = [text for text in subject.log.texts if "exited with code 1" in text]
    assert len(complaints) == 2 * code
    assert subject.log.texts.count(f"Spawning [{up} eth0 10.1.1.252]") == 2


def test_a_rival_without_the_option(script: Callable[[str], str]) -> None:
    """No script runs."""
    subject = Subject(script("exit 0"))
    subject.vips.acquire(STEP)
    subject.outcome()

    subject.vips.note(CONTESTED, None)

    assert subject.vips.idle


@pytest.mark.parametrize(
    ("after", "news"),
    [(frozenset({OURS}), [AddressesLost()]), (None, []), (frozenset(VIPS), [])],
)
def test_what_is_missing_after_a_script_about_a_rival(
    script: Callable[[str], str],
    after: frozenset[Address] | None,
    news: list[VipsNews],
) -> None:
    """It counts as lost if it was there before and the host is still to have it."""
    subject = Subject(script("exit 0"), script("exit 0"), on_conflict=OnConflict.SCRIPT)
    subject.held = frozenset(VIPS)
    subject.vips.acquire(STEP)
    subject.outcome()

    subject.vips.note(CONTESTED, None)
    subject.held = after
    assert until_idle(subject) == news

    subject.held = frozenset(VIPS)
    subject.vips.note(CONTESTED, None)
    subject.vips.release(STEP)
    subject.held = after
    assert AddressesLost() not in until_idle(subject)


def test_the_down_script_follows_the_one_about_a_rival(
    script: Callable[[str], str], tmp_path: Path
) -> None:
    """One script at a time, and the last word is that of the down script."""
    notes = tmp_path / "notes"
    up = script(f'sleep 0.1; echo "up $CARPPCAP_CAUSE" >>{notes}')
    down = script(f"echo down >>{notes}")
    subject = Subject(up, down, on_conflict=OnConflict.SCRIPT)
    subject.vips.acquire(STEP)
    subject.outcome()

    subject.vips.note(CONTESTED, None)
    subject.vips.release(STEP)

    assert subject.outcome() == [AddressesReleased(True)]
    assert notes.read_text().splitlines() == ["up master_down", "up rival", "down"]


def test_renamed(fake: type[FakeInterface], script: Callable[[str], str]) -> None:
    """Scripts get an alias as it was given, and later the new name of the interface."""
    up, down = script('echo "$CARPPCAP_INTERFACE"'), script("exit 0")
    subject = Subject(up, down, vmac=True, interface="eth0:1")
    assert fake.deeds[0].startswith("make eth0 7 ")
    subject.vips.rename("eth0:1")
    subject.vips.acquire(STEP)
    before = subject.vips.scripts.command
    subject.outcome()

    subject.vips.rename("wan0")
    subject.vips.release(STEP)

    assert (before[1], subject.vips.scripts.command[1]) == ("eth0:1", "wan0")
    assert subject.vips.scripts.environment["CARPPCAP_INTERFACE"] == "wan0"
    assert subject.vips._interface is not None
    assert subject.vips._interface.parent == "wan0"
    assert subject.vips.own_index == 12
    subject.outcome()
    assert Subject().vips.own_index == 0


def test_a_script_that_hangs_can_be_killed(script: Callable[[str], str]) -> None:
    """A second request to stop kills the script."""
    subject = Subject(down=script("exec sleep 60"))
    subject.vips.release(STEP)
    assert not subject.vips.scripts.idle

    subject.vips.scripts.kill()

    subject.held = frozenset(VIPS)
    assert subject.outcome() == [AddressesReleased(False)]


def test_an_interface_of_our_own(fake: type[FakeInterface]) -> None:
    """It has the addresses before anything else is asked; scripts follow."""
    subject = Subject(vmac=True)
    assert fake.deeds == [f"make eth0 7 {((VIP, 24), (LOWER, None))}"]

    assert subject.vips.acquire(STEP) == [AddressesAcquired(True)]
    assert subject.vips.tend(0) == []
    subject.vips.release(STEP)
    assert subject.vips.tend(0) == [AddressesReleased(True)]
    subject.vips.close()

    assert fake.deeds[1:] == ["acquire", "release", "close"]


@pytest.mark.parametrize("is_master", [True, False])
def test_abandoning(fake: type[FakeInterface], tmp_path: Path, is_master: bool) -> None:
    """What was taken is let go of, and only that."""
    down = tmp_path / "down"
    down.write_text(f"#!/bin/sh\necho $CARPPCAP_STATE >{tmp_path}/told\n")
    down.chmod(0o755)
    subject = Subject(down=str(down), vmac=True)
    if is_master:
        subject.vips.acquire(STEP)

    abandon([subject.vips])

    assert fake.deeds[1:] == ["acquire", "release"] * is_master
    assert subject.vips.scripts.idle
    told = tmp_path / "told"
    assert (told.read_text() if is_master else told.exists()) == (
        "INIT\n" if is_master else False
    )


def test_abandoning_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake in one group does not keep another one's addresses."""
    ran = tmp_path / "ran"
    down = tmp_path / "down"
    down.write_text(f"#!/bin/sh\necho down >>{ran}\n")
    up = tmp_path / "up"
    up.write_text("#!/bin/sh\nsleep 0.2\n")
    for script in (up, down):
        script.chmod(0o755)
    broken, sound = Subject(), Subject(str(up), str(down))
    broken.vips.acquire(STEP)
    sound.vips.acquire(STEP)
    monkeypatch.setattr(broken.vips, "tend", Mock(side_effect=RuntimeError))
    monkeypatch.setattr("carppcap.daemon.vips.ABANDON_NS", NS_PER_S)

    abandon([broken.vips, sound.vips])

    assert ran.read_text() == "down\n"


def test_an_up_script_after_our_own_interface(
    fake: type[FakeInterface], script: Callable[[str], str]
) -> None:
    """The addresses are there at once; what the script says comes when it ends."""
    subject = Subject(script("exit 1"), vmac=True)
    subject.held = frozenset(VIPS)

    assert subject.vips.acquire(STEP) == [AddressesAcquired(True)]
    assert subject.outcome() == [AddressesAcquired(True)]
    assert fake.deeds[1:] == ["acquire"]


def test_an_interface_that_is_taken_away(fake: type[FakeInterface]) -> None:
    """A loss counts only while this host wants the addresses."""
    subject = Subject(vmac=True)
    fake.has = False
    lost = [subject.vips.is_lost]
    subject.vips.acquire(STEP)
    lost.append(subject.vips.is_lost)
    fake.has = True
    lost.append(subject.vips.is_lost)
    fake.has = False
    subject.vips.release(STEP)
    lost.append(subject.vips.is_lost)

    assert lost == [False, True, False, False]
    subject.vips.acquire(STEP)
    fake.fails = "has"
    assert subject.vips.is_lost


def test_an_interface_that_cannot_be_made(fake: type[FakeInterface]) -> None:
    """No script is run for an address that is not there."""
    subject = Subject("/bin/true", vmac=True)
    fake.fails = "acquire"

    assert subject.vips.acquire(STEP) == [AddressesAcquired(False)]
    assert subject.vips.scripts.idle
    assert not subject.vips.is_lost
    assert subject.log.lines == [("ERROR", "no room for macvlan")]


def test_an_interface_that_cannot_be_removed(fake: type[FakeInterface]) -> None:
    """It is logged, and the addresses do not count as released."""
    subject = Subject(vmac=True)
    subject.vips.acquire(STEP)
    subject.vips.tend(0)
    fake.fails = "release"
    subject.held = frozenset({VIP})
    subject.vips.release(STEP)

    assert ("ERROR", "stuck") in subject.log.lines
    assert subject.vips.tend(0) == [AddressesReleased(False)]

    fake.fails = ""
    subject.vips.release(STEP)
    assert subject.vips.tend(0) == [AddressesReleased(True)]
