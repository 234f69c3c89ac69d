"""Bad cables, which lose, delay, double and reorder frames.

    eth0 ~~~ port1   relay   cable1 ~~~ plug1   bridge

A thread does here what the kernel's netem could do.  Not every kernel has netem, and a
test must know which adverts were lost before it can say whether a fail-over was right.
With the same seed, the random numbers of a cable are the same.
"""

import heapq
import random
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Self

from tests.netns.lab import Host
from tests.netns.wire import ETH_P_ALL, Advert, Frame, parse

NS_PER_MS = 1_000_000
PACKET_IGNORE_OUTGOING = 23
SOL_PACKET = 263


@dataclass(frozen=True, slots=True)
class Quality:
    """How one direction of a cable treats frames.

    `loss` and `doubling` are probabilities.  Each frame takes `delay_ms`, plus or minus
    a random time of at most `jitter_ms`, so that frames may overtake each other.
    """

    loss: float = 0.0
    doubling: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0


SOUND = Quality()
CUT = Quality(loss=1.0)


def no_frame(data: bytes) -> bool:
    """Return False: by default a cable loses frames only by chance."""
    return False


@dataclass(slots=True)
class Direction:
    """One direction of a cable, with the adverts that it lost or delivered.

    It loses the frames for which `loses` returns True, and others by chance as its
    `quality` says.  The adverts in `lost` and `delivered` are dated just before they
    were lost or handed on, so that with a slow relay no daemon seems to react too
    early.
    """

    receiving: socket.socket
    sending: socket.socket
    quality: Quality = SOUND
    loses: Callable[[bytes], bool] = no_frame
    lost: list[Advert] = field(default_factory=list)
    delivered: list[Advert] = field(default_factory=list)


class Cable:
    """A bad cable between a host and the bridge, until the context ends.

    `outward` leads from the host to the bridge, and `inward` from the bridge to the
    host.  Set the `quality` of each at any time, or that of both with `treat`.
    """

    def __init__(self, host: Host, seed: int = 1) -> None:
        self._host = host
        self._chance = random.Random(seed)
        self._order = count()
        self._travelling: list[tuple[int, int, Direction, bytes]] = []
        lab = host.lab
        name = host.port.removeprefix("port")
        self._near, self._far = f"cable{name}", f"plug{name}"
        lab.bridge_run("ip", "link", "set", host.port, "nomaster")
        lab.bridge_run(
            *("ip", "link", "add", self._near, "type", "veth"),
            *("peer", "name", self._far),
        )
        lab.bridge_run("ip", "link", "set", self._near, "up")
        lab.bridge_run("ip", "link", "set", self._far, "master", "bridge", "up")
        hosts_end, bridges_end = lab.bridge_call(
            lambda: (_open(host.port), _open(self._near))
        )
        self.outward = Direction(hosts_end, bridges_end)
        self.inward = Direction(bridges_end, hosts_end)
        self._relaying = True
        self._thread = threading.Thread(target=self._relay, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._relaying = False
        self._thread.join()
        for direction in (self.outward, self.inward):
            direction.receiving.close()

    def treat(self, quality: Quality) -> None:
        """Give both directions that quality."""
        self.outward.quality = self.inward.quality = quality

    def _relay(self) -> None:
        ways = {way.receiving: way for way in (self.outward, self.inward)}
        while self._relaying:
            timeout_s = 0.1
            if self._travelling:
                due_ns = self._travelling[0][0] - time.monotonic_ns()
                timeout_s = min(timeout_s, max(due_ns, 0) / 1e9)
            for end in select.select(list(ways), [], [], timeout_s)[0]:
                self._accept(ways[end])
            self._deliver()

    def _accept(self, way: Direction) -> None:
        try:
            data = way.receiving.recv(65535)
        except OSError:  # The receiving end is gone, or was down for a moment.
            return
        quality = way.quality
        if self._chance.random() < quality.loss or way.loses(data):
            way.lost += _adverts(data)
            return
        copies = 2 if self._chance.random() < quality.doubling else 1
        for _ in range(copies):
            spread_ms = self._chance.uniform(-quality.jitter_ms, quality.jitter_ms)
            delay_ns = max(0, int((quality.delay_ms + spread_ms) * NS_PER_MS))
            due_ns = time.monotonic_ns() + delay_ns
            heapq.heappush(self._travelling, (due_ns, next(self._order), way, data))

    def _deliver(self) -> None:
        while self._travelling and self._travelling[0][0] <= time.monotonic_ns():
            _, _, way, data = heapq.heappop(self._travelling)
            adverts = _adverts(data)
            try:
                way.sending.send(data)
            except OSError:  # The sending end is down, as a test may want.
                way.lost += adverts
            else:
                way.delivered += adverts


@contextmanager
def bad_cables(*hosts: Host, quality: Quality, seed: int = 1) -> Iterator[list[Cable]]:
    """Put a cable of that quality between each of `hosts` and the bridge."""
    with ExitStack() as stack:
        cables = [
            stack.enter_context(Cable(host, seed + number))
            for number, host in enumerate(hosts)
        ]
        for cable in cables:
            cable.treat(quality)
        yield cables


def _adverts(data: bytes) -> list[Advert]:
    packet = parse(Frame(time.time_ns(), data))
    return [packet] if isinstance(packet, Advert) else []


def _open(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.bind((interface, ETH_P_ALL))
    return end
