"""Real time: this process runs when it is due, whatever else the machine does.

    SCHED_RR        CAP_SYS_NICE or RLIMIT_RTPRIO     busy processes do not delay us
    locked memory   CAP_IPC_LOCK or RLIMIT_MEMLOCK    nor does a machine that swaps
    oom_score_adj   CAP_SYS_RESOURCE                  others are killed before us

Each is taken only if it is permitted, and none is inherited by scripts: the scheduler
resets itself (SCHED_RESET_ON_FORK), locks end with execve(2), and `given_back` covers
the rest.

A real-time process that never waits would take its processor from all others.  This
one waits when it has nothing to do, and in a flood `breathe` makes it wait.  If it does
not for `BUSY_MAX_US` all the same, RLIMIT_RTTIME sends SIGXCPU, and it goes on as an
ordinary process.  The hard limit, which kills, stays what it is.
"""

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from carppcap.units import NS_PER_MS, Interval

PRIORITY = 10
"""Above ordinary processes, below the threads of the kernel (50 and more)."""

OOM_SCORE_ADJ = -900
"""-1000 would make a leak of ours a matter for all others."""

BUSY_MAX_US = 1_000_000
"""The longest turn of the loop that real time is for."""

BUSY_NS: Interval = 100 * NS_PER_MS
"""Processor time after which a process that did not wait has to breathe."""

BREATH_S = 0.001

_OOM_FILE = "/proc/self/oom_score_adj"
_CAP_IPC_LOCK = 14
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


@dataclass(slots=True)
class _Taken:
    """The values that this process had before it entered real time."""

    rttime_us: tuple[int, int] | None = None
    oom_score_adj: str | None = None
    breathed_ns: Interval = 0
    waits: int = 0


_taken = _Taken()
"""Scheduling is a property of the whole process."""


def enter() -> str:
    """Take what is permitted; return a sentence for the log."""
    taken, refused = [], []
    for what, name, attempt in (
        (f"SCHED_RR {PRIORITY}", "scheduling", _schedule),
        ("memory locked", "memory", _lock_memory),
        (f"oom_score_adj {OOM_SCORE_ADJ}", "oom_score_adj", _lower_oom_score),
    ):
        try:
            taken.append(what if attempt() else f"{name} as it was given")
        except (OSError, ValueError):
            refused.append(what)
    sentence = f"Real time: {', '.join(taken) or 'nothing'}"
    return sentence + (f" (not permitted: {', '.join(refused)})" if refused else "")


def leave() -> None:
    """Go on as an ordinary process."""
    # Without the flag, which cannot be cleared by all, the kernel may refuse.
    policy = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK
    with suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(0))
    _limit_rttime(_taken.rttime_us)
    _taken.rttime_us = None


@contextmanager
def given_back() -> Iterator[None]:
    """Start a child in this context, which then inherits nothing of real time."""
    limits, score = _taken.rttime_us, _taken.oom_score_adj
    _limit_rttime(limits)
    with suppress(OSError):  # A host without descriptors has other worries.
        if score is not None:
            _write_oom_score(score)
    try:
        yield
    finally:
        if limits is not None and _taken.rttime_us is not None:
            _limit_rttime((BUSY_MAX_US, limits[1]))
        with suppress(OSError):
            if score is not None:
                _write_oom_score(f"{OOM_SCORE_ADJ}")


def breathe() -> None:
    """Wait for a moment if this process has not waited by itself for `BUSY_NS`."""
    if _taken.rttime_us is None:
        return
    used_ns = time.process_time_ns()
    if used_ns - _taken.breathed_ns < BUSY_NS:
        return
    waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    if waits == _taken.waits:
        time.sleep(BREATH_S)
        waits += 1
    _taken.breathed_ns, _taken.waits = used_ns, waits


def _schedule() -> bool:
    """Enter real-time scheduling; return True if that was done.

    Return False, and change nothing, if our parent has chosen a policy or a nice value:
    scripts could not get that nice value back.  Raises `OSError` or `ValueError` if
    real time is not permitted.
    """
    policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    if policy != os.SCHED_OTHER or os.getpriority(os.PRIO_PROCESS, 0) > 0:
        return False
    limits = resource.getrlimit(resource.RLIMIT_RTTIME)
    signal.signal(signal.SIGXCPU, _leave_at_the_limit)
    signal.siginterrupt(signal.SIGXCPU, False)
    try:
        _limit_rttime((BUSY_MAX_US, limits[1]))
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(PRIORITY))
    except (OSError, ValueError):
        _limit_rttime(limits)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        raise
    _taken.rttime_us = limits
    return True


def _leave_at_the_limit(number: int, frame: object) -> None:
    """Handle SIGXCPU from RLIMIT_RTTIME.  A later one would be from RLIMIT_CPU."""
    leave()
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)


def _limit_rttime(limits: tuple[int, int] | None) -> None:
    if limits is not None:
        resource.setrlimit(resource.RLIMIT_RTTIME, limits)


def _lock_memory() -> bool:
    """Lock the memory of this process, so that it is not swapped; return True.

    Raises `OSError` if that is not permitted, or if this Python has no `ctypes`.
    """
    if not _may_lock_all():
        raise PermissionError
    try:
        # Imported late: it takes 2 ms and 0.2 MB.
        import ctypes  # noqa: PLC0415
    except ImportError:  # This Python was built without libffi.
        raise PermissionError from None

    flags = _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT
    if ctypes.CDLL(None).mlockall(flags) != 0:
        raise PermissionError
    return True


def _may_lock_all() -> bool:
    """True if we may lock any amount of memory.

    Under a limit all further allocations would fail once the limit is reached.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY:
        return True
    with open("/proc/self/status", encoding="ascii") as file:
        values = dict(line.split(":", 1) for line in file)
    return bool(int(values.get("CapEff", "0"), 16) >> _CAP_IPC_LOCK & 1)


def _lower_oom_score() -> bool:
    """Lower our `oom_score_adj`; return False if it was as low before.

    Raises `OSError` if that is not permitted.
    """
    with open(_OOM_FILE, encoding="ascii") as file:
        before = file.read().strip()
    if int(before) <= OOM_SCORE_ADJ:
        return False
    _write_oom_score(f"{OOM_SCORE_ADJ}")
    _taken.oom_score_adj = before
    return True


def _write_oom_score(score: str) -> None:
    with open(_OOM_FILE, "w", encoding="ascii") as file:
        file.write(score)
