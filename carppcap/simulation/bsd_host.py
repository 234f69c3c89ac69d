"""A simulated BSD kernel: its state machine and timers (PROTOCOL 7, 8 and 10).

It runs no scripts: a MASTER answers for the address from the first instant.  Its
timers run out with a tick of its clock, never early and up to a tick late
(`tvtohz`).  Not simulated: demotion.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from carppcap.actions import (
    Action,
    AnnounceAddresses,
    Cause,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.addresses import ANY
from carppcap.advert import BOW_OUT
from carppcap.egress import Egress
from carppcap.events import (
    AdvertReceived,
    Event,
    LinkDown,
    LinkUp,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.frames import LinkType, decode, decode_intact
from carppcap.ingress import Ingress, Rejection, RejectReason
from carppcap.jobs import Job
from carppcap.node import Step
from carppcap.simulation.chance import Dice
from carppcap.simulation.host import INTERFACE, System
from carppcap.simulation.scenario import Kind, Member
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval

DEAD_RATIO = 3
TICK_NS = {
    Kind.FREEBSD: NS_PER_MS,
    Kind.NETBSD: 10 * NS_PER_MS,
    Kind.OPENBSD: 10 * NS_PER_MS,
}


class BsdHost:
    """One carp interface of a FreeBSD, NetBSD or OpenBSD host."""

    def __init__(self, member: Member, system: System, dice: Dice) -> None:
        config = member.config
        self._kind = member.kind
        self._config = config
        self._system = system
        self._dice = dice
        self._state = State.INIT
        self._deadline: Instant | None = None
        self._egress = Egress(config, system.mac, lambda: dice.bits(16))
        # A kernel does not look at who sent an advert: its own may come back to it.
        self._ingress = Ingress([replace(config, source=ANY)])
        self._tick_ns = TICK_NS[member.kind]
        self._tick_phase_ns = dice.up_to(self._tick_ns)
        self._cookie = dice.bits(64)
        self._heard_counter: int | None = None
        self._farewell = member.kind is not Kind.FREEBSD
        self._master_down_ns = DEAD_RATIO * config.advbase * NS_PER_S + (
            config.interval_ns - config.advbase * NS_PER_S
        )
        if member.kind is Kind.OPENBSD:  # since 7.8 (revision 1.368)
            self._master_down_ns = DEAD_RATIO * config.interval_ns

    @property
    def deadline(self) -> Instant | None:
        """The end of its patience, or its next advert."""
        return self._deadline

    def start(self, now: Instant) -> None:
        """The interface comes up."""
        if self._system.link_up:
            self._become(State.BACKUP, Cause.STARTUP, Start(), now)

    def receive(self, frame: bytes, now: Instant) -> None:
        """`carp_input` up to `carp_input_c`."""
        datagram = decode_intact(frame) or decode(frame, LinkType.ETHERNET)
        verdict = self._ingress.judge(datagram)
        if isinstance(verdict, Rejection):
            self._system.reject(verdict)
        elif verdict is not None:
            is_own = verdict.event.counter == self._cookie
            if self._kind is Kind.OPENBSD and is_own:
                self._system.reject(Rejection(RejectReason.OWN))
            else:
                self._heard_counter = verdict.event.counter
                self._heard(verdict.event, now)

    def wake(self, now: Instant) -> None:
        """`carp_master_down` or `carp_send_ad`."""
        if self._state is State.MASTER:
            self._set_timer(now, self._config.interval_ns)
            self._report(Tick(), [self._our_advert()], now)
        else:
            self._become(State.MASTER, Cause.MASTER_DOWN, Tick(), now)

    def link_changed(self, now: Instant) -> None:
        """`carp_carpdev_state`: INIT while there is no carrier."""
        if self._system.link_up:
            self._become(State.BACKUP, Cause.STARTUP, LinkUp(), now)
        else:
            self._become(State.INIT, Cause.LINK_DOWN, LinkDown(), now)

    def step_down(self, now: Instant) -> None:
        """`ifconfig carp0 state backup`: at once, and without a pause."""
        if self._state is State.MASTER:
            self._become(State.BACKUP, Cause.STEP_DOWN, StepDown(0), now)

    def stop(self, now: Instant) -> None:
        """`ifconfig carp0 down`, and the host has no part in the group any more."""
        last_words = []
        if self._state is State.MASTER and self._farewell:
            last_words = [self._sign(BOW_OUT, BOW_OUT)]
        if self._state is not State.INIT:
            self._become(State.INIT, Cause.SHUTDOWN, Stop(), now, last_words)
        self._system.exit()

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """There are none."""

    def resumed(self, lost_frames: bool, due: Instant | None, now: Instant) -> None:
        """Nobody can stop a kernel."""

    def _heard(self, theirs: AdvertReceived, now: Instant) -> None:
        ours_ns, theirs_ns = self._config.interval_ns, theirs.interval_ns
        if self._state is State.MASTER:
            if ours_ns >= theirs_ns:  # every tie is yielded
                self._become(State.BACKUP, Cause.BETTER_MASTER, theirs, now)
        elif self._config.preempt and ours_ns < theirs_ns:
            self._become(State.MASTER, Cause.PREEMPTION, theirs, now)
        elif self._master_down_ns < theirs_ns and self._config.advbase != 0:
            self._become(State.MASTER, Cause.MASTER_TOO_SLOW, theirs, now)
        else:
            self._set_timer(now, self._master_down_ns)
            self._report(theirs, [], now)

    def _set_timer(self, now: Instant, length_ns: Interval) -> None:
        """`tvtohz`: whole ticks, and one more for the tick that has begun."""
        tick_ns, phase_ns = self._tick_ns, self._tick_phase_ns
        ticks = (now - phase_ns) // tick_ns - (-length_ns // tick_ns) + 1
        self._deadline = phase_ns + ticks * tick_ns

    def _become(
        self,
        new: State,
        cause: Cause,
        event: Event,
        now: Instant,
        last_words: Iterable[Action] = (),
    ) -> None:
        actions: list[Action] = [*last_words, StateChanged(self._state, new, cause)]
        self._state = new
        match new:
            case State.INIT:
                self._deadline = None
            case State.BACKUP:
                self._set_timer(now, self._master_down_ns)
            case State.MASTER:
                self._set_timer(now, self._config.interval_ns)
                actions += [self._our_advert(), AnnounceAddresses()]
            case _:
                assert_never(new)
        self._report(event, actions, now)
        self._system.set_address(new is State.MASTER)

    def _our_advert(self) -> SendAdvert:
        return self._sign(self._config.advbase, self._config.advskew)

    def _sign(self, advbase: int, advskew: int) -> SendAdvert:
        """`carp_prepare_ad`: see PROTOCOL 4 for who counts how."""
        if self._kind is Kind.OPENBSD:
            counter = self._cookie
        elif self._heard_counter is None:
            counter = self._dice.bits(64)
        else:
            counter = self._heard_counter = (self._heard_counter + 1) % (1 << 64)
        return SendAdvert(advbase, advskew, counter)

    def _report(self, event: Event, actions: list[Action], now: Instant) -> None:
        for action in actions:
            if isinstance(action, SendAdvert | AnnounceAddresses):
                for frame in self._egress.frames(action):
                    self._system.send(frame)
        self._system.record(
            Step(
                now,
                INTERFACE,
                self._config.vhid,
                event,
                tuple(actions),
                self._state,
                self._deadline,
            )
        )
