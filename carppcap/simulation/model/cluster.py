"""A group of hosts on one medium, in virtual time.

Calls that are to be made later wait in a heap.  The time jumps from the instant of one
call to the instant of the next.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from typing import TypeAlias, assert_never

from carppcap.simulation.model.happenings import Entry, Happening, Told
from carppcap.simulation.model.machine import Machine
from carppcap.simulation.model.medium import Medium, forge
from carppcap.simulation.model.world import Rank
from carppcap.simulation.scenario import parts
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Order, Scenario, Scene, Verb
from carppcap.units import Instant

Observer: TypeAlias = Callable[[Entry], None]
"""A function that is told everything that happens in a run, in order of time."""

_Act: TypeAlias = Callable[[Machine], None]

_plug = partial(Machine.set_link, up=True)
_pull = partial(Machine.set_link, up=False)
_ACTS: dict[Verb, tuple[_Act, _Act | None]] = {
    Verb.CRASH: (Machine.crash, Machine.start),
    Verb.KILL: (Machine.exit, Machine.start),
    Verb.KILL_KEEPER: (Machine.kill_keeper, None),
    Verb.KILL_BOTH: (Machine.kill_both, Machine.start),
    Verb.STOP: (Machine.stop, Machine.start),
    Verb.START: (Machine.start, None),
    Verb.STEP_DOWN: (Machine.step_down, None),
    Verb.PULL: (_pull, _plug),
    Verb.PLUG: (_plug, None),
    Verb.STALL: (Machine.stall, Machine.resume),
    Verb.HANG: (Machine.stall, Machine.resume),
    Verb.UNDEMOTE: (Machine.undemote, None),
}
"""For each verb: what it does to a host, and what is done when its time (`for`) ends.

The second is None for a verb that cannot last."""


class Cluster:
    """The hosts and the medium of one run of a scenario."""

    def __init__(self, scenario: Scenario, seed: int, observe: Observer) -> None:
        self.now: Instant = 0
        self._scenario = scenario
        self._observe = observe
        self._heap: list[tuple[Instant, int, int, Callable[[], None]]] = []
        self._serial = 0
        dice = Dice(seed)
        self._dice = dice.fork("story")
        self._machines = {
            member.name: Machine(member, number, self, dice.fork(f"host {member.name}"))
            for number, member in enumerate(scenario.members, start=1)
        }
        self.neighbours = {
            address: self._machines[member.name].mac
            for member in scenario.members
            for address in (member.config.source, member.config.source6)
            if address is not None
        }
        self._medium = Medium(
            self._machines, scenario.quality, dice.fork("wire"), self._deliver
        )
        self._resending: list[parts.Resend] = []

    def run(self) -> None:
        """Run the scenario from instant 0 to the end of its duration."""
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

    # The methods that its machines call (`world.World`).

    def call_at(self, at: Instant, rank: Rank, call: Callable[[], None]) -> None:
        """Arrange that `call` is made at the instant `at`.

        Calls for the same instant are made in the order of their ranks, and those of
        the same rank in the order in which they were arranged.
        """
        self._serial += 1
        heappush(self._heap, (at, rank, self._serial, call))

    def transmit(self, name: str, frame: bytes) -> None:
        """Send a frame of the host `name` over the medium."""
        self._medium.send(name, frame, self.now)

    def tell(self, name: str, what: Happening) -> None:
        """Tell the observer what happened on the host `name`."""
        self._observe(Entry(self.now, name, what))

    # The story.

    def _deliver(self, at: Instant, receiver: str, frame: bytes) -> None:
        arrive = partial(self._machines[receiver].arrive, frame)
        self.call_at(at, Rank.FRAME, arrive)

    def _begin(self, scene: Scene) -> None:
        self.tell(parts.STORY, Told(scene, over=False))
        self._act(scene.deed, over=False)
        if scene.lasts_ns is not None:
            end = partial(self._end, scene)
            self.call_at(self.now + scene.lasts_ns, Rank.STORY, end)

    def _end(self, scene: Scene) -> None:
        self.tell(parts.STORY, Told(scene, over=True))
        self._act(scene.deed, over=True)

    def _act(self, deed: parts.Deed, *, over: bool) -> None:
        """Do `deed`, or undo it if its time is `over`."""
        match deed:
            case parts.Cut() | parts.Mute() | parts.Disturb():
                (self._medium.remove if over else self._medium.add)(deed)
            case parts.Resend() if over:
                self._resending.remove(deed)
            case parts.Resend():
                self._resending.append(deed)
                self._resend(deed, self._medium.overheard(deed.name))
            case parts.SetPassword(names, first, second):
                for name in names:
                    self._machines[name].set_password(first, second)
            case Order():
                for name in deed.names:
                    _obey(self._machines[name], deed, over=over)
            case _:
                assert_never(deed)

    def _resend(self, attack: parts.Resend, captured: bytes | None) -> None:
        """Send an advert of the attack now, and another every `every_ns` until it ends.

        `captured` is the advert to repeat.  If it is None, the attack takes the latest
        advert of the host as soon as there is one.  An attack that forges adverts does
        not repeat one: each time it changes the latest advert of the host.
        """
        if attack not in self._resending:
            return
        latest = self._medium.overheard(attack.name)
        captured = frame = captured or latest
        if attack.forged is not None and latest is not None:
            frame = forge(latest, *attack.forged)
        if frame is not None:
            self._medium.send(parts.ATTACKER, frame, self.now)
        again = partial(self._resend, attack, captured)
        self.call_at(self.now + attack.every_ns, Rank.STORY, again)


def _obey(machine: Machine, order: Order, *, over: bool) -> None:
    """Carry out `order` on a machine, or undo it if its time is `over`."""
    match order:
        case Order(Verb.DEMOTE, by=by):
            machine.demote(-by if over else by)
        case Order(Verb.STEP_CLOCK, by=by_ns):
            assert not over, "a stepped clock stays as it is"
            machine.clock.step(by_ns)
        case _:
            do, undo = _ACTS[order.verb]
            act = undo if over else do
            assert act is not None, f"{order.verb.value} cannot be undone"
            act(machine)
