"""The election: one virtual host decides whether it is BACKUP or MASTER.

A MASTER sends an advert every `advbase + advskew/256` seconds; a shorter interval is a
better rank.  A BACKUP that hears no master for its master-down interval becomes MASTER.
A MASTER that hears a better one becomes BACKUP.  `VirtualHost.handle` lists what each
event does in each situation.  Nothing here knows a clock, a socket, a script or a key.
README.rst says why the rules are as they are.
"""

from carppcap.election import comparison, events
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
from carppcap.election.advertiser import Advertiser, DrawCounter
from carppcap.election.backoff import Backoff
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived, Event
from carppcap.election.families import Families
from carppcap.election.situations import (
    Backup,
    Claiming,
    Deaf,
    Holding,
    Idle,
    Leaving,
    Listening,
    Master,
    Paused,
    Situation,
)
from carppcap.election.ties import Tie, Ties
from carppcap.units import Instant, Interval


class VirtualHost:
    """One vhid on one interface.

    Pass each event to `handle` with the instant at which it happened, and carry out the
    returned actions in order.  Pass a `Tick` at `deadline`: one that is early does
    nothing, and one that is late delays our adverts.  Instants must not decrease.
    `draw_counter` returns the counter of an advert.
    """

    def __init__(self, config: VirtualHostConfig, draw_counter: DrawCounter) -> None:
        self.config = config
        self.situation: Situation = Idle()
        self._master_down_ns = config.master_down_interval_ns
        self.advertiser = Advertiser(config, draw_counter)
        self._ties = Ties(lambda: self.config)
        self._families = Families(config.families, self._master_down_ns)
        self._backoff = Backoff()

    @property
    def state(self) -> State:
        """The state: INIT, BACKUP or MASTER."""
        return self.situation.state

    @property
    def deadline(self) -> Instant | None:
        """The instant at which to pass a `Tick`; None if no `Tick` is needed."""
        return self.situation.deadline

    @property
    def interval_ns(self) -> Interval:
        """The time between two of our adverts.  A shorter interval is a better rank."""
        return self.advertiser.interval_ns

    def handle(self, event: Event, now: Instant) -> list[Action]:
        """Handle `event`, which happened at `now`; return the actions to carry out."""
        self._end_pause(now)
        match self.situation, event:
            case Idle(), events.Start():
                releases = [] if self.config.neutral else [ReleaseAddresses()]
                return [self._enter_backup(Cause.STARTUP, now), *releases]
            case Listening() as listening, events.Tick() if now >= listening.deadline:
                return self._silence_is_over(listening, now)
            case (Listening() | Paused()) as backup, AdvertReceived() as theirs:
                return self._backup_heard(backup, theirs, now)
            case Listening() | Paused(), events.TwinReceived(theirs):
                self._note_family(theirs, now)
            case (Listening() as wait) | Paused(_, wait), events.FramesLost():
                wait.extend_once(now + self._master_down_ns)
            case (Listening() as wait) | Paused(_, wait), events.ReplayRefused(ns):
                wait.refused_ns = ns
            case (Listening() as wait) | Paused(_, wait), events.StepDown(pause_ns):
                self._pause(wait, now + pause_ns)
            case Deaf(), events.StepDown(pause_ns):
                self.situation = Deaf(now + pause_ns)
            case (Listening() | Paused()) as backup, events.LinkDown():
                self.situation = Deaf(backup.until)
            case Deaf(paused_until), events.LinkUp():
                self._listen(paused_until, now)
            case Backup(), events.Stop():
                return [self._enter_init()]

            case Master() as master, events.Tick():
                return self._advertise(master, now)
            case Master(), (AdvertReceived() as theirs) | events.TwinReceived(theirs):
                return self._master_heard(theirs, now)
            case Master(due), events.SequenceContested() | events.Solicited():
                return self.advertiser.advert(now) if now < due else []
            case Master(), events.FramesLost():  # They may have been our successor's.
                return self.advertiser.solicit(now)
            case Master(), events.FormChanged():
                return self.advertiser.answer(now)
            case Claiming() | Holding() as master, events.AddressesAcquired(ok):
                return self._announce(master) if ok else self._address_failed(now)
            case Holding() as holding, events.AddressesLost():
                return self._addresses_lost(holding, now)
            case Holding() as holding, events.MacChanged():
                return self._announce(holding)
            case Holding(rival=None) as holding, events.RivalHeard() as rival:
                holding.note_rival(rival, now)
            case Claiming() | Holding() as master, events.StepDown(pause_ns):
                return self._leave(master, State.BACKUP, Cause.STEP_DOWN, pause_ns)
            case Master() as master, events.Stop():
                return self._leave(master, State.INIT, Cause.SHUTDOWN)
            case Leaving() as leaving, events.AddressesReleased(ok):
                return self._released(leaving, ok, now)
            case Master(), events.LinkDown():
                return [*self._give_way(Cause.LINK_DOWN, now), *self.handle(event, now)]

            case _, events.DemotionChanged(demotion):
                return self._demote(demotion, now)
            case _, events.SendFailed() | events.SendSucceeded():
                self.advertiser.note_outcome(ok=event == events.SendSucceeded())
        return []

    # BACKUP

    def _silence_is_over(self, listening: Listening, now: Instant) -> list[Action]:
        """Ask for an advert; at the end probe a refused sender (once), or take over."""
        listening.asked_at = now
        if now < listening.master_down_at:
            return self.advertiser.solicit(now)
        refused_ns = listening.refused_ns
        if refused_ns is None or listening.has_probed:
            return self._become_master(Cause.MASTER_DOWN, now)
        # A genuine ucarp or FreeBSD that hears our probe continues from our counter, so
        # the replay guard accepts its next advert.  An attacker cannot send a new one.
        listening.has_probed = True
        wait_ns = min(refused_ns * 5 // 4, self._master_down_ns)
        listening.master_down_at = now + wait_ns
        return self.advertiser.probe(refused_ns, now)

    def _backup_heard(
        self, backup: Listening | Paused, theirs: AdvertReceived, now: Instant
    ) -> list[Action]:
        silent = self._note_family(theirs, now)
        if isinstance(backup, Paused):
            # Do not take over in the pause.  After a farewell take over when it ends.
            end = backup.until
            is_alive = not comparison.is_too_slow(theirs, self.config)
            until = max(end, now + self._master_down_ns) if is_alive else end
            self.situation = Paused(end, Listening(until, self._master_down_ns))
            return []
        cause = comparison.reason_to_take_over(theirs, self.advertiser, self.config)
        if cause is not None:
            return self._become_master(cause, now)
        self.situation = Listening(now + self._master_down_ns, self._master_down_ns)
        return silent

    def _note_family(self, theirs: AdvertReceived, now: Instant) -> list[Action]:
        """Record the family of an advert; report the other family if it is silent."""
        silent = self._families.note_advert(theirs.family, now)
        return [FamilySilent(family) for family in silent]

    def _pause(self, listening: Listening, until: Instant) -> None:
        """Pause, and after that listen for a whole master-down interval, like ucarp.

        If it began with the pause, a peer with a longer interval could not take over.
        """
        listening.master_down_at = until + self._master_down_ns
        self.situation = Paused(until, listening)

    def _end_pause(self, now: Instant) -> None:
        match self.situation:
            case Paused(until, listening) if now >= until:
                self.situation = listening

    def _listen(self, paused_until: Instant, now: Instant) -> None:
        """Begin to listen for a master, but not before `paused_until`."""
        self._families.listen(now)
        listening = Listening(now + self._master_down_ns, self._master_down_ns)
        self.situation = listening
        if now < paused_until:
            self._pause(listening, paused_until)

    # MASTER

    def _advertise(self, master: Master, now: Instant) -> list[Action]:
        """Send what is due: the advert, the answer to a rival, or both."""
        answer = master.take_answer(now) if isinstance(master, Holding) else []
        answer += self.advertiser.solicit(now) if answer else []
        if now < master.advert_at:
            return answer
        self._ties.sent_late(master.advert_at, now)
        master.advert_at = self.advertiser.next_deadline(master.advert_at, now)
        period = self.advertiser.adverts_per_announcement
        # Before the advert: a BSD kernel that preempts upon it announces after us.
        again = isinstance(master, Holding) and master.is_announced_again(period)
        announcement = [AnnounceAddresses()] if again and not answer else answer
        return [*announcement, *self.advertiser.advert(now)]

    def _master_heard(self, theirs: AdvertReceived, now: Instant) -> list[Action]:
        self._families.note_advert(theirs.family, now)
        ours, tie = self.advertiser, None
        decides = self._families.decides_ties(theirs.family, now)
        if decides and theirs.interval_ns == ours.interval_ns:
            tie = self._ties.judge(theirs, now)
        cause = comparison.reason_to_give_way(theirs, ours, is_lost=tie is Tie.YIELD)
        if cause is None:
            answer = ours.advert(now) if tie is Tie.ANSWER else []
            return [*answer, *self._reassert()]
        # After our last advert the winner announces its addresses again.  None is sent
        # to a less demoted winner: one that ignores demotion might yield to the advert.
        last_advert = ours.advert(now) if cause is Cause.BETTER_MASTER else []
        return [*last_advert, *self._give_way(cause, now)]

    def _reassert(self) -> list[Action]:
        """Announce the addresses again, if the up script has set them."""
        master = self.situation
        return self._announce(master) if isinstance(master, Holding) else []

    def _announce(self, master: Claiming | Holding) -> list[Action]:
        self.situation = Holding(master.advert_at, master.regained_at)
        self._backoff.note_success()
        return [AnnounceAddresses()]

    def _address_failed(self, now: Instant) -> list[Action]:
        """Become BACKUP and pause, so that a peer can take the addresses."""
        farewell = self.advertiser.farewell(now)
        until = now + self._backoff.pause_ns
        changed = self._enter_backup(Cause.ADDRESS_FAILED, now, until)
        self._backoff.note_failure()
        return [*farewell, changed, ReleaseAddresses()]

    def _addresses_lost(self, holding: Holding, now: Instant) -> list[Action]:
        """Take lost addresses again, but at most once in a master-down interval."""
        regained_at = holding.regained_at
        if regained_at is not None and now - regained_at < self._master_down_ns:
            return self._address_failed(now)
        self.situation = Claiming(holding.advert_at, regained_at=now)
        return [AcquireAddresses()]

    def _leave(
        self, master: Master, to: State, cause: Cause, pause_ns: Interval = 0
    ) -> list[Action]:
        """Start the down script; keep sending adverts until it has ended."""
        self.situation = Leaving(master.advert_at, to, cause, pause_ns)
        return [] if isinstance(master, Leaving) else [ReleaseAddresses()]

    def _released(self, leaving: Leaving, ok: bool, now: Instant) -> list[Action]:
        # Never invite a successor while we still answer for the addresses.
        farewell = self.advertiser.farewell(now) if ok else []
        return [*farewell, self._left(leaving, leaving.cause, now)]

    def _give_way(self, cause: Cause, now: Instant) -> list[Action]:
        """Become BACKUP, or INIT if we are stopping, before the down script ends."""
        if isinstance(self.situation, Leaving):  # the down script runs already
            return [self._left(self.situation, cause, now)]
        return [self._enter_backup(cause, now), ReleaseAddresses()]

    def _left(self, leaving: Leaving, cause: Cause, now: Instant) -> Action:
        if leaving.to is State.INIT:
            return self._enter_init()
        return self._enter_backup(cause, now, now + leaving.pause_ns)

    def _demote(self, demotion: int, now: Instant) -> list[Action]:
        is_news = demotion != self.advertiser.demotion and self.state is State.MASTER
        self.advertiser.demote(demotion)
        return self.advertiser.advert(now) if is_news else []  # `carp_send_ad_all`

    def _enter_init(self) -> Action:
        changed = StateChanged(self.state, State.INIT, Cause.SHUTDOWN)
        self.situation = Idle()
        return changed

    def _enter_backup(self, cause: Cause, now: Instant, until: Instant = 0) -> Action:
        changed = StateChanged(self.state, State.BACKUP, cause)
        self._listen(until, now)
        return changed

    def _become_master(self, cause: Cause, now: Instant) -> list[Action]:
        self._ties.forget()
        self.situation = Claiming(self.advertiser.first_deadline(now))
        changed = StateChanged(State.BACKUP, State.MASTER, cause)
        ours = self.advertiser
        # The announcement follows when the up script has set the addresses.
        return [changed, *ours.advert(now), *ours.solicit(now), AcquireAddresses()]
