"""The election: one virtual host decides whether it is BACKUP or MASTER.

House rules.  Everything that moves a virtual host stands in this module.  Nothing
here reads a clock, sends a frame, runs a script or knows a key: an event and an
instant come in, actions come out.

The idea.  A MASTER adverts every `advbase + advskew/256` seconds, and a shorter
interval is a better rank.  A BACKUP that hears nothing for its master-down interval
becomes MASTER; a MASTER that hears a better one becomes BACKUP.  `deadline` is the
one instant at which we want to be called again: for a BACKUP the end of its
patience, for a MASTER its next advert.  A BACKUP without a link has none, because
silence proves nothing to the deaf.

Beyond the original.
 * A claim never waits for a script: the advert goes out first, the announcement
   when the up script has succeeded.
 * A master that is told to go adverts until its down script has ended, and only
   then says farewell, so that there is no second holder while it still holds.
 * A master whose up script failed steps aside, for longer each time.  One whose
   addresses were taken away takes them again.
 * A kernel yields every tie.  Whoever yielded one, and then heard nothing more of
   that peer, keeps the next, or the two would yield to each other for ever.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address

from carppcap.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    Cause,
    ReleaseAddresses,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.addresses import tie_break
from carppcap.advert import BOW_OUT
from carppcap.config import VirtualHostConfig
from carppcap.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
    AdvertReceived,
    Event,
    FramesLost,
    LinkDown,
    LinkUp,
    SendFailed,
    SendSucceeded,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.units import NS_PER_S, Instant, Interval, advert_interval_ns

REPEAT_ANNOUNCE_AFTER = 2
"""Adverts between an announcement and its repetition (`sc_delayed_arp`)."""

SEND_FAILURES_MAX = 3
"""Failures in a row that make us a poor master (`CARP_SENDAD_MAX_ERRORS`)."""

SEND_SUCCESSES_MIN = 3
"""Successes in a row that make up for them (`CARP_SENDAD_MIN_SUCCESS`)."""

SUPPRESSED_SKEW = 240
"""The least skew of a host that cannot send."""

ADDRESS_FAILED_HOLD_NS = 3 * NS_PER_S
ADDRESS_FAILED_HOLD_NS_MAX = 60 * NS_PER_S

OWN_COUNTERS_MAX = 64
"""How many of our counters we remember, to know our own adverts when they return."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A master on its way out: what to become once the addresses are released."""

    new: State
    cause: Cause
    hold_ns: Interval


