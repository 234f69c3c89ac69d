"""The lock of a group: who gets it, who is named, who is asked to leave."""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from carppcap.errors import LinkError
from carppcap.system import lock
from carppcap.system.lock import GroupLock, Holder, sole_daemon
from tests.shell import MemoryLog, environment, wait_for

HOLD = """
import signal, sys, time
from carppcap.system import lock
from tests.shell import MemoryLog
lock.RUN, kind = sys.argv[1:]
asked = 0
def heed(number, frame):
    global asked
    asked += 1
    if asked == {"leaves": 1, "hangs": 2}.get(kind):
        sys.exit(0)
signal.signal(signal.SIGTERM, heed)
with lock.sole_daemon("eth0", 7, MemoryLog(), take_over=False):
    print("held", flush=True)
    while True:
        time.sleep(1)
"""
TAKING = "Taking over eth0 id 7 from process {pid}"


class Other:
    """Another process that holds the lock of eth0 id 7.

    Asked to leave, it `leaves`, or only when asked twice (`hangs`), or `stays`.
    """

    def __init__(self, kind: str = "leaves") -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", HOLD, lock.RUN, kind],
            env=environment(),
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"held\n"
        self.pid = self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in the place of /run."""
    monkeypatch.setattr(lock, "RUN", str(tmp_path))
    monkeypatch.setattr(lock, "PATIENCE_S", (0.3, 5.0))
    return tmp_path


@pytest.mark.parametrize(
    ("interface", "vhid", "is_same"),
    [
        ("eth0", 7, True),
        ("eth0:1", 7, True),
        ("eth0", 8, False),
        ("eth1", 7, False),
        ("eth0.7", 7, False),
    ],
)
def test_a_second_daemon(interface: str, vhid: int, is_same: bool) -> None:
    """It is told which process serves the group of the device already."""
    with closing(Other()) as other, ExitStack() as stack:
        second = sole_daemon(interface, vhid, MemoryLog(), take_over=False)
        if not is_same:
            stack.enter_context(second)
            return
        with pytest.raises(LinkError) as caught:
            stack.enter_context(second)

        words = f"Another daemon serves {interface} id 7 already: process {other.pid}"
        assert str(caught.value) == words
        assert caught.value.exit_status == 2
        assert other.is_running


@pytest.mark.parametrize("how", ["leave", "be killed"])
def test_after_the_first_daemon(run: Path, how: str) -> None:
    """The file stays, the lock does not, however its holder ended."""
    with closing(Other()) as other:
        os.kill(other.pid, signal.SIGTERM if how == "leave" else signal.SIGKILL)
        wait_for(lambda: not other.is_running)
    log = MemoryLog()

    with sole_daemon("eth0", 7, log, take_over=False):
        [file] = run.joinpath("carppcap").iterdir()
        assert file.read_text().split()[0] == str(os.getpid())

    network = os.stat("/proc/self/ns/net").st_ino
    assert file.name == f"{network}-eth0-7"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    assert log.lines == []


def test_a_script_does_not_inherit_the_lock() -> None:
    """What a script leaves behind must not keep the next daemon from starting."""
    with closing(GroupLock("eth0", 7)) as first:
        assert first.acquire()
        sleeper = subprocess.Popen(["sleep", "60"], close_fds=False)
    with closing(GroupLock("eth0", 7)) as second:
        assert second.acquire()
    sleeper.kill()
    sleeper.wait(20)


@pytest.mark.parametrize(
    ("kind", "requests"), [("leaves", 1), ("hangs", 2)], ids=["leaves", "hangs"]
)
def test_taking_over(kind: str, requests: int) -> None:
    """The first daemon is asked to leave, and asked again if it waits for a script."""
    log = MemoryLog()
    with closing(Other(kind)) as other:
        with sole_daemon("eth0", 7, log, take_over=True):
            wait_for(lambda: not other.is_running)

        assert log.lines == [("INFO", TAKING.format(pid=other.pid))] * requests


def test_taking_over_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    """There are never two."""
    monkeypatch.setattr(lock, "PATIENCE_S", (0.1, 0.1))
    with (
        closing(Other("stays")) as other,
        pytest.raises(LinkError, match=f"already: process {other.pid}$"),
        sole_daemon("eth0", 7, MemoryLog(), take_over=True),
    ):
        pytest.fail("there are two")


def test_taking_over_from_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one was quicker to succeed: it is asked as well."""
    log = MemoryLog()
    first, others = Other("stays"), list[Other]()

    def wait(_: float) -> None:
        if not others:
            first.close()
            others.append(Other())

    monkeypatch.setattr(time, "sleep", wait)
    monkeypatch.setattr(lock, "PATIENCE_S", (20.0,))
    with sole_daemon("eth0", 7, log, take_over=True):
        [other] = others
        wait_for(lambda: not other.is_running)

    other.close()
    assert log.texts == [TAKING.format(pid=one.pid) for one in (first, other)]


