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
 * A kernel yields every tie, which takes a memory of ties (see `ties`).
 * A master that is demoted gives way to one that is less so, preempting or not, as
   in OpenBSD; to all others it shows a raised skew, as FreeBSD does.
 * Where adverts were refused that might be an honest master's after all, it is asked
   by an advert of ours, and given time to answer, before it counts as dead.
"""

from collections.abc import Callable
from dataclasses import dataclass

from carppcap.election.actions import (
    AcquireAddresses,
    Action,
    AnnounceAddresses,
    Cause,
    FamilySilent,
    ReleaseAddresses,
    State,
    StateChanged,
)
from carppcap.election.advertiser import Advertiser
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
    AdvertReceived,
    DemotionChanged,
    Event,
    FramesLost,
    LinkDown,
    LinkUp,
    ReplayRefused,
    SendFailed,
    SendSucceeded,
    SequenceContested,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.election.families import Families
from carppcap.election.ties import Ties
from carppcap.units import NS_PER_S, Instant, Interval
from carppcap.wire.header import BOW_OUT

REPEAT_ANNOUNCE_AFTER = 2
"""Adverts between an announcement and its repetition (`sc_delayed_arp`)."""

ADDRESS_FAILED_PAUSE_NS = 3 * NS_PER_S
ADDRESS_FAILED_PAUSE_NS_MAX = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Leaving:
    """A master on its way out: what to become once the addresses are released."""

    new: State
    cause: Cause
    pause_ns: Interval


class VirtualHost:
    """One vhid on one link.

    Pass each event to `handle` with the instant it happened and perform the returned
    actions in order.  Pass `Tick` when `deadline` arrives: an early one is harmless,
    a late one only delays us.  Instants must not decrease.

    `draw_counter` gives a fresh 64-bit number for each advert (see `Advertiser`).
    """

    def __init__(
        self, config: VirtualHostConfig, draw_counter: Callable[[Instant], int]
    ) -> None:
        self.config = config
        self.state = State.INIT
        self.deadline: Instant | None = None
        self._patience_ns = config.master_down_interval_ns
        self._advertiser = Advertiser(config, draw_counter)
        self._ties = Ties()
        self._families = Families(config.families, self._patience_ns)
        self._link_up = True
        self._doubted_silence = False
        self._hold_until: Instant | None = None
        self._leaving: Leaving | None = None
        self._acquired = False
        self._acquire_failures = 0
        self._regained_at: Instant | None = None
        self._adverts_until_announce = 0  # 0: no repetition is due
        self._refused_interval_ns: Interval | None = None
        self._has_asked = False

    @property
    def interval_ns(self) -> Interval:
        """Time between our adverts, which is also our rank: the shorter the better."""
        return self._advertiser.interval_ns

    @property
    def demotion(self) -> int:
        """How poor a master we would be, 0..255."""
        return self._advertiser.demotion

    def is_own(self, counter: int) -> bool:
        """Whether an advert with this counter is one of our own, come back."""
        return self._advertiser.is_own(counter)

    def handle(self, event: Event, now: Instant) -> list[Action]:
        """Take note of `event` at `now` and say what must be done about it."""
        match self.state, event:
            case State.BACKUP, AdvertReceived() as theirs if self._link_up:
                return self._heard_as_backup(theirs, now)
            case State.INIT, Start():
                return self._become_backup(Cause.STARTUP, now)
            case State.BACKUP, Tick() if self._is_due(now):
                return self._silence_is_over(now)
            case State.BACKUP, ReplayRefused(interval_ns):
                self._refused_interval_ns = interval_ns
            case State.BACKUP, FramesLost() if self._link_up:
                self._doubt_silence(now)
            case State.BACKUP, StepDown(pause_ns):
                self._hold(pause_ns, now)
            case State.BACKUP, Stop():
                return self._become_init()
            case State.MASTER, Tick() if self._is_due(now):
                return self._advertise(now)
            case State.MASTER, AdvertReceived() as theirs:
                return self._heard_as_master(theirs, now)
            case State.MASTER, SequenceContested():
                return self._advertiser.advert(now)
            case State.MASTER, AddressesAcquired(ok) if self._leaving is None:
                return self._announce() if ok else self._address_failed(now)
            case State.MASTER, AddressesLost() if self._acquired:
                return self._addresses_lost(now)
            case State.MASTER, AddressesReleased(ok) if self._leaving is not None:
                return self._leave(self._leaving, ok, now)
            case State.MASTER, StepDown(pause_ns):
                return self._start_leaving(State.BACKUP, Cause.STEP_DOWN, pause_ns)
            case State.MASTER, Stop():
                return self._start_leaving(State.INIT, Cause.SHUTDOWN, 0)
            case _, DemotionChanged(demotion):
                is_news = demotion != self.demotion
                self._advertiser.demote(demotion)
                # Peers are told at once (`carp_send_ad_all`).
                if is_news and self.state is State.MASTER:
                    return self._advertiser.advert(now)
            case State.BACKUP | State.MASTER, LinkDown():
                return self._link_went_down(now)
            case State.BACKUP, LinkUp() if not self._link_up:
                self._link_up = True
                self._families.listen(now)
                self._rearm_master_down(now)
            case _, SendFailed():
                self._advertiser.note_failure()
            case _, SendSucceeded():
                self._advertiser.note_success()
        return []

    # What a BACKUP decides.

    def _silence_is_over(self, now: Instant) -> list[Action]:
        """The master is dead; unless we did not believe it, then ask it first."""
        interval_ns = self._refused_interval_ns
        if interval_ns is None or self._has_asked:
            return self._become_master(Cause.MASTER_DOWN, now)
        # An honest original or FreeBSD that hears us counts on from our counter, so
        # that its next advert is a new one.  A replay cannot answer.
        self._has_asked = True
        self.deadline = now + min(interval_ns + interval_ns // 4, self._patience_ns)
        return self._advertiser.question(interval_ns, now)

    def _heard_as_backup(self, theirs: AdvertReceived, now: Instant) -> list[Action]:
        self._doubted_silence = False
        self._refused_interval_ns, self._has_asked = None, False
        self._ties.heard(theirs.source)
        silent = self._families.note_advert(theirs.family, now)
        # A master this slow is bound to time out, so treat it as down already: this
        # is how a farewell works on receivers that know nothing of farewells.
        too_slow = self._patience_ns < theirs.interval_ns
        if self._hold_until is not None and now < self._hold_until:
            self.deadline = self._hold_until
            if not too_slow:
                self._rearm_master_down(now)
            return []
        is_slower = self.interval_ns < theirs.interval_ns
        if self.config.preempt and is_slower and theirs.demotion >= self.demotion:
            return self._become_master(Cause.PREEMPTION, now)
        if theirs.demotion > self.demotion:
            return self._become_master(Cause.DEMOTION, now)
        # To one that is less demoted we would yield again at its next word, and all
        # who answer a claim by a claim would talk without end; unless it leaves.
        is_farewell = theirs.advbase == theirs.advskew == BOW_OUT
        if too_slow and (theirs.demotion >= self.demotion or is_farewell):
            return self._become_master(Cause.MASTER_TOO_SLOW, now)
        self._rearm_master_down(now)
        return [FamilySilent(family) for family in silent]

    def _doubt_silence(self, now: Instant) -> None:
        """Listen once more: the master's adverts may have been among the lost.

        But only once, or a flood of frames could keep the addresses from everyone.
        """
        if not self._doubted_silence:
            self._doubted_silence = True
            self.deadline = max(self.deadline or now, now + self._patience_ns)

    def _hold(self, pause_ns: Interval, now: Instant) -> None:
        """Pause, and only then begin to listen for a master, as the original does.

        Were both to run at once, a peer that waits longer than we do would never
        get its turn.
        """
        self._hold_until = now + pause_ns
        if self.deadline is not None:
            self.deadline = self._hold_until + self._patience_ns

    def _rearm_master_down(self, now: Instant) -> None:
        self.deadline = now + self._patience_ns
        if self._hold_until is not None:
            self.deadline = max(self.deadline, self._hold_until)

    # What a MASTER decides.

    def _heard_as_master(self, theirs: AdvertReceived, now: Instant) -> list[Action]:
        self._families.note_advert(theirs.family, now)
        is_better = theirs.interval_ns < self.interval_ns
        is_lost_tie = self._is_lost_tie(theirs, now)
        if is_lost_tie and self._ties.keep(theirs.source, theirs.counter):
            # A kernel yields to this advert at once instead of a second later.
            return [*self._advertiser.advert(now), *self._reassert()]
        is_less_demoted = theirs.demotion < self.demotion
        is_preferred = is_better or is_lost_tie
        if is_less_demoted or (is_preferred and theirs.demotion == self.demotion):
            # Our last advert tells the winner it was contested: it announces again.
            # But not one that would beat the winner where demotion is not known.
            last_advert = self._advertiser.advert(now) if is_preferred else []
            cause = Cause.BETTER_MASTER if is_preferred else Cause.DEMOTION
            yielding = self._give_way(cause, now)
            self._ties.yielded_to(theirs.source if is_lost_tie else None)
            return [*last_advert, *yielding]
        return self._reassert()

    def _is_lost_tie(self, theirs: AdvertReceived, now: Instant) -> bool:
        if theirs.interval_ns != self.interval_ns:
            return False
        if not self._families.decides_ties(theirs.family, now):
            return False
        return self._ties.is_lost(theirs.source, self.config.source_of(theirs.family))

    def _reassert(self) -> list[Action]:
        # When the up script has succeeded, the announcement follows by itself.
        return self._announce() if self._acquired and self._leaving is None else []

    def _announce(self) -> list[Action]:
        self._acquired = True
        self._acquire_failures = 0
        self._adverts_until_announce = REPEAT_ANNOUNCE_AFTER
        return [AnnounceAddresses()]

    def _advertise(self, now: Instant) -> list[Action]:
        actions = self._advertiser.advert(now)
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

    # Ways out of MASTER.

    def _start_leaving(
        self, new: State, cause: Cause, pause_ns: Interval
    ) -> list[Action]:
        was_leaving = self._leaving is not None
        if self._leaving is None or new is State.INIT:
            self._leaving = Leaving(new, cause, pause_ns)
        return [] if was_leaving else [ReleaseAddresses()]

    def _leave(self, leaving: Leaving, released: bool, now: Instant) -> list[Action]:
        # Never invite a successor while we still answer for the addresses.
        farewell = self._advertiser.farewell(now) if released else []
        if leaving.new is State.INIT:
            return [*farewell, *self._become_init()]
        changed = self._enter_backup(leaving.cause, now)
        self._hold(leaving.pause_ns, now)
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
        self._hold(leaving.pause_ns, now)
        return [changed]

    def _link_went_down(self, now: Instant) -> list[Action]:
        self._link_up = False
        if self.state is State.MASTER:
            return self._give_way(Cause.LINK_DOWN, now)
        self.deadline = None
        return []

    def _address_failed(self, now: Instant) -> list[Action]:
        """A master without the address is worse than none: let a peer try."""
        pause_ns = min(
            ADDRESS_FAILED_PAUSE_NS << self._acquire_failures,
            ADDRESS_FAILED_PAUSE_NS_MAX,
        )
        self._acquire_failures = min(self._acquire_failures + 1, 8)
        farewell = self._advertiser.farewell(now)
        yielding = self._become_backup(Cause.ADDRESS_FAILED, now)
        self._hold(pause_ns, now)
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
        self._ties.yielded_to(None)
        self._families.listen(now)
        self._doubted_silence, self._has_asked = False, False
        self._refused_interval_ns = None
        self.deadline = None
        if self._link_up:
            self._rearm_master_down(now)
        return changed

    def _become_master(self, cause: Cause, now: Instant) -> list[Action]:
        assert self.state is State.BACKUP  # INIT never leads straight to MASTER
        self.state, self._hold_until = State.MASTER, None
        self._ties.became_master()
        self._adverts_until_announce, self._regained_at = 0, None
        changed = StateChanged(State.BACKUP, State.MASTER, cause)
        first_advert = self._advertiser.advert(now)
        self.deadline = now + self.interval_ns
        # The announcement follows when this host really answers for the addresses.
        return [changed, *first_advert, AcquireAddresses()]

    def _is_due(self, now: Instant) -> bool:
        return self.deadline is not None and now >= self.deadline
