"""A simulated `ucarp` 1.5.2, with its weaknesses.

The main loop is a generator that yields where ucarp waits: in `poll`, in `sleep`, or
for a script.  The facts below were read in ucarp's source and measured on the program:

 * Frames are read late: libpcap delivers them once a second, counted from the start of
   the process.
 * ucarp checks its timers only when `poll` returns.  A backup calls `poll` with its
   advert interval as timeout.  It therefore notices a dead master at a multiple of that
   interval.
 * The timers use the wall clock, which can be set.
 * While a script runs, ucarp neither sends nor reads frames.  A new master waits for
   its up script; then it sends gratuitous ARP, and then its first advert.
 * If two masters have the same interval, the one with the lower rank (`tie_break`)
   stays master.
 * A master that yields to another one first sends a last advert.
 * ucarp sends no farewell, but a backup takes over when it hears one.  On SIGUSR2 a
   master runs the down script, waits for 3 s, and is then a backup like any other.
 * Without a carrier ucarp sleeps for 10 s before it checks the carrier again.
"""

from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from carppcap.addresses import tie_break
from carppcap.election import events
from carppcap.election.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    Cause,
    ReleaseAddresses,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.election.script_queue import Job
from carppcap.node.egress import Egress
from carppcap.node.ingress import Ingress, Rejection
from carppcap.simulation.programs.system import Program, System, datagram_of
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Member
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US, Instant, Interval

CAPTURE_PERIOD_NS = NS_PER_S
CARRIER_SLEEP_NS = 10 * NS_PER_S
STEP_DOWN_SLEEP_NS = 3 * NS_PER_S
REPEAT_ARP_AFTER = 2
WAKES_LATE_NS_MIN = 100 * NS_PER_US
WAKES_LATE_NS_MAX = 1_500 * NS_PER_US
"""The least and the most time between a timeout of `poll` and its return.

If `poll` returned exactly in time, the timers would not be due yet."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What the process waits for.

    It waits until the instant `until`, or, if that is None, for the end of a script.
    With `listens`, a frame or a signal ends the wait earlier.
    """

    until: Instant | None
    listens: bool = False


_SCRIPT = Wait(None)

Waiting: TypeAlias = Generator[Wait, None, None]
"""A generator for a part of the program, which yields a `Wait` and goes on after it."""