@pytest.mark.parametrize(
    "text", ["", "\n", "x y\n", "1\n", "{pid} 5\n", "999999999 5\n", "{pid}\n"]
)
def test_a_file_that_names_no_holder(
    run: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """A stale pid may be another process's: it is neither named nor signalled."""
    monkeypatch.setattr(lock, "PATIENCE_S", (0.1, 0.1))
    with closing(Other("stays")) as other:
        [file] = run.joinpath("carppcap").iterdir()
        file.write_text(text.format(pid=os.getpid()))

        with (
            pytest.raises(LinkError, match=r"already: process \?$"),
            sole_daemon("eth0", 7, MemoryLog(), take_over=True),
        ):
            pytest.fail("there are two")

        assert other.is_running


def test_a_process_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked, even where root could."""
    with closing(Other()) as other, closing(GroupLock("eth0", 7)) as second:
        holder = second.holder()
        assert holder is not None
        user = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: user + 1)
        holder.ask_to_leave()
        monkeypatch.undo()
        Holder(other.pid, holder.start + 1).ask_to_leave()
        assert not second.acquire()

        holder.ask_to_leave()

        wait_for(second.acquire)


@pytest.mark.parametrize(
    ("prepare", "why"),
    [
        ("mkdir -m 777", "other users can write to it"),
        ("mkdir -m 720", "other users can write to it"),
        ("mkdir -m 702", "other users can write to it"),
        ("touch", "Not a directory"),
        ("ln -s /tmp", "Not a directory"),
    ],
)
def test_a_directory_that_is_not_ours_alone(run: Path, prepare: str, why: str) -> None:
    """Another user could hold the lock: a warning, and no lock."""
    path = run / "carppcap"
    subprocess.run([*prepare.split(), path], check=True)
    log = MemoryLog()

    with sole_daemon("eth0", 7, log, take_over=True):
        pass

    words = "Warning: a second daemon for eth0 id 7 would not be noticed"
    assert log.lines == [("WARNING", f"{words}: {path}: {why}")]


@pytest.mark.parametrize(
    ("given", "base"), [("{run}/own", "own"), ("own", "user/4711"), ("", "user/4711")]
)
def test_the_directory_of_another_user(
    run: Path, monkeypatch: pytest.MonkeyPatch, given: str, base: str
) -> None:
    """It is XDG_RUNTIME_DIR, or where that usually is."""
    (run / "own").mkdir()
    (run / "user/4711").mkdir(parents=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", given.format(run=run))
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    log = MemoryLog()

    with sole_daemon("eth0", 7, log, take_over=False):
        pass

    # It belongs to us, and so not to that user.
    path = run / base / "carppcap"
    assert path.is_dir()
    assert log.texts[0].endswith(f": {path}: other users can write to it")


@pytest.mark.parametrize("name", ["../../x", "a/b", "\udcfc" * 300, "e" * 300, ""])
def test_odd_names(run: Path, name: str) -> None:
    """There is no such interface; the lock must not be elsewhere."""
    log = MemoryLog()
    with sole_daemon(name, 7, log, take_over=False):
        assert len(list(run.joinpath("carppcap").iterdir())) == 1
    assert log.lines == []


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is locked all the same, by a process that is not known."""

    def refuse(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with closing(GroupLock("eth0", 7)) as first, closing(GroupLock("eth0", 7)) as other:
        monkeypatch.setattr(os, "pwrite", refuse)
        assert first.acquire()
        assert not other.acquire()
        assert other.holder() is None
