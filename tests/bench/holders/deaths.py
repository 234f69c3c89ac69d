"""Measures how long two hosts have the address when a daemon fails and its host lives.

carppcap runs with `--own-addresses`, beside ucarp and keepalived in the same run.
"""

import os
import signal
import time
from collections.abc import Sequence
from contextlib import closing

from tests.bench.holders.contenders import (
    CARP,
    PROGRAMS,
    RIVALS,
    await_pace,
    begin,
    calm,
    processes,
)
from tests.bench.holders.play import (
    NONE,
    TWO,
    Case,
    Span,
    UnplayableError,
    lasting,
    outcomes,
    rows,
)
from tests.bench.keepalived import KEEPALIVED
from tests.bench.report import Row
from tests.bench.stage import OURS, UCARP
from tests.netns.faults import MemoryGroup, crowd, limit_memory
from tests.netns.lab import Lab
from tests.netns.planted import HANG, LEAK, PLANTED
from tests.netns.test_faults_host import FAKETIME, with_clock

WATCHED_S = 15.0
STOPPED_S = 10.0
ROOM_BYTES = 8 << 20


def killed(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program)
    sender = processes(master).sender
    now_ns = time.time_ns()
    os.kill(sender, signal.SIGKILL)
    return lasting(now_ns, WATCHED_S)


def companion_killed(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program)
    pid = processes(master).companion
    now_ns = time.time_ns()
    os.kill(pid, signal.SIGKILL)
    return lasting(now_ns, WATCHED_S)


def both_killed(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program)
    return _kill(processes(master).all)


def _kill(pids: Sequence[int]) -> Span:
    """Kill all `pids`, none of which may notice the end of another."""
    now_ns = time.time_ns()
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            os.kill(pid, number)
    return lasting(now_ns, WATCHED_S)


def stopped(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program)
    return _stop([processes(master).sender])


def both_stopped(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program)
    return _stop(processes(master).all)


def _stop(pids: Sequence[int]) -> Span:
    now_ns = time.time_ns()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    return lasting(now_ns, WATCHED_S)


def hung(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program, before=PLANTED)
    now_ns = time.time_ns()
    master.signal(HANG)
    return lasting(now_ns, WATCHED_S)


def leaking(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program, before=PLANTED)
    limit_memory(master.pid, ROOM_BYTES)
    now_ns = time.time_ns()
    master.signal(LEAK)
    return lasting(now_ns, WATCHED_S)


def leaking_in_group(lab: Lab, program: str) -> Span:
    try:
        group = MemoryGroup()
    except OSError as error:
        raise UnplayableError(f"needs a control group for memory: {error}") from error
    with closing(group):
        master, *_ = calm(lab, program, program, before=PLANTED)
        group.add(*processes(master).all)
        group.limit(ROOM_BYTES)
        now_ns = time.time_ns()
        master.signal(LEAK)
        return lasting(now_ns, WATCHED_S)


def no_more_memory(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, program)
    limit_memory(processes(master).sender)
    return lasting(time.time_ns(), WATCHED_S)


def clock_back(lab: Lab, program: str) -> Span:
    """Kill all its processes; start it a second later, with its clock an hour back."""
    if not FAKETIME:
        raise UnplayableError("needs the package faketime")
    clock = lab.directory / "clock"
    words = with_clock(clock)
    clock.write_text("-3600\n")
    master, *_ = calm(lab, program, program)
    pids = processes(master).all
    now_ns = time.time_ns()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(1)
    begin(lab.hosts[0], program, 0, before=words)
    return lasting(now_ns, WATCHED_S)


def locked(lab: Lab, program: str) -> Span:
    """Let the kernel remove thousands of interfaces, which takes it seconds."""
    with crowd() as namespace:
        calm(lab, program, program)
        now_ns = time.time_ns()
        namespace.close()
        return lasting(now_ns, WATCHED_S)


def killed_while_locked(lab: Lab, program: str) -> Span:
    with crowd() as namespace:
        master, *_ = calm(lab, program, program)
        sender = processes(master).sender
        await_pace(lab.hosts[0], 1)
        now_ns = time.time_ns()
        namespace.close()
        time.sleep(0.2)
        os.kill(sender, signal.SIGKILL)
        return lasting(now_ns, WATCHED_S)


def killed_among_strangers(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, UCARP, "freebsd")
    now_ns = time.time_ns()
    master.kill()
    return lasting(now_ns, WATCHED_S)


def both_killed_among_strangers(lab: Lab, program: str) -> Span:
    master, *_ = calm(lab, program, UCARP, "freebsd")
    return _kill(processes(master).all)


CASES = (
    Case("daemon killed", killed, 0.01, 0.1, is_promise=True),
    Case(
        "keeper killed (of keepalived, its parent)",
        companion_killed,
        *(0.01, 0.01),
        programs=(OURS, KEEPALIVED),
    ),
    Case("both killed", both_killed, 0.01, 3.1, is_promise=True),
    Case("daemon stopped for 10 s", stopped, 0.05, 1.0),
    Case("both stopped for 10 s", both_stopped, 0.05, 3.1),
    Case("daemon hangs (while True)", hung, 0.01, 1.0, programs=(OURS,)),
    Case("no more memory (RLIMIT_AS)", no_more_memory, 0.01, 0.01),
    Case("takes all memory (RLIMIT_AS)", leaking, 0.01, 0.2, programs=(OURS,)),
    Case(
        "takes all memory (control group)",
        leaking_in_group,
        *(0.01, 3.1),
        programs=(OURS,),
    ),
    Case("both killed, started 1 s later, clock 1 h back", clock_back, 0.01, 3.1),
    Case("kernel removes thousands of interfaces", locked, 0.01, 0.5, alone=True),
    Case("daemon killed meanwhile", killed_while_locked, 0.01, 3.1, alone=True),
    Case(
        "daemon killed, peers ucarp and FreeBSD",
        killed_among_strangers,
        *(0.05, 0.1),
        note="a ucarp that has heard a farewell takes over, although another has",
        hosts=3,
        programs=CARP,
    ),
    Case(
        "both killed, peers ucarp and FreeBSD",
        both_killed_among_strangers,
        *(0.05, 3.1),
        note="a ucarp that is late takes over beside the FreeBSD that was in time",
        hosts=3,
        programs=CARP,
    ),
)

TITLES = {
    TWO: "Time with two holders when a daemon fails, carppcap with --own-addresses",
    NONE: "Time with no holder when a daemon fails, carppcap with --own-addresses",
}


def run(quick: bool) -> list[Row]:
    return compared(CASES, TITLES, quick)


def compared(cases: tuple[Case, ...], titles: dict[str, str], quick: bool) -> list[Row]:
    """Play the cases with all programs; return the rows, in a section for each rival.

    `titles` gives the title of each measure.
    """

    def rounds(case: Case, program: str) -> int:
        if quick or case.alone:
            return 1
        return 10 if case.is_promise and program == OURS else 2

    found = outcomes(cases, PROGRAMS, rounds)
    return [
        row
        for measure, title in titles.items()
        for rival in RIVALS
        for row in rows(
            title if rival == UCARP else f"{title}, beside {rival}",
            *(measure, found, cases, rival),
        )
    ]
