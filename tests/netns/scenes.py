"""Helpers that the scenarios share: pairs of programs, and waiting for a calm group.

With NETNS_PROGRAM=ucarp, ucarp runs in place of carppcap too, which tests the scenarios
themselves.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import pytest

from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for

OURS = os.environ.get("NETNS_PROGRAM", "carppcap")
UCARP = "ucarp"
IS_OURS_TESTED = OURS != UCARP

MIXED = list(dict.fromkeys([(OURS, UCARP), (UCARP, OURS)]))
ALL = list(dict.fromkeys([*MIXED, (OURS, OURS)]))

mixed_pairs = pytest.mark.parametrize(("first", "second"), MIXED)
"""Parameters: carppcap first and ucarp second, and the other way round."""

all_pairs = pytest.mark.parametrize(("first", "second"), ALL)
"""Parameters: the mixed pairs, and carppcap on both hosts."""

any_peer = pytest.mark.parametrize("peer", list(dict.fromkeys([UCARP, OURS])))
"""Parameter: the program of the peer of carppcap, ucarp or carppcap."""

BUSY = ("sh", "-c", "while :; do :; done")

any_program = pytest.mark.parametrize("program", list(dict.fromkeys([UCARP, OURS])))
"""Parameter: the program under test, ucarp or carppcap."""

only_ours = pytest.mark.skipif(
    not IS_OURS_TESTED, reason="a promise that ucarp does not make"
)

PATIENT = "-r 10"
"""Flags of a backup that waits at least 10 s for a silent master.  If it takes over
earlier, it has another reason."""


def await_state(daemon: Daemon, state: str) -> None:
    """Wait until the last state that `daemon` logged is `state`."""
    wait_for(f"{daemon.log.stem} to be {state}", lambda: daemon.state == state)


def await_rule(lab: Lab, host: Host, daemon: Daemon, adverts: int = 2) -> None:
    """Wait until `daemon` on `host` is the only master and has all addresses.

    The last `adverts` adverts on the wire must then be from `host`.
    """

    def rules() -> bool:
        if daemon.state != "MASTER" or lab.holders != (host,) or not host.holds_all:
            return False
        latest = lab.wire.adverts()[-adverts:]
        senders = {str(advert.source) for advert in latest}
        return len(latest) == adverts and senders <= set(host.addresses)

    wait_for(f"{host} to be the only master", rules)


def await_adverts(lab: Lab, host: Host, count: int) -> None:
    """Wait until `host` has sent `count` more adverts."""
    wanted = len(lab.wire.adverts(host.address)) + count
    wait_for(
        f"{count} adverts of {host}",
        lambda: len(lab.wire.adverts(host.address)) >= wanted,
        timeout_s=10.0 + 3.0 * count,
    )


def start_group(
    lab: Lab, *members: tuple[str, str], before: Sequence[str] = ()
) -> list[Daemon]:
    """Start a daemon on each host, given as (program, flags); return the daemons.

    The first becomes master.  The others are started then, and are backups that have
    heard the master.  `before` is that of `Host.start`.
    """
    master = lab.hosts[0].start(*members[0], before=before)
    await_rule(lab, lab.hosts[0], master, adverts=1)
    others = [
        host.start(*member, before=before)
        for host, member in zip(lab.hosts[1:], members[1:], strict=True)
    ]
    for other in others:
        await_state(other, "BACKUP")
    await_adverts(lab, lab.hosts[0], 2)
    assert [other.states for other in others] == [["BACKUP"]] * len(others)
    return [master, *others]


def longest_gap_ns(lab: Lab, host: Host, since_ns: int = 0) -> int:
    """Return the longest time between two successive adverts of `host`."""
    return max(after - before for before, after in _gaps(lab, host, since_ns))


def longest_own_gap_ns(lab: Lab, host: Host, since_ns: int = 0) -> int:
    """Return the longest time between two successive adverts of `host`.

    The time that the machine itself stood still does not count, so this is not for
    scenarios that load the machine on purpose.
    """
    return max(
        after - before - lab.daemon_stalled_ns(before, after)
        for before, after in _gaps(lab, host, since_ns)
    )


def _gaps(lab: Lab, host: Host, since_ns: int) -> Iterable[tuple[int, int]]:
    """Return the times of each two successive adverts of `host`."""
    return pairwise(
        advert.time_ns for advert in lab.wire.adverts(host.address, since_ns)
    )


@contextmanager
def busy_loops(processors: Iterable[int], count: int) -> Iterator[None]:
    """Keep each of `processors` busy with `count` ordinary processes."""
    loops = [
        subprocess.Popen(["taskset", "-c", str(processor), *BUSY])
        for processor in processors
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