class VirtualHost:
    """One vhid on one link.

    Pass each event to `handle` with the instant it happened and perform the returned
    actions in order.  Pass `Tick` when `deadline` arrives: an early one is harmless,
    a late one only delays us.  Instants must not decrease.

    `draw_counter` gives a fresh 64-bit number for each advert, as the original does
    until it has heard a peer.  Following a peer's counter, as it does later, would
    let two masters use the same number and be taken for each other's echo.
    """

    def __init__(
        self, config: VirtualHostConfig, draw_counter: Callable[[], int]
    ) -> None:
        self.config = config
        self.state = State.INIT
        self.deadline: Instant | None = None
        self._patience_ns = config.master_down_interval_ns
        self._draw_counter = draw_counter
        self._own_counters: deque[int] = deque(maxlen=OWN_COUNTERS_MAX)
        self._link_up = True
        self._doubted_silence = False
        self._hold_until: Instant | None = None
        self._leaving: Leaving | None = None
        self._acquired = False
        self._acquire_failures = 0
        self._regained_at: Instant | None = None
        self._adverts_until_announce = 0  # 0: no repetition is due
        self._send_failures = 0
        self._send_successes = 0
        self._tie_yielded_to: IPv4Address | None = None
        self._tie_kept_from: IPv4Address | None = None

    @property
    def advskew(self) -> int:
        """Our skew as advertised and compared: raised while we fail to send."""
        if self._send_failures >= SEND_FAILURES_MAX:
            return max(self.config.advskew, SUPPRESSED_SKEW)
        return self.config.advskew

    @property
    def interval_ns(self) -> Interval:
        """Time between our adverts, which is also our rank: the shorter the better."""
        return advert_interval_ns(self.config.advbase, self.advskew)

    def is_own(self, counter: int) -> bool:
        """Whether an advert with this counter is one of our own, come back."""
        return counter in self._own_counters

    def handle(self, event: Event, now: Instant) -> list[Action]:
        """Take note of `event` at `now` and say what must be done about it."""
        match self.state, event:
            # What happens most, in a replay millions of times, comes first.
            case State.BACKUP, AdvertReceived() as theirs if self._link_up:
                return self._heard_as_backup(theirs, now)
            case State.INIT, Start():
                return self._become_backup(Cause.STARTUP, now)
            case State.BACKUP, Tick() if self._is_due(now):
                return self._master_is_down(now)
            case State.BACKUP, FramesLost() if self._link_up:
                self._doubt_silence(now)
            case State.BACKUP, StepDown(hold_ns):
                self._hold(hold_ns, now)
            case State.BACKUP, Stop():
                return self._become_init()
            case State.MASTER, Tick() if self._is_due(now):
                return self._advertise(now)
            case State.MASTER, AdvertReceived() as theirs:
                return self._heard_as_master(theirs, now)
            case State.MASTER, AddressesAcquired(ok) if self._leaving is None:
                return self._announce() if ok else self._address_failed(now)
            case State.MASTER, AddressesLost() if self._acquired:
                return self._addresses_lost(now)
            case State.MASTER, AddressesReleased(ok) if self._leaving is not None:
                return self._leave(self._leaving, ok, now)
            case State.MASTER, StepDown(hold_ns):
                return self._start_leaving(State.BACKUP, Cause.STEP_DOWN, hold_ns)
            case State.MASTER, Stop():
                return self._start_leaving(State.INIT, Cause.SHUTDOWN, 0)
            case State.BACKUP | State.MASTER, LinkDown():
                return self._link_went_down(now)
            case State.BACKUP, LinkUp() if not self._link_up:
                self._link_up = True
                self._rearm_master_down(now)
            case _, SendFailed():
                self._send_failures += 1
                self._send_successes = 0
            case _, SendSucceeded():
                self._count_success()
        return []

    # What a BACKUP decides.

    def _master_is_down(self, now: Instant) -> list[Action]:
        # A peer that was silent ever since we yielded to it had yielded to us.
        kept_from = self._tie_yielded_to
        actions = self._become_master(Cause.MASTER_DOWN, now)
        self._tie_kept_from = kept_from
        return actions

    def _heard_as_backup(self, theirs: AdvertReceived, now: Instant) -> list[Action]:
        self._doubted_silence = False
        if self._tie_yielded_to is not None and self._tie_yielded_to == theirs.source:
            self._tie_yielded_to = None
        # A master this slow is bound to time out, so treat it as down already: this
        # is how a farewell works on receivers that know nothing of farewells.
        too_slow = self._patience_ns < theirs.interval_ns
        if self._hold_until is not None and now < self._hold_until:
            self.deadline = self._hold_until
            if not too_slow:
                self._rearm_master_down(now)
            return []
        if self.config.preempt and self.interval_ns < theirs.interval_ns:
            return self._become_master(Cause.PREEMPTION, now)
        if too_slow:
            return self._become_master(Cause.MASTER_TOO_SLOW, now)
        self._rearm_master_down(now)
        return []

    def _doubt_silence(self, now: Instant) -> None:
        """Listen once more: the master's adverts may have been among the lost.

        But only once, or a flood of frames could keep the addresses from everyone.
        """
        if not self._doubted_silence:
            self._doubted_silence = True
            patience_ns = self._patience_ns
            self.deadline = max(self.deadline or now, now + patience_ns)

    def _hold(self, hold_ns: Interval, now: Instant) -> None:
        """Pause, and only then begin to listen for a master, as the original does.

        Were both to run at once, a peer that waits longer than we do would never
        get its turn.
        """
        self._hold_until = now + hold_ns
        if self.deadline is not None:
            self.deadline = self._hold_until + self._patience_ns

    def _rearm_master_down(self, now: Instant) -> None:
        self.deadline = now + self._patience_ns
        if self._hold_until is not None:
            self.deadline = max(self.deadline, self._hold_until)

    # What a MASTER decides.

    def _heard_as_master(self, theirs: AdvertReceived, now: Instant) -> list[Action]:
        is_tie = theirs.interval_ns == self.interval_ns
        yields_tie = is_tie and tie_break(theirs.source) < tie_break(self.config.source)
        if yields_tie and theirs.source == self._tie_kept_from:
            self._tie_kept_from = None
            # A kernel yields to this advert at once instead of a second later.
            return [self._our_advert(), *self._reassert()]
        if theirs.interval_ns < self.interval_ns or yields_tie:
            # Our last advert tells the winner it was contested: it announces again.
            last_advert = self._our_advert()
            yielding = self._give_way(Cause.BETTER_MASTER, now)
            self._tie_yielded_to = theirs.source if yields_tie else None
            return [last_advert, *yielding]
        return self._reassert()

    def _reassert(self) -> list[Action]:
        # Before the up script has succeeded there is nothing to announce, and when
        # it has, the announcement follows by itself.
        return self._announce() if self._acquired and self._leaving is None else []

    def _announce(self) -> list[Action]:
        self._acquired = True
        self._acquire_failures = 0
        self._adverts_until_announce = REPEAT_ANNOUNCE_AFTER
        return [AnnounceAddresses()]

    def _advertise(self, now: Instant) -> list[Action]:
        actions: list[Action] = [self._our_advert()]
        self._schedule_advert(now)
        if self._adverts_until_announce > 0:
            self._adverts_until_announce -= 1
            if self._adverts_until_announce == 0 and self._leaving is None:
                actions.append(AnnounceAddresses())
        return actions

    def _schedule_advert(self, now: Instant) -> None:
        """Count from the last deadline, so that lateness does not add up."""
        due = now if self.deadline is None else self.deadline
        self.deadline = due + self.interval_ns
        if self.deadline <= now:  # We were stalled: do not send a volley.
            self.deadline = now + self.interval_ns

    def _our_advert(self) -> SendAdvert:
        return self._sign(self.config.advbase, self.advskew)

    def _farewell(self) -> list[Action]:
        return [self._sign(BOW_OUT, BOW_OUT)] if self.config.farewell else []

    def _sign(self, advbase: int, advskew: int) -> SendAdvert:
        counter = self._draw_counter()
        self._own_counters.append(counter)
        return SendAdvert(advbase, advskew, counter)

    # Ways out of MASTER.

    def _start_leaving(
        self, new: State, cause: Cause, hold_ns: Interval
    ) -> list[Action]:
        was_leaving = self._leaving is not None
        if self._leaving is None or new is State.INIT:
            self._leaving = Leaving(new, cause, hold_ns)
        return [] if was_leaving else [ReleaseAddresses()]

    def _leave(self, leaving: Leaving, released: bool, now: Instant) -> list[Action]:
        # Never invite a successor while we still answer for the addresses.
        farewell = self._farewell() if released else []
        if leaving.new is State.INIT:
            return [*farewell, *self._become_init()]
        changed = self._enter_backup(leaving.cause, now)
        self._hold(leaving.hold_ns, now)
        return [*farewell, changed]

    def _give_way(self, cause: Cause, now: Instant) -> list[Action]:
        """Be master no more, for a reason that does not wait for our scripts."""
        leaving = self._leaving
        if leaving is None:
            return self._become_backup(cause, now)
        # The release is on its way already.
        if leaving.new is State.INIT:
            return self._become_init()
        changed = self._enter_backup(cause, now)
        self._hold(leaving.hold_ns, now)
        return [changed]

    def _link_went_down(self, now: Instant) -> list[Action]:
        self._link_up = False
        if self.state is State.MASTER:
            return self._give_way(Cause.LINK_DOWN, now)
        self.deadline = None
        return []

    def _address_failed(self, now: Instant) -> list[Action]:
        """A master without the address is worse than none: let a peer try."""
        hold_ns = min(
            ADDRESS_FAILED_HOLD_NS << self._acquire_failures,
            ADDRESS_FAILED_HOLD_NS_MAX,
        )
        self._acquire_failures = min(self._acquire_failures + 1, 8)
        farewell = self._farewell()
        yielding = self._become_backup(Cause.ADDRESS_FAILED, now)
        self._hold(hold_ns, now)
        return [*farewell, *yielding]

    def _addresses_lost(self, now: Instant) -> list[Action]:
        """Take them again; but not over and over, if something wants them gone."""
        if self._leaving is not None:
            return []  # the down script at work
        self._acquired, self._adverts_until_announce = False, 0
        regained_at, self._regained_at = self._regained_at, now
        patience_ns = self.config.master_down_interval_ns
        if regained_at is not None and now - regained_at < patience_ns:
            return self._address_failed(now)
        return [AcquireAddresses()]

    # The states, and the only writers of `state`.

    def _become_init(self) -> list[Action]:
        changed = StateChanged(self.state, State.INIT, Cause.SHUTDOWN)
        self.state, self.deadline, self._leaving = State.INIT, None, None
        return [changed]

    def _become_backup(self, cause: Cause, now: Instant) -> list[Action]:
        changed = self._enter_backup(cause, now)
        if cause is Cause.STARTUP and self.config.neutral:
            return [changed]
        return [changed, ReleaseAddresses()]

    def _enter_backup(self, cause: Cause, now: Instant) -> StateChanged:
        changed = StateChanged(self.state, State.BACKUP, cause)
        self.state, self._leaving, self._acquired = State.BACKUP, None, False
        self._tie_kept_from, self._doubted_silence = None, False
        self.deadline = None
        if self._link_up:
            self._rearm_master_down(now)
        return changed

    def _become_master(self, cause: Cause, now: Instant) -> list[Action]:
        assert self.state is State.BACKUP  # INIT never leads straight to MASTER
        self.state, self._hold_until, self._tie_yielded_to = State.MASTER, None, None
        self._adverts_until_announce, self._regained_at = 0, None
        changed = StateChanged(State.BACKUP, State.MASTER, cause)
        first_advert = self._our_advert()
        self.deadline = now + self.interval_ns
        # The advert claims the addresses at once; the announcement follows
        # `AddressesAcquired`, when this host really answers for them.
        return [changed, first_advert, AcquireAddresses()]

    # Small matters.

    def _is_due(self, now: Instant) -> bool:
        return self.deadline is not None and now >= self.deadline

    def _count_success(self) -> None:
        if self._send_failures < SEND_FAILURES_MAX:
            self._send_failures = 0
            return
        self._send_successes += 1
        if self._send_successes >= SEND_SUCCESSES_MIN:
            self._send_failures = self._send_successes = 0
