"""One simulated host: power, cable, clock, scripts and address.

A host holds the virtual address while the address is configured on it, its power is on
and its cable is plugged in.  Only then can other hosts reach the address there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from typing import Protocol

from carppcap.addresses import Address
from carppcap.election.script_queue import Job
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.model.clocks import Clock
from carppcap.simulation.model.happenings import Happening, Holding, Running
from carppcap.simulation.programs.bsd import BsdHost
from carppcap.simulation.programs.carppcap import CarppcapHost
from carppcap.simulation.programs.system import Program, System
from carppcap.simulation.programs.ucarp import UcarpHost
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Kind, Member, Script
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval
from carppcap.wire.auth import Key

RING_BLOCKS = 2
"""The number of blocks in carppcap's capture ring (see `system.capture`).

A frame that arrives alone takes a whole block, so a stopped process soon loses frames.
"""

RING_BLOCKS_UNBOUNDED = 1 << 30
KILLED = -9


class Rank(IntEnum):
    """The order of calls for the same instant: the call with the least rank first."""

    STORY = 0
    FRAME = 1  # before timers, as in the daemon
    TIMER = 2
    SCRIPT = 3


class World(Protocol):
    """What a host needs of the cluster to which it belongs."""

    now: Instant
    neighbours: Mapping[Address, bytes]
    """The MAC of each host, keyed by the addresses of the host that are not virtual."""

    def call_at(self, at: Instant, rank: Rank, call: Callable[[], None]) -> None:
        """Arrange that `call` is made at `at`, an instant of the simulation."""

    def transmit(self, name: str, frame: bytes) -> None:
        """Send a frame of the host `name` over the medium."""

    def tell(self, name: str, what: Happening) -> None:
        """Tell the observer of the simulation what happened on the host `name`."""


@dataclass(slots=True, eq=False)
class _Run:
    """A running script, and the program that started it."""

    job: Job
    script: Script
    program: Program


class Ring:
    """The frames that wait for a process while it is stopped.

    Frames that arrive within `block_ns` share a block of the ring.  A frame that would
    need one more block than `blocks_max` is lost.
    """

    def __init__(self, block_ns: Interval, blocks_max: int) -> None:
        self.lost_frames = False
        self._block_ns = block_ns
        self._blocks_max = blocks_max
        self._blocks: list[list[tuple[Instant, bytes]]] = []

    def add(self, at: Instant, frame: bytes) -> None:
        """Store a frame that arrived at `at`; set `lost_frames` if there is no room."""
        if self._blocks and at - self._blocks[-1][0][0] <= self._block_ns:
            self._blocks[-1].append((at, frame))
        elif len(self._blocks) < self._blocks_max:
            self._blocks.append([(at, frame)])
        else:
            self.lost_frames = True

    def frames(self) -> list[tuple[Instant, bytes]]:
        """Return the stored frames with their instants of arrival, the oldest first."""
        return [stamped for block in self._blocks for stamped in block]


class Machine:
    """A simulated host: the hardware and the operating system that run its program."""

    def __init__(self, member: Member, number: int, world: World, dice: Dice) -> None:
        self.member = member
        self.mac = bytes((2, 0, 0, 0, number >> 8, number & 0xFF))
        self.link_up = True
        self.has_address = False
        self._world = world
        self._dice = dice
        self.clock = Clock(member.drift_ppm)
        self._powered = False
        self._holds = False
        self._program: Program | None = None
        self._armed: Instant | None = None
        self._runs: list[_Run] = []
        self._stalled = 0
        self._ring = self._new_ring()
        self._link_seen = True
        self._demoted_by = 0
        self._signals: list[Callable[[Program, Instant], None]] = []
        self._outcomes: list[tuple[_Run, int | None]] = []

    # The methods that the story calls.

    def start(self) -> None:
        """Power up the host, and start its program unless it is running already."""
        self._powered = True
        self._show_holding()
        if self._program is None:
            program = _PROGRAMS.get(self.member.kind, BsdHost)
            self._program = program(self.member, self, self._dice)
            self._link_seen = self.link_up
            self._world.tell(self.member.name, Running(True))
            self._program.start(self._local_now())
            if self._demoted_by:  # a restart of the program does not end a demotion
                self._program.demoted(self._demoted_by, self._local_now())
            self._settle()

    def crash(self) -> None:
        """Cut the power: the program, its scripts and the address are gone at once."""
        self.exit()
        self._runs.clear()
        self._powered = self.has_address = False
        self._show_holding()

    def exit(self) -> None:
        """End the process; its scripts continue and the address stays configured."""
        if self._program is not None:
            self._world.tell(self.member.name, Running(False))
        self._program, self._stalled = None, 0
        self._signals.clear()
        self._outcomes.clear()

    def set_password(self, first: bytes, second: bytes) -> None:
        """Write a new passfile, which the program reads at its next start.

        `first` and `second` are its lines; `second` is empty if there is only one.
        """
        key, second_key = Key(first), Key(second) if second else None
        config = replace(self.member.config, key=key, second_key=second_key)
        self.member = replace(self.member, config=config)

    def stop(self) -> None:
        """Tell the process to end."""
        self._tell(lambda program, now: program.stop(now))

    def step_down(self) -> None:
        """Tell the process to step down."""
        self._tell(lambda program, now: program.step_down(now))

    def demote(self, by: int) -> None:
        """Add `by` to the demotion of the host."""
        self._demoted_by = total = max(0, self._demoted_by + by)
        self._tell(lambda program, now: program.demoted(total, now))

    def undemote(self) -> None:
        """End all demotion of the host."""
        self.demote(-self._demoted_by)

    def set_link(self, *, up: bool) -> None:
        """Plug in the cable if `up`; otherwise pull it."""
        self.link_up = up
        self._show_holding()
        if not self._stalled:
            self._notice_link()

    def stall(self) -> None:
        """Stop the process, as SIGSTOP does."""
        if self._program is None:
            return
        if not self._stalled:
            self._ring = self._new_ring()
        self._stalled += 1

    def resume(self) -> None:
        """End one call of `stall`; after the last one, let the stopped process go on.

        The process first reads the frames that waited.  At the end it is told how its
        scripts ended.
        """
        if not self._stalled:  # the process was killed while it was stopped
            return
        self._stalled -= 1
        if self._stalled or self._program is None:
            return
        due, lost = self._program.deadline, self._ring.lost_frames
        for at, frame in self._ring.frames():
            self._program.frame_arrived(frame, at)
        self._notice_link()
        signals, self._signals = self._signals, []
        for signal in signals:
            self._tell(signal)
        self._tell(lambda program, now: program.resumed(lost, due, now))
        outcomes, self._outcomes = self._outcomes, []
        for run, exit_code in outcomes:
            self._report_end(run, exit_code)

    def arrive(self, frame: bytes) -> None:
        """Receive a frame from the medium."""
        is_for_another = not frame[0] & 1 and frame[:6] != self.mac
        if self._program is None or not self.link_up or is_for_another:
            return
        if self._stalled:
            self._ring.add(self._local_now(), frame)
        else:
            self._tell(lambda program, now: program.frame_arrived(frame, now))

    # The methods that its program calls (`system.System`).

    def wall(self, now: Instant) -> Instant:
        """Return the reading of the wall clock when the monotonic clock reads `now`."""
        return self.clock.wall(now)

    def neighbour(self, address: Address) -> bytes | None:
        """Return the MAC of the host with `address`, or None if no host has it."""
        return self._world.neighbours.get(address)

    def send(self, frame: bytes) -> None:
        """Send a frame if the cable is plugged in."""
        if self.link_up:
            self._world.transmit(self.member.name, frame)

    def run_script(self, job: Job) -> None:
        """Start the script of `job`; it continues even if the program ends."""
        assert self._program is not None
        script = self.member.up if job is Job.ACQUIRE else self.member.down
        run = _Run(job, script, self._program)
        self._runs.append(run)
        duration_ns = 0 if script.exit_code is None else script.duration_ns
        if script.address_first and script.exit_code is not None:
            self.set_address(job is Job.ACQUIRE)
        ends_at = self._world.now + duration_ns
        self._world.call_at(ends_at, Rank.SCRIPT, partial(self._script_ends, run))

    def kill_script(self) -> None:
        """Kill the scripts that the running program has started."""
        for run in [run for run in self._runs if run.program is self._program]:
            self._runs.remove(run)
            self._report_end(run, KILLED)

    def set_address(self, configured: bool) -> None:
        """Add the virtual address if `configured`; otherwise remove it."""
        self.has_address = configured
        self._show_holding()

    def record(self, step: Step) -> None:
        """Report a step to the observer, with its instants in the simulation's time."""
        due = None if step.deadline is None else self.clock.true(step.deadline)
        if step.at != self._world.now or due != step.deadline:
            step = replace(step, at=self._world.now, deadline=due)
        self._world.tell(self.member.name, step)

    def reject(self, rejection: Rejection) -> None:
        """Tell the observer of a rejected frame."""
        self._world.tell(self.member.name, rejection)

    # Internal methods.

    def _local_now(self) -> Instant:
        return self.clock.monotonic(self._world.now)

    def _new_ring(self) -> Ring:
        if self.member.kind is not Kind.CARPPCAP:
            return Ring(0, RING_BLOCKS_UNBOUNDED)
        is_subsecond = self.member.config.interval_ns < NS_PER_S
        return Ring((1 if is_subsecond else 10) * NS_PER_MS, RING_BLOCKS)

    def _show_holding(self) -> None:
        holds = self.has_address and self._powered and self.link_up
        if holds is not self._holds:
            self._holds = holds
            self._world.tell(self.member.name, Holding(holds))

    def _notice_link(self) -> None:
        if self._program is not None and self._link_seen is not self.link_up:
            self._link_seen = self.link_up
            self._tell(lambda program, now: program.link_changed(now))

    def _tell(self, call: Callable[[Program, Instant], None]) -> None:
        """Call the program now or, if its process is stopped, as soon as it goes on."""
        if self._program is not None and self._stalled:
            self._signals.append(call)
        elif self._program is not None:
            call(self._program, self._local_now())
            self._settle()

    def _settle(self) -> None:
        """Set a timer for the deadline of the program."""
        if self._program is None or self._stalled:
            return
        deadline = self._program.deadline
        if deadline is None:
            return
        at = max(self.clock.true(deadline), self._world.now)
        # One timer is enough: if it fires before the deadline, it sets the next one.
        if self._armed is None or at < self._armed:
            self._armed = at
            self._world.call_at(at, Rank.TIMER, self._timer)

    def _timer(self) -> None:
        if self._armed != self._world.now:  # an earlier timer has replaced this one
            return
        self._armed = None
        if self._program is None or self._stalled:
            return
        now, deadline = self._local_now(), self._program.deadline
        if deadline is not None and deadline <= now:
            self._program.wake(now)
        self._settle()

    def _script_ends(self, run: _Run) -> None:
        if run not in self._runs:  # the script was killed
            return
        self._runs.remove(run)
        script = run.script
        if script.exit_code == 0 and not script.address_first:
            self.set_address(run.job is Job.ACQUIRE)
        if self._stalled:
            self._outcomes.append((run, script.exit_code))
        else:
            self._script_ended(run, script.exit_code)

    def _report_end(self, run: _Run, exit_code: int | None) -> None:
        """Tell the program how a script ended, as the last call at this instant."""
        said = partial(self._script_ended, run, exit_code)
        self._world.call_at(self._world.now, Rank.SCRIPT, said)

    def _script_ended(self, run: _Run, exit_code: int | None) -> None:
        if run.program is self._program:
            self._tell(
                lambda program, now: program.script_ended(run.job, exit_code, now)
            )


_PROGRAMS: dict[Kind, Callable[[Member, System, Dice], Program]] = {
    Kind.CARPPCAP: CarppcapHost,
    Kind.UCARP: UcarpHost,
}
"""The program for each kind of host; all other kinds run `BsdHost`."""
