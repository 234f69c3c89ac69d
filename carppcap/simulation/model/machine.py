"""One simulated host: power, cable, clock, scripts and address.

A host holds the virtual address while the address is configured on it, its power is on
and its cable is plugged in.  Only then can other hosts reach the address there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from carppcap.addresses import Address
from carppcap.election.script_queue import Job
from carppcap.election.tenure import tenure
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.model.clocks import Clock
from carppcap.simulation.model.happenings import Holding, Running
from carppcap.simulation.model.keeper import Keeper
from carppcap.simulation.model.ring import RING_BLOCKS, RING_BLOCKS_UNBOUNDED, Ring
from carppcap.simulation.model.world import Rank, World
from carppcap.simulation.programs.bsd import BsdHost
from carppcap.simulation.programs.carppcap import CarppcapHost
from carppcap.simulation.programs.own_addresses import OwnAddressesHost
from carppcap.simulation.programs.system import Program, System
from carppcap.simulation.programs.ucarp import UcarpHost
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Kind, Member, Script
from carppcap.units import NS_PER_MS, NS_PER_S, Instant
from carppcap.wire.auth import Key

KILLED = -9

KERNEL_LATE_NS_MAX = 310 * NS_PER_MS
"""How late a kernel may remove an address whose lifetime has ended (see `Tenure`)."""


@dataclass(slots=True, eq=False)
class _Run:
    """A running script, and the program that started it."""

    job: Job
    script: Script
    program: Program


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
        self._last_news: list[Callable[[], None]] = []
        self._keeper: Keeper | None = None
        self._expires_at: Instant | None = None

    # The methods that the story calls.

    def start(self) -> None:
        """Power up the host, and start its program unless it is running already."""
        self._powered = True
        self._show_holding()
        if self._program is None:
            self._program = self._new_program()
            self._link_seen = self.link_up
            self._world.tell(self.member.name, Running(True))
            self._program.start(self.local_now())
            if self._demoted_by:  # a restart of the program does not end a demotion
                self._program.demoted(self._demoted_by, self.local_now())
            self._settle()

    def crash(self) -> None:
        """Cut the power: the program, its scripts and the address are gone at once."""
        self.kill_both()
        self._runs.clear()
        self._powered = False
        self.set_address(False)

    def exit(self) -> None:
        """End the process; its scripts continue and the address stays configured.

        A keeper removes the address, and sends the last will.
        """
        if self._program is not None:
            self._world.tell(self.member.name, Running(False))
        self._program, self._stalled = None, 0
        self._signals.clear()
        self._last_news.clear()
        if self._keeper is not None:
            self._keeper.carry_out_will()
            self._keeper = None

    def kill_keeper(self) -> None:
        """Kill the keeper; a program that is not stopped notices it at once."""
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper = None
            self._tell(lambda program, now: program.keeper_ended(now))

    def kill_both(self) -> None:
        """Kill the keeper and the program, so that neither can remove the address."""
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper = None
        self.exit()

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
        scripts ended, and what its keeper reports.
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
        news, self._last_news = self._last_news, []
        for tell in news:
            self._world.call_at(self._world.now, Rank.SCRIPT, tell)

    def arrive(self, frame: bytes) -> None:
        """Receive a frame from the medium."""
        is_for_another = not frame[0] & 1 and frame[:6] != self.mac
        if self._program is None or not self.link_up or is_for_another:
            return
        if self._stalled:
            self._ring.add(self.local_now(), frame)
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
            self._script_sets_address(job)
        ends_at = self._world.now + duration_ns
        self._world.call_at(ends_at, Rank.SCRIPT, partial(self._script_ends, run))

    def kill_script(self) -> None:
        """Kill the scripts that the running program has started."""
        for run in [run for run in self._runs if run.program is self._program]:
            self._runs.remove(run)
            self._report_end(run, KILLED)

    def set_address(self, configured: bool) -> None:
        """Add the virtual address for good if `configured`; otherwise remove it."""
        self.has_address, self._expires_at = configured, None
        self._show_holding()

    @property
    def keeper(self) -> Keeper:
        """The keeper of the program, which is started if none runs."""
        if self._keeper is None:
            self._keeper = Keeper(tenure(self.member.config), self)
        return self._keeper

    def record(self, step: Step) -> None:
        """Report a step to the observer, with its instants in the simulation's time."""
        due = None if step.deadline is None else self.clock.true(step.deadline)
        if step.at != self._world.now or due != step.deadline:
            step = replace(step, at=self._world.now, deadline=due)
        self._world.tell(self.member.name, step)

    def reject(self, rejection: Rejection) -> None:
        """Tell the observer of a rejected frame."""
        self._world.tell(self.member.name, rejection)

    # The methods that its keeper calls (`keeper.Host`).

    def local_now(self) -> Instant:
        """Return what the monotonic clock reads."""
        return self.clock.monotonic(self._world.now)

    def call_at(self, instant: Instant, call: Callable[[], None]) -> None:
        """Arrange that `call` is made when the monotonic clock reads `instant`."""
        at = max(self.clock.true(instant), self._world.now)
        self._world.call_at(at, Rank.TIMER, call)

    def hold_address(self, lifetime_s: int) -> None:
        """Add the virtual address, or refresh it, with a lifetime in seconds."""
        late_ns = self._dice.up_to(KERNEL_LATE_NS_MAX)
        ends_at = self.local_now() + lifetime_s * NS_PER_S + late_ns
        self.set_address(True)
        self._expires_at = ends_at
        self.call_at(ends_at, partial(self._expire, ends_at))

    def address_lost(self) -> None:
        """Tell the program that the address is gone."""
        self._tell_last(
            lambda: self._tell(lambda program, now: program.address_lost(now))
        )

    # Internal methods.

    def _new_program(self) -> Program:
        if self.member.own_addresses:
            return OwnAddressesHost(self.member, self, self._dice)
        program = _PROGRAMS.get(self.member.kind, BsdHost)
        return program(self.member, self, self._dice)

    def _expire(self, ends_at: Instant) -> None:
        """Remove the address, unless it was refreshed or removed since."""
        if self._expires_at == ends_at:
            self.set_address(False)
            if self._keeper is not None:
                self._keeper.address_expired()

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
            call(self._program, self.local_now())
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
        now, deadline = self.local_now(), self._program.deadline
        if deadline is not None and deadline <= now:
            self._program.wake(now)
        self._settle()

    def _script_ends(self, run: _Run) -> None:
        if run not in self._runs:  # the script was killed
            return
        self._runs.remove(run)
        script = run.script
        if script.exit_code == 0 and not script.address_first:
            self._script_sets_address(run.job)
        self._tell_last(partial(self._script_ended, run, script.exit_code))

    def _script_sets_address(self, job: Job) -> None:
        if not self.member.own_addresses:
            self.set_address(job is Job.ACQUIRE)

    def _tell_last(self, tell: Callable[[], None]) -> None:
        """Call `tell` now or, if the process is stopped, when it has read all else."""
        if self._stalled:
            self._last_news.append(tell)
        else:
            tell()

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
