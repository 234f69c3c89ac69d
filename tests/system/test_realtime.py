"""Real time: taken where it is permitted, left when too busy, inherited by no child."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from carppcap.system import realtime
from tests.shell import environment

EVERYTHING = "Real time: SCHED_RR 10, memory locked, oom_score_adj -900"


def _is_permitted() -> bool:
    probe = (
        "from carppcap.system import realtime; import os, sys; "
        "os.getpriority = lambda *_: 0; "
        "sys.exit('SCHED_RR 10, memory locked' not in realtime.enter())"
    )
    command = [sys.executable, "-c", probe]
    return subprocess.run(command, check=False, env=environment()).returncode == 0


needs_permission = pytest.mark.skipif(
    not _is_permitted(), reason="real time is not permitted here"
)


@pytest.fixture(autouse=True)
def score(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Give this process back what it was; return a file in place of its score.

    Who may not lower the score could not undo a change either.
    """
    monkeypatch.setattr(realtime, "_taken", realtime._Taken())
    monkeypatch.setattr(os, "getpriority", lambda *_: 0)
    file = tmp_path / "oom_score_adj"
    file.write_text("5\n")
    monkeypatch.setattr(realtime, "_OOM_FILE", str(file))
    policy = os.sched_getscheduler(0)
    limits = resource.getrlimit(resource.RLIMIT_RTTIME)
    handler = signal.getsignal(signal.SIGXCPU)
    yield file
    os.sched_setscheduler(0, policy, os.sched_param(0))
    resource.setrlimit(resource.RLIMIT_RTTIME, limits)
    signal.signal(signal.SIGXCPU, handler)
    ctypes.CDLL(None).munlockall()


def scheduler() -> int:
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK


def has_locked_memory() -> bool:
    return " lo " in Path("/proc/self/smaps").read_text()


@needs_permission
def test_everything_that_is_permitted_is_taken(score: Path) -> None:
    """The scheduler, the memory and the score are what the log says."""
    assert realtime.enter() == EVERYTHING

    assert os.sched_getscheduler(0) == os.SCHED_RR | os.SCHED_RESET_ON_FORK
    assert os.sched_getparam(0).sched_priority == realtime.PRIORITY
    assert resource.getrlimit(resource.RLIMIT_RTTIME)[0] == realtime.BUSY_MAX_US
    assert score.read_text() == "-900"
    assert has_locked_memory()


CHILD = """
chrt -p $$ | sed "s/pid .*:/:/"; ulimit -r; ulimit -R; ulimit -l
cat /proc/self/oom_score_adj
"""


def child_says() -> str:
    command = ["bash", "-c", CHILD]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@needs_permission
def test_a_child_inherits_nothing(score: Path) -> None:
    """Policy, priority, score and limits are those of before; ours stay."""
    before = child_says()
    realtime.enter()

    with realtime.given_back():
        assert child_says() == before
        assert score.read_text() == "5"

    assert "SCHED_OTHER" in before
    assert scheduler() == os.SCHED_RR
    assert resource.getrlimit(resource.RLIMIT_RTTIME)[0] == realtime.BUSY_MAX_US
    assert score.read_text() == "-900"


@needs_permission
def test_a_process_that_is_too_busy_becomes_an_ordinary_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It lives on; its next SIGXCPU is not ours, and its children are as before."""
    monkeypatch.setattr(realtime, "BUSY_MAX_US", 20_000)
    before = child_says()
    realtime.enter()

    until_ns = time.monotonic_ns() + 2_000_000_000
    while scheduler() == os.SCHED_RR and time.monotonic_ns() < until_ns:
        pass

    assert scheduler() == os.SCHED_OTHER
    assert signal.getsignal(signal.SIGXCPU) is signal.SIG_DFL
    limits = resource.getrlimit(resource.RLIMIT_RTTIME)
    assert limits[0] == resource.RLIM_INFINITY
    with realtime.given_back():
        assert child_says() == before
    assert resource.getrlimit(resource.RLIMIT_RTTIME) == limits


@needs_permission
def test_breathing_is_enough_to_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is always busy, but breathes, meets no limit."""
    monkeypatch.setattr(realtime, "BUSY_MAX_US", 200_000)
    monkeypatch.setattr(realtime, "BUSY_NS", 20_000_000)
    realtime.enter()

    until_ns = time.monotonic_ns() + 1_000_000_000
    while time.monotonic_ns() < until_ns:
        realtime.breathe()

    assert scheduler() == os.SCHED_RR


