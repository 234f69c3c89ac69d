"""Measures how long two hosts have the address when adverts of a live master are lost.

A switch forgets the multicast group of a port (IGMP snooping), or a cable loses frames.
carppcap runs with `--own-addresses`, beside ucarp and keepalived in the same run.
"""

import time
from collections.abc import Sequence

from tests.bench.holders.contenders import CARP, begin, calm
from tests.bench.holders.deaths import compared
from tests.bench.holders.play import NONE, TWO, Case, Scenario, Span, lasting
from tests.bench.report import Row
from tests.bench.stage import UCARP
from tests.netns.cable import Quality, bad_cables
from tests.netns.lab import Host, Lab, wait_for

DEAF_S = 12.0
WATCHED_S = 15.0
LOSS = 0.3
LOSSY_S = 60.0


def deaf(*numbers: int) -> Scenario:
    """Return a scenario in which no multicast reaches those hosts for `DEAF_S`."""

    def play(lab: Lab, program: str) -> Span:
        calm(lab, program, program)
        return _deafen([lab.hosts[number] for number in numbers])

    return play


def _deafen(hosts: Sequence[Host]) -> Span:
    now_ns = time.time_ns()
    for host in hosts:
        host.forward_multicast(False)
    time.sleep(DEAF_S)
    for host in hosts:
        host.forward_multicast(True)
    return lasting(now_ns, WATCHED_S)


def deaf_from_the_start(apart_s: float) -> Scenario:
    """Return a scenario in which two deaf hosts start, one so much later."""

    def play(lab: Lab, program: str) -> Span:
        for host in lab.hosts:
            host.forward_multicast(False)
        begin(lab.hosts[0], program, 0)
        time.sleep(apart_s)
        begin(lab.hosts[1], program, 1)
        first = wait_for("a holder", lambda: lab.addresses.changes)[0]
        return lasting(first.time_ns, WATCHED_S)

    return play


def lossy(lab: Lab, program: str) -> Span:
    """Let the cable of the backup lose frames, by the same random numbers each time."""
    calm(lab, program, program)
    with bad_cables(lab.hosts[1], quality=Quality(loss=LOSS), seed=7):
        return lasting(time.time_ns(), LOSSY_S)


def deaf_backup_among_strangers(lab: Lab, program: str) -> Span:
    calm(lab, program, program, "freebsd")
    return _deafen([lab.hosts[1]])


def deaf_ucarp_among_strangers(lab: Lab, program: str) -> Span:
    calm(lab, program, UCARP, "freebsd")
    return _deafen([lab.hosts[1]])


NOT_ANSWERED = "ucarp does not ask the master, and kernels do not answer: as ever"

CASES = (
    Case("no multicast to the backup, 12 s", deaf(1), 0.01, 0.01, is_promise=True),
    Case("no multicast to the master, 12 s", deaf(0), 0.01, 0.01),
    Case("no multicast at all, 12 s", deaf(0, 1), 0.01, 0.01, is_promise=True),
    Case("none from the start, second 5 s later", deaf_from_the_start(5), 0.1, 0.1),
    Case("none from the start, both at once", deaf_from_the_start(0), 0.1, 0.1),
    Case("30 % of all frames lost, 60 s", lossy, note="questions and answers, too"),
    Case(
        "backup deaf for 12 s, third a FreeBSD",
        deaf_backup_among_strangers,
        *(0.01, 0.01),
        hosts=3,
        programs=CARP,
    ),
    Case(
        "ucarp deaf for 12 s, third a FreeBSD",
        deaf_ucarp_among_strangers,
        note=NOT_ANSWERED,
        hosts=3,
        programs=CARP,
    ),
)

TITLES = {
    TWO: "Time with two holders when a live master is not heard",
    NONE: "Time with no holder when a live master is not heard",
}


def run(quick: bool) -> list[Row]:
    return compared(CASES, TITLES, quick)
