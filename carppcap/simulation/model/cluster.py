"""A group of hosts on one wire, from one seed, in virtual time.

All that will happen waits in a heap, and time jumps from one item to the next.
"""

from collections.abc import Callable, Sequence
from functools import partial
from heapq import heappop, heappush
from typing import Protocol, assert_never

from carppcap.addresses import Address
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.model.machine import Machine, Rank
from carppcap.simulation.model.medium import Medium, forge
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import (
    ATTACKER,
    Cut,
    Demote,
    Disturb,
    Order,
    Resend,
    Scenario,
    Scene,
    StepClock,
    Verb,
)
from carppcap.units import Instant


class Observer(Protocol):
    """Someone who is told all that happens, in its order."""

    def on_step(self, name: str, step: Step) -> None:
        """A virtual host has made a step."""

    def on_rejection(self, name: str, rejection: Rejection, at: Instant) -> None:
        """A frame has moved nothing."""

    def on_holding(self, name: str, holds: bool, at: Instant) -> None:
        """A host has begun or ceased to hold the address."""

    def on_running(self, name: str, runs: bool, at: Instant) -> None:
        """A program has begun, or is no more."""

    def on_scene(self, scene: Scene, over: bool, at: Instant) -> None:
        """A scene of the story begins, or is over."""


_ENDS_BY = {
    Verb.CRASH: Verb.START,
    Verb.KILL: Verb.START,
    Verb.STOP: Verb.START,
    Verb.PULL: Verb.PLUG,
}
"""What makes up for a verb; STALL is not here, for it can only be resumed."""


class Cluster:
    """Runs one scenario once."""

    def __init__(
        self, scenario: Scenario, seed: int, observers: Sequence[Observer]
    ) -> None:
        self.now: Instant = 0
        self._scenario = scenario
        self._observers = observers
        self._heap: list[tuple[Instant, int, int, Callable[[], None]]] = []
        self._serial = 0
        dice = Dice(seed)
        self._dice = dice.fork("story")
        self._machines = {
            member.name: Machine(member, number, self, dice.fork(f"host {member.name}"))
            for number, member in enumerate(scenario.members, start=1)
        }
        self._neighbours = {
            address: self._machines[member.name].mac
            for member in scenario.members
            for address in (member.config.source, member.config.source6)
            if address is not None
        }
        self._medium = Medium(
            self._machines, scenario.quality, dice.fork("wire"), self._deliver
        )
        self._resending: list[Resend] = []

    def run(self) -> None:
        """From the beginning to the end."""
        for member in self._scenario.members:
            if member.start is not None:
                begin = self._machines[member.name].start
                self.call_at(member.start.draw(self._dice), Rank.STORY, begin)
        for scene in self._scenario.story:
            play = partial(self._begin, scene)
            self.call_at(scene.at.draw(self._dice), Rank.STORY, play)
        heap, end = self._heap, self._scenario.duration_ns
        while heap and heap[0][0] < end:
            self.now, _, _, call = heappop(heap)
            call()
        self.now = end

    # What its hosts ask of it (`machine.World`).

    def call_at(self, at: Instant, rank: Rank, call: Callable[[], None]) -> None:
        """Put a call where it belongs; of equals the first comes first."""
        self._serial += 1
        heappush(self._heap, (at, rank, self._serial, call))

    def neighbour(self, address: Address) -> bytes | None:
        """Who has this address as its own."""
        return self._neighbours.get(address)

    def transmit(self, name: str, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._medium.send(name, frame, self.now)

    def record(self, name: str, step: Step) -> None:
        """Tell the observers."""
        for observer in self._observers:
            observer.on_step(name, step)

    def reject(self, name: str, rejection: Rejection) -> None:
        """Tell the observers."""
        for observer in self._observers:
            observer.on_rejection(name, rejection, self.now)

    def holding_changed(self, name: str, holds: bool) -> None:
        """Tell the observers."""
        for observer in self._observers:
            observer.on_holding(name, holds, self.now)

    def running_changed(self, name: str, runs: bool) -> None:
        """Tell the observers."""
        for observer in self._observers:
            observer.on_running(name, runs, self.now)

    # The story.

    def _deliver(self, at: Instant, receiver: str, frame: bytes) -> None:
        arrive = partial(self._machines[receiver].arrive, frame)
        self.call_at(at, Rank.FRAME, arrive)

    def _begin(self, scene: Scene) -> None:
        self._tell(scene, over=False)
        match scene.deed:
            case Order(verb, names):
                for name in names:
                    self._do(verb, self._machines[name])
            case Demote(names, by):
                for name in names:
                    self._demote(self._machines[name], by)
            case StepClock(names, by_ns):
                for name in names:
                    self._machines[name].step_clock(by_ns)
            case Cut() | Disturb() as fault:
                self._medium.add(fault)
            case Resend() as attack:
                self._resending.append(attack)
                self._resend(attack, self._medium.overheard(attack.name))
            case _:
                assert_never(scene.deed)
        if scene.lasts_ns is not None:
            end = partial(self._end, scene)
            self.call_at(self.now + scene.lasts_ns, Rank.STORY, end)

    def _end(self, scene: Scene) -> None:
        self._tell(scene, over=True)
        match scene.deed:
            case Order(verb, names):
                for name in names:
                    if verb is Verb.STALL:
                        self._machines[name].resume()
                    else:
                        self._do(_ENDS_BY[verb], self._machines[name])
            case Demote(names, int(by)):
                for name in names:
                    self._machines[name].demote(-by)
            case Cut() | Disturb() as fault:
                self._medium.remove(fault)
            case Resend() as attack:
                self._resending.remove(attack)
            case _:
                raise AssertionError("a stepped clock stays as it is")

    def _demote(self, machine: Machine, by: int | None) -> None:
        if by is None:
            machine.mend()
        else:
            machine.demote(by)

    def _do(self, verb: Verb, machine: Machine) -> None:
        match verb:
            case Verb.CRASH:
                machine.crash()
            case Verb.KILL:
                machine.kill()
            case Verb.STOP:
                machine.stop()
            case Verb.START:
                machine.start()
            case Verb.STEP_DOWN:
                machine.step_down()
            case Verb.PULL | Verb.PLUG:
                machine.set_link(verb is Verb.PLUG)
            case Verb.STALL:
                machine.stall()
            case _:
                assert_never(verb)

    def _resend(self, attack: Resend, captured: bytes | None) -> None:
        """Send it, and again in due time, for as long as the attack lasts."""
        if attack not in self._resending:
            return
        latest = self._medium.overheard(attack.name)
        frame = captured or latest
        if attack.forged is not None and latest is not None:
            frame = forge(latest, *attack.forged)
        if frame is not None:
            self._medium.send(ATTACKER, frame, self.now)
        again = partial(self._resend, attack, captured or latest)
        self.call_at(self.now + attack.every_ns, Rank.STORY, again)

    def _tell(self, scene: Scene, over: bool) -> None:
        for observer in self._observers:
            observer.on_scene(scene, over, self.now)
