"""Measures a daemon on a host with thousands of addresses that come and go.

Hosts of containers are like that.  None of the addresses belongs to the group.
"""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.footprint import use
from tests.bench.report import Row
from tests.bench.stage import NO_SCRIPTS, for_both
from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, LateError, wait_for

SECTION = "3000 addresses on lo, 200 changes a second elsewhere"
ADDRESSES = 3000
CHANGES_PER_S = 200
CPU_LIMIT_PERCENT = 1.0


def run(quick: bool) -> list[Row]:
    starts, window_s = (3, 5.0) if quick else (10, 20.0)
    ours, theirs = for_both(lambda name: churn(name, starts, window_s))
    return [
        Row(SECTION, "starts that succeed", "%", ours[0], theirs[0], at_least=100.0),
        Row(SECTION, "processor", "%", ours[1], theirs[1], CPU_LIMIT_PERCENT),
    ]


def churn(
    program: str, starts: int, window_s: float
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return, in %, the share of starts that succeed and a master's processor use."""
    begun, shares = 0, []
    with Lab(1) as lab:
        [host] = lab.hosts
        fill_loopback(host)
        with addresses_come_and_go(host):
            for number in range(starts):
                flags = f"{NO_SCRIPTS} -s {host.address}"
                daemon = host.start_bare(program, flags.split())
                if not has_begun(daemon):
                    continue
                begun += 1
                if number == starts - 1:
                    shares.append(processor_share(daemon, window_s))
                daemon.kill()
    return (100 * begun / starts,), tuple(shares)


def processor_share(daemon: Daemon, window_s: float) -> float:
    """Return how much of a processor `daemon` uses once it is master, in %."""
    wait_for("a master", lambda: daemon.state == "MASTER")
    before = use(daemon.pid)
    time.sleep(window_s)
    after = use(daemon.pid)
    return 100 * (after.cpu_s - before.cpu_s) / (after.time_s - before.time_s)


def has_begun(daemon: Daemon) -> bool:
    """Wait until the daemon logs a state.  False if it ends before, or is too late."""
    try:
        wait_for("a state", lambda: daemon.state or not daemon.is_running)
    except LateError:
        return False
    return daemon.state is not None


def fill_loopback(host: Host) -> None:
    """Add `ADDRESSES` addresses to the interface `lo`."""
    lines = "".join(
        f"address add 172.20.{n // 256}.{n % 256}/32 dev lo\n" for n in range(ADDRESSES)
    )
    command = host.command(["ip", "-batch", "-"])
    subprocess.run(command, input=lines.encode(), check=True)


@contextmanager
def addresses_come_and_go(host: Host) -> Iterator[None]:
    """Add and delete an address again and again during the context.

    It is on an interface of its own, which the daemon does not use.
    """
    host.run("ip", "link", "add", "other0", "type", "veth", "peer", "name", "other1")
    host.run("ip", "link", "set", "other0", "up")
    change = (
        b"address add 10.99.0.1/32 dev other0\naddress delete 10.99.0.1/32 dev other0\n"
    )
    has_ended = threading.Event()
    with subprocess.Popen(
        host.command(["ip", "-batch", "-"]), stdin=subprocess.PIPE
    ) as changing:
        assert changing.stdin is not None
        pipe = changing.stdin

        def feed() -> None:
            while not has_ended.wait(2 / CHANGES_PER_S):
                pipe.write(change)
                pipe.flush()

        feeding = threading.Thread(target=feed)
        feeding.start()
        try:
            yield
        finally:
            has_ended.set()
            feeding.join()