class UcarpHost(Program):
    """A process of ucarp.

    It checks the carrier in its main loop, has no demotion, and does not notice that it
    was stopped.
    """

    def __init__(self, member: Member, system: System, dice: Dice) -> None:
        config = member.config
        egress = Egress(config, system.mac, dice.ip_id)
        super().__init__(member, system, dice, egress)
        assert config.source is not None  # ucarp has IPv4 only
        self._source = config.source
        # ucarp reads only the first line of its passfile.
        self._ingress = Ingress([replace(config, second_key=None)])
        self._ring: deque[tuple[Instant, bytes]] = deque()
        self._signals: deque[events.StepDown | events.Stop] = deque()
        self._started_at: Instant = 0
        self._monotonic: Instant = 0
        self._now: Instant = 0  # the wall clock, as it was when poll returned
        self._advert_at: Instant | None = None
        self._master_down_at: Instant | None = None
        self._adverts_until_arp = 0
        self._main = self._run()
        self._wait = Wait(0)

    @property
    def deadline(self) -> Instant | None:
        """The instant at which the wait ends, or None if it ends when a script ends."""
        wait = self._wait
        if wait.listens and self._ring and wait.until is not None:
            return min(wait.until, self._ring[0][0])
        return wait.until

    def start(self, now: Instant) -> None:
        """Start the process; libpcap's timeouts are counted from now."""
        self._started_at = self._monotonic = now
        self._wait = next(self._main)

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """Put a frame into the ring, where it stays until libpcap's next timeout."""
        periods = -((self._started_at - now) // CAPTURE_PERIOD_NS)
        self._ring.append((self._started_at + periods * CAPTURE_PERIOD_NS, frame))

    def wake(self, now: Instant) -> None:
        """Continue the main loop up to its next wait."""
        self._monotonic = now
        try:
            self._wait = next(self._main)
        except StopIteration:
            self._system.exit()

    def step_down(self, now: Instant) -> None:
        """Deliver a SIGUSR2, which the main loop handles."""
        self._signal(events.StepDown(STEP_DOWN_SLEEP_NS), now)

    def stop(self, now: Instant) -> None:
        """Deliver a SIGTERM.  Without --shutdown it ends the process at once."""
        if self._member.shutdown:
            self._signal(events.Stop(), now)
        else:
            self._system.exit()

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """Continue the main loop; ucarp ignores the exit code."""
        self.wake(now)

    def _signal(self, event: events.StepDown | events.Stop, now: Instant) -> None:
        self._signals.append(event)
        if self._wait.listens:
            self.wake(now)

    def _run(self) -> Waiting:
        """Run the main loop (`docarp`)."""
        yield from self._become(State.BACKUP, Cause.STARTUP, events.Start())
        heard_carrier = True
        while True:
            has_carrier = self._system.link_up or self._member.ignore_link_state
            if not has_carrier:
                if self._state is State.MASTER:
                    down = events.LinkDown()
                    yield from self._become(State.BACKUP, Cause.LINK_DOWN, down)
                self._master_down_at, heard_carrier = None, False
                yield Wait(self._monotonic + CARRIER_SLEEP_NS)
                continue
            if not heard_carrier:
                heard_carrier = True
                self._listen()
                self._tell(events.LinkUp(), [])
            if self._signals:
                signal = self._signals.popleft()
                if isinstance(signal, events.Stop):
                    yield from self._become(State.INIT, Cause.SHUTDOWN, signal)
                    return
                if self._state is State.MASTER:
                    yield from self._become(State.BACKUP, Cause.STEP_DOWN, signal)
                continue
            yield self._poll()
            self._now = self._system.wall(self._monotonic)
            if self._ring and self._ring[0][0] <= self._monotonic:
                yield from self._packet(self._ring.popleft()[1])
            if self._is_down():
                yield from self._master_down(Cause.MASTER_DOWN, events.Tick())
            if self._advert_is_due():
                self._tell(events.Tick(), self._advert())

    def _poll(self) -> Wait:
        """Return the `Wait` for ucarp's `poll`.

        The timeout of a master is the time to its next advert, that of a backup is its
        advert interval, in whole milliseconds.  A frame or a signal ends the wait
        early.
        """
        wait_ns = self._config.interval_ns
        if self._advert_at is not None:
            wait_ns = self._advert_at - self._system.wall(self._monotonic)
        late_ns = WAKES_LATE_NS_MIN + self._dice.up_to(
            WAKES_LATE_NS_MAX - WAKES_LATE_NS_MIN
        )
        whole_ns = max(1, wait_ns // NS_PER_MS) * NS_PER_MS
        return Wait(self._monotonic + whole_ns + late_ns, listens=True)

    def _is_down(self) -> bool:
        return self._master_down_at is not None and self._now > self._master_down_at

    def _advert_is_due(self) -> bool:
        due = self._advert_at
        return due is not None and (due - self._now) // NS_PER_MS <= 1

    def _packet(self, frame: bytes) -> Waiting:
        """Handle one frame (`packethandler`)."""
        match self._ingress.check(datagram_of(frame)):
            case (_, events.AdvertReceived() as theirs):
                pass
            case Rejection() as rejection:
                self._system.reject(rejection)
                return
            case _:
                return
        self._heard_counter = theirs.counter
        ours_ns, theirs_ns = self._config.interval_ns, theirs.interval_ns
        if self._state is State.MASTER:
            our_rank = ours_ns, tie_break(self._source)
            their_rank = theirs_ns, tie_break(theirs.source)
            if their_rank < our_rank:
                yield from self._become(
                    State.BACKUP, Cause.BETTER_MASTER, theirs, self._advert()
                )
            else:
                self._adverts_until_arp = REPEAT_ARP_AFTER
                self._tell(theirs, [AnnounceAddresses()])
        elif self._config.preempt and ours_ns < theirs_ns:
            yield from self._master_down(Cause.PREEMPTION, theirs)
        elif self._master_down_ns() < theirs_ns:
            yield from self._master_down(Cause.MASTER_TOO_SLOW, theirs)
        else:
            self._listen()
            self._tell(theirs, [])

    def _master_down(self, cause: Cause, event: events.Event) -> Waiting:
        """Become master (`carp_master_down`): run the script, send ARP, send an advert.

        The second advert is due one advert interval after the script began.
        """
        yield from self._become(State.MASTER, cause, event)
        actions = [AnnounceAddresses(), *self._advert()]
        self._adverts_until_arp = REPEAT_ARP_AFTER
        self._tell(events.AddressesAcquired(self._system.has_address), actions)

    def _become(
        self,
        new: State,
        cause: Cause,
        event: events.Event,
        last_words: Iterable[Action] = (),
    ) -> Waiting:
        """Change the state and run the script (`carp_set_state`).

        `last_words` are actions that come first.  A new BACKUP sets its master-down
        timer when the script has ended (`carp_setrun`).
        """
        changed = StateChanged(self._state, new, cause)
        is_neutral = cause is Cause.STARTUP and self._config.neutral
        is_idle = cause is Cause.SHUTDOWN and self._state is not State.MASTER
        self._state = new
        self._advert_at = self._master_down_at = None
        if is_neutral:
            self._listen()
        if is_neutral or is_idle:  # without a script
            self._tell(event, [changed])
            return
        script = AcquireAddresses() if new is State.MASTER else ReleaseAddresses()
        self._tell(event, [*last_words, changed, script])
        self._system.run_script(Job.ACQUIRE if new is State.MASTER else Job.RELEASE)
        yield _SCRIPT
        if cause is Cause.STEP_DOWN:
            yield Wait(self._monotonic + STEP_DOWN_SLEEP_NS)
        if new is State.BACKUP:
            self._listen()
            self._tell(events.AddressesReleased(not self._system.has_address), [])

    def _listen(self) -> None:
        now = self._system.wall(self._monotonic)
        self._advert_at = None
        self._master_down_at = now + self._master_down_ns()

    def _master_down_ns(self) -> Interval:
        """Return the master-down interval (`carp_setrun`).

        With an advbase of 0 it is a single advert interval.
        """
        config = self._config
        skew_ns = config.interval_ns - config.advbase * NS_PER_S
        return config.dead_ratio * config.advbase * NS_PER_S + skew_ns

    def _advert(self) -> list[Action]:
        """Return the actions that send an advert, and set when the next advert is due.

        They include an announcement when `_adverts_until_arp` has been counted down to
        0 (`carp_send_ad`).
        """
        config = self._config
        advert = SendAdvert(config.advbase, config.advskew, self._next_counter())
        actions: list[Action] = [advert]
        self._adverts_until_arp -= 1
        if self._adverts_until_arp == 0:
            actions.append(AnnounceAddresses())
        self._advert_at = self._now + config.interval_ns
        return actions

    def _tell(self, event: events.Event, actions: list[Action]) -> None:
        """Report a step.

        Its deadline is converted from the wall clock to the monotonic clock.
        """
        due = self._advert_at if self._state is State.MASTER else self._master_down_at
        if due is not None:
            due -= self._system.wall(self._monotonic) - self._monotonic
        self._report(event, actions, self._monotonic, due)
