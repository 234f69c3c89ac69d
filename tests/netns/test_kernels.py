"""Tests carppcap in a group with a host that behaves like a BSD kernel.

Each of them is the backup of the other in turn.  Most tests run in IPv4, in IPv6 and in
both, while a client pings each virtual address.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.netns.daemons import Daemon
from tests.netns.lab import Lab, wait_for
from tests.netns.ping import Pinger, longest_outage_ns
from tests.netns.wire import NS_PER_S

SKEW_NS = NS_PER_S // 256
PATIENCE_NS = 3 * NS_PER_S
SLACK_NS = NS_PER_S
"""Time for scripts, for ARP, and for the other work of a busy machine."""

PING_INTERVAL_S = 0.05
OURS = "carppcap"
KERNELS = ("openbsd", "freebsd", "netbsd")

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_family = pytest.mark.parametrize("families", ["4", "6", "46"])
either_first = pytest.mark.parametrize("ours_is_first", [True, False])


class Scene:
    """Two hosts that share addresses, and a client that pings these."""

    def __init__(self, lab: Lab, kinds: tuple[str, str], stack: ExitStack) -> None:
        self.lab = lab
        self.hosts = dict(zip(kinds, lab.hosts, strict=False))
        self.daemons: dict[str, Daemon] = {}
        self._stack = stack
        self._pingers: list[Pinger] = []

    def start(self, kind: str, flags: str) -> Daemon:
        """Start carppcap or a simulated kernel; return it."""
        if kind != OURS:
            os.mkfifo(self._fifo(kind))
            flags += f" -x {self._fifo(kind)}"
        self.daemons[kind] = self.hosts[kind].start(kind, flags)
        return self.daemons[kind]

    def order(self, kind: str, words: str) -> None:
        """Give the kernel of that `kind` an order (see `bsd_peer`)."""
        self._fifo(kind).write_text(f"{words}\n")

    def await_master(self, kind: str, other: str = "") -> None:
        """Wait until host `kind` is the only master, and has sent one more advert."""
        self.await_only_master(kind, other)
        self.await_adverts(kind, 1)

    def await_only_master(self, kind: str, other: str = "") -> None:
        """Wait until host `kind` is master with all addresses, and `other` backup."""
        daemon, host = self.daemons[kind], self.hosts[kind]

        def rules() -> bool:
            is_alone = not other or self.daemons[other].state == "BACKUP"
            return daemon.state == "MASTER" and host.holds_all and is_alone

        wait_for(f"{kind} to be the only master", rules)

    def await_adverts(self, kind: str, count: int) -> None:
        """Wait until host `kind` has sent `count` more adverts in its last family."""
        own = self.hosts[kind].addresses[-1]
        wanted = len(self.lab.wire.adverts(own)) + count
        wait_for(
            f"{count} adverts of {kind}",
            lambda: len(self.lab.wire.adverts(own)) >= wanted,
        )

    def begin(self, first: tuple[str, str], second: tuple[str, str]) -> None:
        """Start a master and its backup, each given as (kind, flags), and the pings."""
        self.start(*first)
        self.await_master(first[0])
        self.start(*second)
        backup = self.daemons[second[0]]
        wait_for(f"{second[0]} to be BACKUP", lambda: backup.state == "BACKUP")
        self.ping()
        self.await_adverts(first[0], 2)
        assert backup.states == ["BACKUP"]

    def ping(self) -> None:
        """Let the client ping every address; wait until every address answers."""
        client = self.lab.hosts[-1]
        self._pingers = [
            self._stack.enter_context(Pinger(client, vip, PING_INTERVAL_S))
            for vip in self.lab.vips
        ]
        for pinger in self._pingers:
            pinger.await_answer(0)

    def lost_ns(self) -> int:
        """Return the longest time that an address did not answer.

        First wait until all addresses answer.  The time that the machine itself stood
        still does not count.
        """
        outage_ns, stalled_ns = longest_outage_ns(self.lab, self._pingers)
        return outage_ns - stalled_ns

    def _fifo(self, kind: str) -> Path:
        return self.lab.directory / f"{kind}.fifo"


@contextmanager
def scene(families: str, *kinds: str) -> Iterator[Scene]:
    """Yield a lab of two hosts of these `kinds` and a client.

    The first kind has the lower address.
    """
    first, second = kinds
    with Lab(3, families=families) as lab, ExitStack() as stack:
        yield Scene(lab, (first, second), stack)


@every_family
@every_kernel
@either_first
def test_a_crash(ours_is_first: bool, kernel: str, families: str) -> None:
    """After a crash the backup takes over at the end of its master-down interval."""
    first, second = (OURS, kernel) if ours_is_first else (kernel, OURS)
    with scene(families, first, second) as group:
        group.begin((first, "-k 0"), (second, "-k 20"))

        group.hosts[first].power_off()
        group.await_master(second)

        skews = 3 if second == "openbsd" else 1
        assert group.lost_ns() < PATIENCE_NS + skews * 20 * SKEW_NS + SLACK_NS


@every_family
@every_kernel
@either_first
def test_preemption_and_farewell(
    ours_is_first: bool, kernel: str, families: str
) -> None:
    """The better host takes over at once, and hands over at once when it ends.

    FreeBSD sends no farewell, so its peer waits for the master-down interval.
    """
    first, second = (OURS, kernel) if ours_is_first else (kernel, OURS)
    with scene(families, first, second) as group:
        group.start(first, "-k 100")
        group.await_master(first)
        group.ping()
        group.await_adverts(first, 2)  # It announces again with the last of them.
        group.start(second, "-k 10 -P -z")
        group.await_master(second, first)
        assert group.lost_ns() < SLACK_NS

        # After these adverts the replay guard knows that OpenBSD never changes its
        # counter, and does not take its farewell for a forgery.
        group.await_adverts(second, 4)
        group.daemons[second].signal(signal.SIGTERM)
        group.await_master(first)

        waits_ns = PATIENCE_NS + 100 * SKEW_NS if second == "freebsd" else 0
        assert group.lost_ns() < waits_ns + SLACK_NS
        assert group.daemons[second].wait() == 0


@every_family
@every_kernel
@either_first
def test_a_tie(ours_is_first: bool, kernel: str, families: str) -> None:
    """Of two equal masters that meet, one stays, in either order of addresses."""
    first, second = (OURS, kernel) if ours_is_first else (kernel, OURS)
    with scene(families, first, second) as group:
        group.lab.hosts[0].isolate()
        for kind in (first, second):
            group.start(kind, "-k 10")
        wait_for("two masters", lambda: len(_masters(group)) == 2)

        group.lab.hosts[0].rejoin()
        wait_for("one master", lambda: len(_masters(group)) == 1)
        time.sleep(6.0)  # longer than a master-down interval

        [master] = _masters(group)
        changes = {kind: len(group.daemons[kind].states) for kind in (first, second)}
        group.await_adverts(master, 2)
        assert {
            kind: len(group.daemons[kind].states) for kind in (first, second)
        } == changes


@every_family
@pytest.mark.parametrize(
    ("kernel", "flags", "by"),
    [
        ("openbsd", "", 1),
        ("openbsd", "-P", 1),
        ("freebsd", "-P", 50),
        ("netbsd", "-P", 1),
    ],
)
def test_a_demoted_kernel(kernel: str, flags: str, by: int, families: str) -> None:
    """carppcap takes over from a demoted kernel.

    From OpenBSD it does so because of the demotion in its adverts, from the others only
    with -P.
    """
    with scene(families, kernel, OURS) as group:
        group.begin((kernel, "-k 0"), (OURS, f"-k 20 {flags}"))

        group.order(kernel, f"demote {by}")
        group.await_master(OURS, kernel)

        assert group.lost_ns() < SLACK_NS


@every_family
@pytest.mark.parametrize(
    ("kernel", "flags"),
    [("openbsd", ""), ("openbsd", "-P"), ("freebsd", "-P"), ("netbsd", "-P")],
)
def test_we_are_demoted(kernel: str, flags: str, families: str) -> None:
    """A kernel takes over from a demoted carppcap.

    OpenBSD does so because of the demotion in the adverts, the others because of their
    advskew.
    """
    with scene(families, OURS, kernel) as group:
        group.start(OURS, "-k 0 --demotion 50")
        group.await_master(OURS)
        group.ping()
        group.await_adverts(OURS, 2)  # It announces again with the last of them.

        group.start(kernel, f"-k 20 {flags}")
        group.await_master(kernel, OURS)

        assert group.lost_ns() < SLACK_NS


@every_family
@pytest.mark.parametrize("kernel", ["freebsd", "netbsd"])
def test_demotion_without_preemption(kernel: str, families: str) -> None:
    """Without -P carppcap does not take over from a demoted FreeBSD or NetBSD."""
    with scene(families, kernel, OURS) as group:
        group.begin((kernel, "-k 0"), (OURS, "-k 20"))

        group.order(kernel, "demote 50")
        group.await_adverts(kernel, 4)

        assert group.daemons[OURS].states == ["BACKUP"]
        assert group.lost_ns() < SLACK_NS


@pytest.mark.parametrize(
    ("kernel", "families"),
    [("openbsd", "4"), ("freebsd", "4"), ("freebsd", "6"), ("freebsd", "46")],
)
@either_first
def test_peers(ours_is_first: bool, kernel: str, families: str) -> None:
    """Hosts with `--peer`, FreeBSD's `peer` or OpenBSD's `carppeer` fail over as usual.

    They send no advert to the group.
    """
    first, second = (OURS, kernel) if ours_is_first else (kernel, OURS)
    with scene(families, first, second) as group:
        peers = {
            kind: " ".join(f"--peer {address}" for address in host.addresses)
            for kind, host in group.hosts.items()
        }
        group.begin((first, f"-k 0 {peers[second]}"), (second, f"-k 20 {peers[first]}"))

        group.hosts[first].power_off()
        # Do not wait for adverts: they leave only as long as the peer's MAC is known.
        group.await_only_master(second)

        skews = 3 if second == "openbsd" else 1
        assert group.lost_ns() < PATIENCE_NS + skews * 20 * SKEW_NS + SLACK_NS
        destinations = {advert.destination for advert in group.lab.wire.adverts()}
        assert not any(destination.is_multicast for destination in destinations)


def _masters(group: Scene) -> list[str]:
    return [kind for kind, one in group.daemons.items() if one.state == "MASTER"]