def test_who_waits_by_itself_need_not_breathe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a busy process pauses, and only one that is scheduled in real time."""
    pauses: list[float] = []
    used_ns = [0]
    waits = [0]
    usage = type("Usage", (), {"ru_nvcsw": property(lambda _: waits[0])})
    monkeypatch.setattr(time, "process_time_ns", lambda: used_ns[0])
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(resource, "getrusage", lambda _: usage())

    def use(ms: int, more_waits: int = 0) -> int:
        used_ns[0] += ms * 1_000_000
        waits[0] += more_waits
        realtime.breathe()
        return len(pauses)

    assert use(500) == 0
    realtime._taken.rttime_us = (-1, -1)
    assert use(0, more_waits=1) == 0
    assert use(99) == 0
    assert use(1) == 1
    waits[0] += 1  # the pause itself
    assert use(100, more_waits=1) == 1
    assert use(100) == 2


def no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)


def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "_CAP_IPC_LOCK", 63)
    monkeypatch.setattr(resource, "RLIM_INFINITY", -2)


def no_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    # On any machine it is `ctypes` that lacks, not the permission.
    monkeypatch.setattr(realtime, "_may_lock_all", lambda: True)
    monkeypatch.setitem(sys.modules, "ctypes", None)


def no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(realtime, "_OOM_FILE", "/nonexistent")


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        pytest.param(
            (no_scheduler,),
            "memory locked, oom_score_adj -900 (not permitted: SCHED_RR 10)",
            marks=needs_permission,
        ),
        pytest.param(
            (no_locks,),
            "SCHED_RR 10, oom_score_adj -900 (not permitted: memory locked)",
            marks=needs_permission,
        ),
        (
            (no_scheduler, no_locks, no_file),
            "nothing (not permitted: SCHED_RR 10, memory locked, oom_score_adj -900)",
        ),
        (
            (no_scheduler, no_ctypes, no_file),
            "nothing (not permitted: SCHED_RR 10, memory locked, oom_score_adj -900)",
        ),
    ],
)
def test_what_is_not_permitted_is_left(
    monkeypatch: pytest.MonkeyPatch,
    refusals: tuple[object, ...],
    expected: str,
) -> None:
    """One line tells what was taken and what was not, and nothing else changes."""
    with monkeypatch.context() as refused:
        for refuse in refusals:
            refuse(refused)  # type: ignore[operator]

        assert realtime.enter() == f"Real time: {expected}"

    if no_scheduler in refusals:
        assert signal.getsignal(signal.SIGXCPU) is signal.SIG_DFL
        assert resource.getrlimit(resource.RLIMIT_RTTIME)[0] == resource.RLIM_INFINITY


@needs_permission
def test_a_nice_process_stays_nice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would make its children less nice."""
    monkeypatch.setattr(os, "getpriority", lambda *_: 1)

    assert "scheduling as it was given" in realtime.enter()
    assert scheduler() == os.SCHED_OTHER


@needs_permission
def test_what_started_us_may_have_chosen(score: Path) -> None:
    """A policy and a lower score that were given stay, and children have them."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(3))
    score.write_text("-1000")

    assert realtime.enter() == (
        "Real time: scheduling as it was given, memory locked, oom_score_adj as it was "
        "given"
    )
    with realtime.given_back():
        said = child_says()

    assert os.sched_getparam(0).sched_priority == 3
    assert "SCHED_RR" in said
    assert score.read_text() == "-1000"
