"""Several nodes on a virtual wire, in virtual time, all from one seed.

The wire carries encoded frames: what an `Egress` builds is decoded and judged at
every other station, so a run exercises codec and digest too.  While `faults` last
it loses, delays and repeats frames, splits the stations into two camps and stalls
them; afterwards every frame arrives once, after `DELAY_NS`.

A frame at instant t is handled before a deadline at t; a station that was stalled
reads what has arrived before it looks at its deadline.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import TypeAlias

from carppcap.actions import (
    AcquireAddresses,
    AnnounceAddresses,
    ReleaseAddresses,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.config import VirtualHostConfig
from carppcap.egress import Egress
from carppcap.events import AddressesAcquired, AddressesReleased, Event, Start
from carppcap.frames import LinkType, decode
from carppcap.ingress import Accepted, Ingress
from carppcap.node import Node, Step
from carppcap.timeline import format_step
from carppcap.units import Instant, Interval

DELAY_NS = 300_000
NIC_MAC = bytes.fromhex("020000000001")
TURNS_MAX = 200_000
NEVER: Instant = 2**62


@dataclass(frozen=True)
class Faults:
    """What the wire does to frames, and to stations, until `end_ns`.

    `loss` and `repeat` are chances for each frame and receiver; `delay_ns_max` is
    below the shortest interval, or no election could ever settle.
    """

    end_ns: Instant = 0
    loss: float = 0.0
    repeat: float = 0.0
    delay_ns_max: Interval = DELAY_NS
    splits: int = 0
    stalls: int = 0


class OurStation:
    """A `Node` with one virtual host, and scripts that take `script_ns` each."""

    def __init__(
        self, cluster: "Cluster", config: VirtualHostConfig, script_ns: Interval = 0
    ) -> None:
        self.config = config
        self.holds = False
        self.steps: list[Step] = []
        self._cluster = cluster
        self._script_ns = script_ns
        self._jobs: deque[bool] = deque()  # True acquires, the first one runs
        draw = cluster.random.getrandbits
        self._node = Node([config], lambda: draw(64))
        self._egress = Egress(config, NIC_MAC, lambda: draw(16))

    @property
    def deadline(self) -> Instant | None:
        return self._node.deadline

    @property
    def state(self) -> State:
        return self._node.state(self.config.interface, self.config.vhid)

    def start(self, now: Instant) -> None:
        self.handle(Start(), now)

    def receive(self, frame: bytes, now: Instant) -> None:
        datagram = decode(frame, LinkType.ETHERNET)
        outcome = self._node.receive(self.config.interface, datagram, now)
        if isinstance(outcome, Step):
            self._perform(outcome)

    def tick(self, now: Instant) -> None:
        for step in self._node.tick(now):
            self._perform(step)

    def handle(self, event: Event, now: Instant) -> None:
        config = self.config
        self._perform(self._node.handle(config.interface, config.vhid, event, now))

    def _perform(self, step: Step) -> None:
        self.steps.append(step)
        for action in step.actions:
            match action:
                case SendAdvert() | AnnounceAddresses():
                    for frame in self._egress.frames(action):
                        self._cluster.send(self, frame, step.at)
                case AcquireAddresses() | ReleaseAddresses():
                    self._request(isinstance(action, AcquireAddresses), step.at)
                case StateChanged():
                    self._cluster.changed_at = step.at

    def _request(self, acquire: bool, now: Instant) -> None:
        """Scripts run one at a time; a waiting one and its contrary cancel out."""
        if len(self._jobs) == 2:
            self._jobs.pop()
            return
        self._jobs.append(acquire)
        if len(self._jobs) == 1:
            self._run_script(now)

    def _run_script(self, now: Instant) -> None:
        self._cluster.call_at(now + self._script_ns, self, self._script_ended)

    def _script_ended(self, now: Instant) -> None:
        self.holds = self._jobs.popleft()
        if self._jobs:
            self._run_script(now)
        ended = AddressesAcquired(True) if self.holds else AddressesReleased(True)
        self.handle(ended, now)


class KernelStation:
    """The BSD kernels' election: a MASTER yields to an equal, whoever it is."""

    def __init__(self, cluster: "Cluster", config: VirtualHostConfig) -> None:
        self.config = config
        self.state = State.INIT
        self.deadline: Instant | None = None
        self._cluster = cluster
        self._egress = Egress(config, NIC_MAC, lambda: 0)
        self._ingress = Ingress([config])

    def start(self, now: Instant) -> None:
        self._become(State.BACKUP, now)

    def receive(self, frame: bytes, now: Instant) -> None:
        verdict = self._ingress.judge(decode(frame, LinkType.ETHERNET))
        if not isinstance(verdict, Accepted):
            return
        ours, theirs = self.config.interval_ns, verdict.event.interval_ns
        patience_ns = self.config.master_down_interval_ns
        if self.state is State.MASTER:
            if ours >= theirs:
                self._become(State.BACKUP, now)
        elif (self.config.preempt and ours < theirs) or patience_ns < theirs:
            self._become(State.MASTER, now)
        else:
            self.deadline = now + patience_ns

    def tick(self, now: Instant) -> None:
        if self.state is State.BACKUP:
            self._become(State.MASTER, now)
        else:
            self._advertise(now)

    def _become(self, state: State, now: Instant) -> None:
        self.state = state
        self._cluster.changed_at = now
        if state is State.MASTER:
            self._advertise(now)
        else:
            self.deadline = now + self.config.master_down_interval_ns

    def _advertise(self, now: Instant) -> None:
        self.deadline = now + self.config.interval_ns
        counter = self._cluster.random.getrandbits(64)
        action = SendAdvert(self.config.advbase, self.config.advskew, counter)
        for frame in self._egress.frames(action):
            self._cluster.send(self, frame, now)


