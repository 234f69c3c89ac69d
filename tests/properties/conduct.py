"""Laws of how each carppcap behaves, among any peers and faults."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from carppcap.addresses import Address, Family, tie_break
from carppcap.election.actions import AnnounceAddresses, State
from carppcap.election.advertiser import SUPPRESSED_SKEW
from carppcap.election.config import GuardMode
from carppcap.election.events import (
    AdvertReceived,
    DemotionChanged,
    LinkDown,
    LinkUp,
    Solicited,
    StepDown,
    Tick,
)
from carppcap.election.fsm import VirtualHost
from carppcap.node.groups import Step
from carppcap.node.ingress import HintReceived, SolicitationReceived
from carppcap.simulation.model.clocks import Clock
from carppcap.simulation.model.happenings import Running
from carppcap.simulation.output.report import Run
from carppcap.simulation.run import run as run_again
from carppcap.simulation.scenario.parts import Kind, Member, Quality, Scenario, Verb
from carppcap.units import NS_PER_S, Instant, Interval, advert_interval_ns
from carppcap.wire.auth import Key
from tests.properties import faults, groups
from tests.properties.choices import Choices
from tests.properties.groups import KINDS, with_config
from tests.properties.law import Law, on
from tests.properties.reading import adverts, counters_of, lives, steps

_NOT_STALLED = (
    Verb.CRASH,
    Verb.STOP,
    Verb.STEP_DOWN,
    Verb.PULL,
    Verb.KILL,
)
DURATION_NS = 30 * NS_PER_S


def _any_company(choices: Choices) -> Scenario:
    kinds = [choices.one_of(KINDS) for _ in range(choices.between(1, 4))]
    hosts = groups.group(choices, [Kind.CARPPCAP, *kinds])
    # ucarp would flap below a second.
    hosts = tuple(
        with_config(host, advbase=max(1, host.config.advbase))
        if host.kind is Kind.UCARP
        else host
        for host in hosts
    )
    story = (
        *faults.random_faults(choices, hosts, verbs=_NOT_STALLED, clocks=True),
        *faults.attacks(choices, hosts),
    )
    return Scenario(hosts, story, faults.wire(choices, hosts), DURATION_NS)


@on(_any_company)
def no_take_over_without_a_reason(run: Run) -> None:
    """A carppcap becomes master for one of four reasons.

    It has heard no master for its master-down interval; or it preempts, and the master
    has the longer interval and is not less demoted; or the master is more demoted; or
    the interval of the master exceeds our master-down interval.  It never takes over
    during its pause after a step-down.  It yields only to a peer that is less demoted,
    or equally demoted and better, or equal in both and with the lower address.

    Preconditions: none on wire, peers, scripts, clocks or attackers; it was not stopped
    (see `a_stall_does_no_harm_beyond_itself`).
    """
    for member, life in lives(run):
        silence = _Silence(member, _Standing(member))
        for step in steps(life):
            problem = silence.watch(step)
            assert not problem, f"{member.name} at {step.at}: {problem}"


@dataclass(slots=True)
class _Standing:
    """The rank of a program as a master: its settings and its demotion."""

    member: Member
    demotion: int = 0

    def watch(self, step: Step) -> None:
        """Note a demotion."""
        if isinstance(step.event, DemotionChanged):
            self.demotion = step.event.demotion

    @property
    def interval_ns(self) -> Interval:
        """The interval that it advertises, with its demotion as skew."""
        config = self.member.config
        raised = min(config.advskew + self.demotion, SUPPRESSED_SKEW)
        return advert_interval_ns(config.advbase, max(config.advskew, raised))


@dataclass(slots=True)
class _Silence:
    """Follows one program: since when it has heard no master."""

    member: Member
    standing: _Standing
    state: State = State.INIT
    since: Instant = 0
    pause_until: Instant = 0
    asked_to_leave: bool = False

    def watch(self, step: Step) -> str:
        """Return what is wrong with `step`, empty if nothing is."""
        now = Clock(self.member.drift_ppm).monotonic(step.at)
        old, self.state = self.state, step.state
        self.standing.watch(step)
        if old is State.BACKUP and step.state is State.MASTER:
            problem = self._wrong_take_over(step, now)
        elif old is State.MASTER and isinstance(step.event, AdvertReceived):
            problem = self._wrong_yielding(step.event, step.state)
        else:
            problem = ""
        self._take_note(old, step, now)
        return problem

    def _take_note(self, old: State, step: Step, now: Instant) -> None:
        config = self.member.config
        if old is not step.state:
            self.since = now
            if self.asked_to_leave and step.state is State.BACKUP:
                self.pause_until = now + faults.STEP_DOWN_NS
            self.asked_to_leave = False
        match step.event:
            case AdvertReceived(interval_ns=theirs_ns):
                # A farewell, or a master that is too slow, does not count as heard.
                is_heard = theirs_ns <= config.master_down_interval_ns
                self.since = now if is_heard else now - config.master_down_interval_ns
            case StepDown() if old is State.MASTER:
                self.asked_to_leave = True
            case StepDown() if old is State.BACKUP:
                self.pause_until = now + faults.STEP_DOWN_NS
            case LinkUp():
                self.since = now

    def _wrong_take_over(self, step: Step, now: Instant) -> str:
        config = self.member.config
        if now < self.pause_until:
            return "it should have paused"
        match step.event:
            case Tick() if now - self.since < config.master_down_interval_ns:
                return f"it heard a master at {self.since}"
            case AdvertReceived(interval_ns=theirs_ns, demotion=theirs) if (
                not (
                    config.preempt
                    and self.standing.interval_ns < theirs_ns
                    and theirs >= self.standing.demotion
                )
                and theirs <= self.standing.demotion
                and theirs_ns <= config.master_down_interval_ns
            ):
                return "it heard a master good enough"
        return ""

    def _goes_before(self, theirs: Address) -> bool:
        ours = self.member.config.source_of(Family.of(theirs))
        return ours is not None and tie_break(ours) < tie_break(theirs)

    def _wrong_yielding(self, theirs: AdvertReceived, new: State) -> str:
        ours_ns, theirs_ns = self.standing.interval_ns, theirs.interval_ns
        ours = self.standing.demotion
        is_worse = ours < theirs.demotion or (
            ours == theirs.demotion
            and (
                ours_ns < theirs_ns
                or (ours_ns == theirs_ns and self._goes_before(theirs.source))
            )
        )
        is_better = theirs.demotion < ours or (
            ours == theirs.demotion and theirs_ns < ours_ns
        )
        if new is not State.MASTER and is_worse:
            return "it yielded to a worse one"
        if new is State.MASTER and is_better:
            return "it did not yield to a better one"
        return ""


@on(_any_company)
def intervals_and_timeouts_are_exact(run: Run) -> None:
    """Adverts and take-overs come at their time, to 2 ns.

    Scripts delay no advert, lateness does not add up, and the wall clock has no effect.

    Preconditions: as in `no_take_over_without_a_reason`.
    """
    for member, life in lives(run):
        rhythm = _Rhythm(member, _Standing(member))
        for step in steps(life):
            problem = rhythm.watch(step)
            assert not problem, f"{member.name} at {step.at}: {problem}"


@dataclass(slots=True)
class _Rhythm:
    """Follows one program: when it must act next."""

    member: Member
    standing: _Standing
    state: State = State.INIT
    due: Instant | None = None
    pauses: bool = False

    def watch(self, step: Step) -> str:
        """Return what is wrong with `step`, empty if nothing is."""
        config = self.member.config
        now = Clock(self.member.drift_ppm).monotonic(step.at)
        old, self.state = self.state, step.state
        self.standing.watch(step)
        is_late = self.due is not None and now > self.due + 2
        if is_late and not self.pauses:
            return f"it should have done something at {self.due}"
        if isinstance(step.event, StepDown):
            self.pauses = True
        match old, step.state, step.event:
            case State.MASTER, State.MASTER, Tick():
                if not adverts(step) and AnnounceAddresses() in step.actions:
                    return ""  # the answer to a rival
                if not adverts(step):
                    return "it forgot an advert"
                if self.due is None or now < self.due:
                    return "it is early"
                self.due += self.standing.interval_ns
            case State.BACKUP, State.MASTER, _:
                self.due, self.pauses = now + self.standing.interval_ns, False
                if not adverts(step):
                    return "it did not advertise as a master"
            case State.BACKUP, State.BACKUP, Tick() if adverts(step):
                # It probes a rejected master, and waits for its answer.
                self.due = now + config.master_down_interval_ns
            case State.BACKUP, State.BACKUP, AdvertReceived() | LinkUp() if (
                not step.refused
            ):
                if self.due is not None or isinstance(step.event, LinkUp):
                    self.due = now + config.master_down_interval_ns
            case State.MASTER | State.INIT, State.BACKUP, _:
                self.due = now + config.master_down_interval_ns
        if step.state is State.INIT or isinstance(step.event, LinkDown):
            self.due = None  # without a carrier there is no deadline
        return ""


def _without_drift(choices: Choices) -> Scenario:
    scenario = _any_company(choices)
    hosts = tuple(
        replace(with_config(host, replay_guard=GuardMode.OFF), drift_ppm=0)
        for host in scenario.members
    )
    return replace(scenario, members=hosts)


@on(_without_drift)
def early_ticks_change_nothing(run: Run) -> None:
    """A recorded run gives the same actions again, also with additional early ticks.

    Preconditions: the host was not stopped, and its clock was true, so that the
    instants of the record are those of the core.  There is no replay guard, so that
    the events of the record are those of the core.
    """
    for member, life in lives(run):
        record = steps(life)
        counters = [counter for step in record for counter in counters_of(step)]
        again = VirtualHost(member.config, _drawing(counters))
        for before, step in pairwise([None, *record]):
            assert step is not None
            if before is not None:
                _tick_too_early(again, before.at, step.at)
            event = step.event
            assert not isinstance(event, HintReceived)  # there is no guard
            if isinstance(event, SolicitationReceived):
                if step.refused:
                    continue
                event = Solicited()
            actions = tuple(again.handle(event, step.at))
            assert (actions, again.state, again.deadline) == (
                step.actions,
                step.state,
                step.deadline,
            ), f"{member.name} at {step.at} cannot be repeated"


def _drawing(counters: list[int]) -> Callable[[Instant], int]:
    """Return what draws the recorded counters again, in their order."""
    drawn = iter(counters)
    return lambda _: next(drawn, 0)  # 0: not recorded


def _tick_too_early(host: VirtualHost, since: Instant, until: Instant) -> None:
    """Tick at the first, the middle and the last instant before the deadline."""
    if host.deadline is not None:
        until = min(until, host.deadline - 1)
    if until < since:  # the last event came just when time was up
        return
    for at in sorted({since, (since + until) // 2, until}):
        before = host.state, host.deadline
        assert host.handle(Tick(), at) == [], (
            f"an early tick at {at} moved {host.config.source}"
        )
        assert (host.state, host.deadline) == before, (
            f"an early tick at {at} moved {host.config.source}"
        )


def _strangers(choices: Choices) -> Scenario:
    hosts = list(groups.group(choices, groups.ours(choices, 4), mixed_bases=False))
    stranger = hosts[-1].config
    hosts[-1] = replace(
        hosts[-1],
        config=choices.one_of(
            (
                replace(stranger, key=Key(b"another word")),
                replace(stranger, vhid=8),
                replace(stranger, vips=(stranger.vips[0] + 1,)),
                # IPv6 has one multicast group only.
                replace(stranger, group=stranger.group + 1)
                if stranger.families == (Family.IPV4,)
                else replace(stranger, vhid=9),
            )
        ),
    )
    story = [*faults.random_faults(choices, hosts, bad_wire=False)]
    attack = list(faults.attacks(choices, hosts))
    story += [scene for scene in attack if getattr(scene.deed, "forged", 0) is None]
    quality = replace(
        faults.wire(choices, hosts), corrupt=choices.one_of((0.0, 0.3, 0.8))
    )
    return Scenario(tuple(hosts), tuple(story), quality, DURATION_NS)


@on(_strangers)
def only_adverts_of_peers_are_accepted(run: Run) -> None:
    """Every advert that is accepted was sent, unchanged, by another host of the group.

    It was not sent by itself, nor by a host with another password, vhid or address, nor
    to another multicast group, nor was a bit changed on the way.  A host with another
    multicast group shares the address all the same, and answers solicitations.

    Preconditions: no attacker rewrites what no digest covers (it may repeat).  A host
    that was started again may hear what it sent before, from a source with a wrong bit
    (IPv6 has no checksum for it), as late as any advert may be (`START_SLACK`).
    """
    every_life = list(lives(run))
    said = {
        (
            _sure_source(member.config.source_of(advert.family)),
            advert.advbase,
            advert.advskew,
            advert.counter,
        ): (member, number)
        for number, (member, life) in enumerate(every_life)
        for step in steps(life)
        for advert in adverts(step)
    }
    stranger = run.scenario.members[-1]
    for number, (member, life) in enumerate(every_life):
        for step in steps(life):
            theirs = step.event
            if step.refused or not isinstance(theirs, AdvertReceived):
                continue
            source = _sure_source(theirs.source)
            key = source, theirs.advbase, theirs.advskew, theirs.counter
            assert key in said, f"{member.name}: no host sent {key}"
            sender, sender_life = said[key]
            assert sender_life != number, f"{member.name} heard itself"
            is_own = sender is member
            differs = sender.config.group != member.config.group and theirs.to_us
            is_stranger = stranger in (sender, member) and not differs
            assert is_own or not is_stranger, "from a stranger"


def _sure_source(source: Address | None) -> Address | None:
    """Return `source`; None for IPv6, where a wrong bit in it is not noticed."""
    return source if source is None or source.version == 4 else None


def _anything(choices: Choices) -> Scenario:
    scenario = _any_company(choices)
    story = (*scenario.story, *faults.random_faults(choices, scenario.members))
    quality = replace(scenario.quality, loss=0.1)
    assert isinstance(quality, Quality)
    return replace(scenario, story=story, quality=quality)


@on(_anything)
def one_seed_is_one_run(run: Run) -> None:
    """A seed determines the run, and a program that has ended does nothing.

    Preconditions: none.
    """
    again = run_again(run.scenario, run.seed)
    assert again.entries == run.entries, "another run"
    for _, life in lives(run):
        runs = True
        for entry in life:
            if isinstance(entry.what, Running):
                runs = entry.what.runs
            assert runs or not isinstance(entry.what, Step), "it acts after its end"


CONDUCT: Sequence[Law] = (
    no_take_over_without_a_reason,
    intervals_and_timeouts_are_exact,
    early_ticks_change_nothing,
    only_adverts_of_peers_are_accepted,
    one_seed_is_one_run,
)
