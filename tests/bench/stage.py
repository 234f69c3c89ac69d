"""Helpers that the benchmarks share: both programs at once, and forged adverts."""

import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address
from typing import TypeVar

from carppcap.election.actions import SendAdvert
from carppcap.election.config import VirtualHostConfig
from carppcap.node.egress import Egress
from carppcap.wire.auth import Key
from tests.netns.daemons import Daemon
from tests.netns.lab import PASSWORD, VHID, VIP, Host, Lab, wait_for
from tests.netns.wire import NS_PER_S, Advert, open_packet_socket

T = TypeVar("T")

OURS = "carppcap"
UCARP = "ucarp"
BOTH = (OURS, UCARP)

NS_PER_MS = NS_PER_S // 1000

NO_SCRIPTS = f"-i eth0 -v {VHID} -p {PASSWORD} -a {VIP} -f none"
"""Flags of a daemon without scripts, so that no script takes time."""

chance = random.Random()
"""Source of the random phases of events; the benchmarks report medians over them."""


def at_once(calls: Iterable[Callable[[], T]], jobs: int | None = None) -> list[T]:
    """Run `calls` side by side in `jobs` threads; return their results in order.

    By default each call has a thread of its own.
    """
    listed = list(calls)
    with ThreadPoolExecutor(jobs or len(listed)) as pool:
        return [future.result() for future in [pool.submit(call) for call in listed]]


def for_both(measure: Callable[[str], T]) -> tuple[T, T]:
    """Call `measure` for carppcap and ucarp at the same time; return both results."""
    ours, theirs = at_once(partial(measure, name) for name in BOTH)
    return ours, theirs


def pause(longest_s: float, shortest_s: float = 0.0) -> None:
    """Sleep for a random time, so that each sample meets another phase of a timer."""
    time.sleep(chance.uniform(shortest_s, longest_s))


def config_of(address: str) -> VirtualHostConfig:
    """Return the configuration of the lab's virtual host, with source `address`."""
    return VirtualHostConfig(
        interface="eth0",
        vhid=VHID,
        source=IPv4Address(address),
        vips=(IPv4Address(VIP),),
        key=Key(PASSWORD.encode()),
    )


class Forger:
    """Sends authentic adverts with any advbase and advskew from `host`."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._egress = Egress(config_of(host.address), host.mac, lambda: 0x4242)
        self._packets = host.namespace.call(lambda: open_packet_socket("eth0"))

    def send(self, advbase: int, advskew: int) -> Advert:
        """Send an advert; return it as it was recorded on the bridge."""
        counter = chance.getrandbits(64)
        [frame] = self._egress.frames(SendAdvert(advbase, advskew, counter), 0)
        since_ns = time.time_ns() - NS_PER_S
        self._packets.send(frame)

        def seen() -> list[Advert]:
            adverts = self._host.lab.wire.adverts(self._host.address, since_ns)
            return [advert for advert in adverts if advert.counter == counter]

        return wait_for("a forged advert", seen)[0]

    def close(self) -> None:
        self._packets.close()


def await_state(daemon: Daemon, state: str) -> None:
    """Wait until the last state that `daemon` logged is `state`."""
    wait_for(f"{daemon.log.stem} to be {state}", lambda: daemon.state == state)


def await_holder(lab: Lab, host: Host) -> None:
    """Wait until `host` alone has the address."""
    wait_for(f"{host} to hold the address", lambda: lab.holders == (host,))


def await_adverts(lab: Lab, host: Host, count: int) -> None:
    """Wait until `host` has sent `count` more adverts."""
    since_ns = time.time_ns()
    wait_for(
        f"{count} adverts of {host}",
        lambda: len(lab.wire.adverts(host.address, since_ns)) >= count,
    )