Station: TypeAlias = OurStation | KernelStation


@dataclass
class Cluster:
    """The wire, the clock and the dice."""

    seed: int
    faults: Faults = Faults()
    stations: list[Station] = field(default_factory=list)
    now: Instant = 0
    changed_at: Instant = 0
    holders_max: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self._heap: list[
            tuple[Instant, int, Station | None, Callable[[Instant], None]]
        ] = []
        self._pushed = 0
        self._arrived: dict[tuple[int, int], Instant] = {}
        self._camp_of: dict[int, int] = {}
        self._stalled_until: dict[int, Instant] = {}
        self._plan_faults()

    def join(
        self, config: VirtualHostConfig, *, at: Instant = 0, script_ns: Interval = 0
    ) -> OurStation:
        """Add one of ours, which starts at `at`."""
        station = OurStation(self, config, script_ns)
        self.stations.append(station)
        self.call_at(at, station, station.start)
        return station

    def join_kernel(
        self, config: VirtualHostConfig, *, at: Instant = 0
    ) -> KernelStation:
        """Add a kernel, which starts at `at`."""
        station = KernelStation(self, config)
        self.stations.append(station)
        self.call_at(at, station, station.start)
        return station

    def call_at(
        self, at: Instant, station: Station | None, call: Callable[[Instant], None]
    ) -> None:
        """Let `call` happen at `at`, or as soon as `station` is awake."""
        self._pushed += 1
        heappush(self._heap, (at, self._pushed, station, call))

    def send(self, sender: Station, frame: bytes, now: Instant) -> None:
        """Carry `frame` to everybody else, as far as the faults let it."""
        faults, random = self.faults, self.random
        for receiver in self.stations:
            if receiver is sender:
                continue
            if now < faults.end_ns:
                apart = self._camp(sender) != self._camp(receiver)
                lost = apart or random.random() < faults.loss
                copies = 0 if lost else 1 + (random.random() < faults.repeat)
                for _ in range(copies):
                    arrives = now + random.randint(1, faults.delay_ns_max)
                    self.call_at(arrives, receiver, partial(receiver.receive, frame))
            else:
                # A good wire keeps the order of what one station sends.
                pair = id(sender), id(receiver)
                arrives = now + random.randint(1, DELAY_NS)
                arrives = max(arrives, self._arrived.get(pair, 0))
                self._arrived[pair] = arrives
                self.call_at(arrives, receiver, partial(receiver.receive, frame))

    def run(self, until: Instant) -> None:
        """Let everything happen that happens until then."""
        for _ in range(TURNS_MAX):
            due, sleeper = self._next_deadline()
            at = min(due, self._heap[0][0] if self._heap else NEVER)
            if at > until:
                self.now = until
                return
            assert at >= self.now
            self.now = at
            if self._heap and self._heap[0][0] == at:
                _, _, station, call = heappop(self._heap)
                if station is not None and self._awake_at(station) > at:
                    self.call_at(self._awake_at(station), station, call)
                else:
                    call(at)
            elif sleeper is not None:
                sleeper.tick(at)
            self.holders_max = max(self.holders_max, len(self.holders()))
        raise AssertionError(f"still busy at {self.now} of {until} ns")

    def masters(self) -> list[Station]:
        """Who takes itself for the master now."""
        return [s for s in self.stations if s.state is State.MASTER]

    def holders(self) -> list[OurStation]:
        """Whose scripts have brought the address up, and not down again."""
        return [s for s in self.stations if isinstance(s, OurStation) and s.holds]

    def story(self) -> list[str]:
        """The run, line by line, as our stations saw it."""
        return [
            f"{step.at} {station.config.source} {format_step(step)}"
            for station in self.stations
            if isinstance(station, OurStation)
            for step in station.steps
        ]

    def _next_deadline(self) -> tuple[Instant, Station | None]:
        earliest: tuple[Instant, Station | None] = (NEVER, None)
        for station in self.stations:
            if station.deadline is not None:
                due = max(station.deadline, self.now, self._awake_at(station))
                if due < earliest[0]:
                    earliest = due, station
        return earliest

    def _camp(self, station: Station) -> int:
        return self._camp_of.get(id(station), 0)

    def _awake_at(self, station: Station) -> Instant:
        return self._stalled_until.get(id(station), 0)

    def _plan_faults(self) -> None:
        end_ns = self.faults.end_ns
        for call in [self._split] * self.faults.splits + [
            self._stall
        ] * self.faults.stalls:
            self.call_at(self.random.randrange(end_ns), None, call)

    def _split(self, _: Instant) -> None:
        self._camp_of = {id(s): self.random.randrange(2) for s in self.stations}

    def _stall(self, now: Instant) -> None:
        station = self.random.choice(self.stations)
        self._stalled_until[id(station)] = self.random.randint(now, self.faults.end_ns)
