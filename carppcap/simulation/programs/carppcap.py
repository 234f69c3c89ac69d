"""A simulated carppcap, with the election, frames and script queue of the daemon."""

from collections.abc import Iterable

from carppcap.election import events
from carppcap.election.actions import State
from carppcap.election.config import DEMOTION_MAX
from carppcap.election.script_queue import Job, Outcome, ScriptQueue
from carppcap.node.counter import CounterSequence
from carppcap.node.egress import Egress, Sending
from carppcap.node.groups import Group, Node, Step
from carppcap.node.outcomes import addresses_news, stall_news
from carppcap.node.performer import Performer
from carppcap.node.rivals import rival_of
from carppcap.simulation.programs.system import Program, System, claim_of, datagram_of
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Member
from carppcap.units import NS_PER_S, Instant

NEW_YEAR_NS = 1_767_225_600 * NS_PER_S
"""The wall-clock time at which every simulation begins: 2026-01-01 00:00 UTC."""


class CarppcapHost(Program):
    """A `Node` with one virtual host, and what the daemon adds to it.

    The daemon adds the script queue, the time limit of scripts, and the exit after the
    virtual host has stopped.
    """

    def __init__(self, member: Member, system: System, dice: Dice) -> None:
        egress = Egress(member.config, system.mac, dice.ip_id, system.neighbour)
        super().__init__(member, system, dice, egress)
        # Made by `start`, because the counters begin at the time of the start.
        self._node: Node
        self._group: Group
        self._performer: Performer
        self._scripts = ScriptQueue()
        self._kill_script_at: Instant | None = None
        self._usable = True
        self._stopping = False

    @property
    def deadline(self) -> Instant | None:
        """The earlier of the deadline of the core and the time limit of the script."""
        dues = self._group.deadline, self._kill_script_at
        return min((due for due in dues if due is not None), default=None)

    def start(self, now: Instant) -> None:
        """Make the node and start its virtual host."""
        wall_ns = NEW_YEAR_NS + self._system.wall(now)
        counter = CounterSequence(wall_ns, now, lambda: self._dice.bits(8))
        self._node = Node([self._config], lambda: counter)
        self._group = self._node.group(self._config.interface, self._config.vhid)
        self._performer = Performer(self._group, self)
        self._performer.handle(events.Start(), now)
        self.link_changed(now)

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """Pass a frame to the node; carry out the step, or report the rejection."""
        interface = self._config.interface
        outcome = self._node.receive(interface, datagram_of(frame), now)
        rival = rival_of(claim_of(frame), self._config, self._system.mac)
        if rival is not None:
            self._performer.handle(rival, now)
        if isinstance(outcome, Step):
            has_other_form = self._egress.heed(outcome)
            self._performer.perform(outcome)
            if has_other_form:
                self._performer.handle(events.FormChanged(), now)
        elif outcome is not None:
            self._system.reject(outcome)

    def wake(self, now: Instant) -> None:
        """Let the core act at its deadline, and kill a script at its time limit."""
        for step in self._node.tick(now):
            self._performer.perform(step)
        if self._kill_script_at is not None and self._kill_script_at <= now:
            self._kill_script_at = None
            self._system.kill_script()

    def link_changed(self, now: Instant) -> None:
        """Tell the core that the carrier was lost or is back.

        With --ignoreifstate the core is told nothing.
        """
        usable = self._system.link_up or self._member.ignore_link_state
        if usable is not self._usable:
            self._usable = usable
            self._performer.handle(
                events.LinkUp() if usable else events.LinkDown(), now
            )

    def step_down(self, now: Instant) -> None:
        """Step down, as on SIGUSR2."""
        self._performer.handle(events.StepDown(events.STEP_DOWN_PAUSE_NS), now)

    def demoted(self, by: int, now: Instant) -> None:
        """Tell the core the new demotion."""
        demotion = min(self._config.demotion + by, DEMOTION_MAX)
        self._performer.handle(events.DemotionChanged(demotion), now)

    def stop(self, now: Instant) -> None:
        """Stop as on SIGTERM; on a second call, kill the script that delays the end."""
        if not self._member.shutdown:
            self._system.exit()
        elif self._stopping:
            self._system.kill_script()
        else:
            self._stopping = True
            self._performer.handle(events.Stop(), now)
            self._exit_if_finished()

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """Start the next script in the queue, and tell the core how this one ended."""
        self._kill_script_at = None
        self._run(self._scripts.finished(), now)
        vips = frozenset(self._config.vips)
        held = vips if self._system.has_address else frozenset()
        outcome = Outcome(job, (), exit_code)
        self._performer.handle(addresses_news(outcome, vips, held), now)
        self._exit_if_finished()

    def resumed(self, lost_frames: bool, due: Instant | None, now: Instant) -> None:
        """Tell the core that frames were lost.

        It is told only if adverts of a live master may be among these frames.
        """
        event = stall_news(lost_frames, due, now)
        if event is not None:
            self._performer.handle(event, now)

    def _exit_if_finished(self) -> None:
        idle = self._scripts.running is None
        if self._stopping and idle and self._group.state is State.INIT:
            self._system.exit()

    # The methods that the performer calls (`performer.Driver`).

    def transmit(self, action: Sending, at: Instant) -> bool:
        """Send the frames of `action`; return True."""
        self._send(action, at)
        return True

    def record(self, step: Step) -> None:
        """Tell the observer of a step."""
        self._system.record(step)

    def acquire(self, step: Step) -> Iterable[events.Event]:
        """Request the up script; `script_ended` will report its outcome."""
        self._run(self._scripts.request(Job.ACQUIRE), step.at)
        return ()

    def release(self, step: Step) -> Iterable[events.Event]:
        """Request the down script; `script_ended` will report its outcome."""
        self._run(self._scripts.request(Job.RELEASE), step.at)
        return ()

    def _run(self, job: Job | None, now: Instant) -> None:
        if job is not None:
            limit_ns = self._member.script_timeout_ns
            self._kill_script_at = now + limit_ns if limit_ns else None
            self._system.run_script(job)
