"""A simulated BSD kernel: its state machine and timers (see wire/README.rst).

A kernel runs no scripts: a MASTER has the addresses from its first instant.  Its timers
end at a tick of its clock, never too early and up to a tick too late (`tvtohz`).  It
has a master-down timer for each family that has addresses.  If a group has both
families and its master falls silent in one of them, a second host becomes master.

The kernels differ:

 * FreeBSD (10 and later) sends no farewell.  Demotion is added to the skew, up to a sum
   of 240.  It does not lengthen the master-down interval, nor the time from a new
   master's first advert to its second.
 * OpenBSD (7.8) sends the same random counter, its cookie, in all its adverts, and
   drops adverts that have its own cookie.  Demotion is sent in a byte of the advert
   that other kernels ignore.  The master-down interval is three advert intervals,
   each including the skew.  A new master sends gratuitous ARP with its first advert,
   and again two adverts after that.
 * NetBSD has a skew of at least 240 while it is demoted.
 * OPNsense and pfSense are FreeBSD, except that they send the same random counter in
   all their adverts.  Unlike OpenBSD, they accept adverts that have their own counter.

jcarp is a program with the rules of OpenBSD.  It uses a new counter each time it sends
adverts, the same one for IPv4 and IPv6.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from carppcap.addresses import Address, Family
from carppcap.election import events
from carppcap.election.actions import (
    Action,
    AnnounceAddresses,
    Cause,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.election.config import DEMOTION_MAX, SourceMac
from carppcap.node.egress import Egress, Sending
from carppcap.node.ingress import Rejection, RejectReason
from carppcap.simulation.programs.bsd_ingress import OPENBSD_RULES, BsdIngress
from carppcap.simulation.programs.system import Program, System, datagram_of
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Kind, Member
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

DEAD_RATIO = 3
SKEW_MAX = 240
"""The greatest skew of a demoted FreeBSD, and the least skew of a demoted NetBSD.

The kernels call it `CARP_MAXSKEW`."""

REPEAT_ARP_AFTER = 2
_ARP = b"\x08\x06"
TICK_NS = {
    Kind.FREEBSD: NS_PER_MS,
    Kind.NETBSD: 10 * NS_PER_MS,
    Kind.OPENBSD: 10 * NS_PER_MS,
    Kind.OPNSENSE: NS_PER_MS,
    Kind.JCARP: 10 * NS_PER_MS,
}


class BsdHost(Program):
    """One vhid of a BSD kernel, or of jcarp.

    It runs no scripts, and has no process that could be stopped.
    """

    def __init__(self, member: Member, system: System, dice: Dice) -> None:
        egress = kernel_egress(member, system.mac, dice.ip_id, system.neighbour)
        super().__init__(member, system, dice, egress)
        self._kind = member.kind
        self._is_openbsd = member.kind in OPENBSD_RULES
        self._advert_at: Instant | None = None
        self._master_down_at: dict[Family, Instant] = {}
        self._ingress = BsdIngress(member.kind, member.config)
        self._tick_ns = TICK_NS[member.kind]
        self._tick_phase_ns = dice.up_to(self._tick_ns)
        self._cookie = dice.bits(64)
        self._demotion = member.config.demotion
        self._adverts_until_arp = 0

    @property
    def deadline(self) -> Instant | None:
        """The instant at which a master sends its next advert, or a backup takes over.

        A backup takes over when its master-down timer of any family ends.  In INIT it
        is None.
        """
        return min(self._master_down_at.values(), default=self._advert_at)

    def start(self, now: Instant) -> None:
        """Become BACKUP if there is a carrier, as when the interface is brought up."""
        if self._system.link_up:
            self._become(State.BACKUP, Cause.STARTUP, events.Start(), now)

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """Check a frame, and react to its advert (`carp_input`, `carp_input_c`)."""
        verdict = self._ingress.check(datagram_of(frame))
        if isinstance(verdict, Rejection):
            self._system.reject(verdict)
        elif verdict is None:
            pass
        elif self._kind is Kind.OPENBSD and verdict.counter == self._cookie:
            self._system.reject(Rejection(RejectReason.OWN))
        else:
            self._heard_counter = verdict.counter
            self._heard(verdict, now)

    def wake(self, now: Instant) -> None:
        """Take over or send an advert (`carp_master_down`, `carp_send_ad`)."""
        if self._state is State.MASTER:
            self._advertise(events.Tick(), now)
        else:
            self._become(State.MASTER, Cause.MASTER_DOWN, events.Tick(), now)

    def link_changed(self, now: Instant) -> None:
        """Go to INIT if the carrier was lost, else to BACKUP (`carp_carpdev_state`)."""
        if self._system.link_up:
            self._become(State.BACKUP, Cause.STARTUP, events.LinkUp(), now)
        else:
            self._become(State.INIT, Cause.LINK_DOWN, events.LinkDown(), now)

    def step_down(self, now: Instant) -> None:
        """Become BACKUP at once and without a pause (`ifconfig carp0 state backup`)."""
        if self._state is State.MASTER:
            self._become(State.BACKUP, Cause.STEP_DOWN, events.StepDown(0), now)

    def demoted(self, by: int, now: Instant) -> None:
        """Change the demotion (`ifconfig carpdemote`, `net.inet.carp.demotion`)."""
        self._demotion = min(self._config.demotion + by, DEMOTION_MAX)
        news = events.DemotionChanged(self._demotion)
        if self._state is State.MASTER:
            self._advertise(news, now)
        else:
            self._report(news, [], now, self.deadline)

    def stop(self, now: Instant) -> None:
        """Leave the group (`ifconfig carp0 down`)."""
        last_words: list[Action] = []
        if self._state is State.MASTER and not self._kind.is_freebsd:
            last_words = self._sign(BOW_OUT, BOW_OUT)
        if self._state is not State.INIT:
            self._become(State.INIT, Cause.SHUTDOWN, events.Stop(), now, last_words)
        self._system.exit()

    # Decisions.

    def _heard(self, theirs: events.AdvertReceived, now: Instant) -> None:
        if self._state is State.MASTER:
            if self._is_beaten_by(theirs):
                self._become(State.BACKUP, Cause.BETTER_MASTER, theirs, now)
            else:
                self._report(theirs, [], now, self.deadline)
            return
        cause = self._reason_to_take_over(theirs)
        if cause is not None:
            self._become(State.MASTER, cause, theirs, now)
        else:
            master_down_ns = self._master_down_ns
            self._master_down_at[theirs.family] = self._after(master_down_ns, now)
            self._report(theirs, [], now, self.deadline)

    def _is_beaten_by(self, theirs: events.AdvertReceived) -> bool:
        ours, peers = self._demotions(theirs)
        if ours != peers:
            return peers < ours
        return theirs.interval_ns <= self._interval_ns  # a kernel yields in every tie

    def _reason_to_take_over(self, theirs: events.AdvertReceived) -> Cause | None:
        config = self._config
        ours, peers = self._demotions(theirs)
        if config.preempt and self._interval_ns < theirs.interval_ns and ours <= peers:
            return Cause.PREEMPTION
        if ours < peers:
            return Cause.DEMOTION
        longest_ns = (DEAD_RATIO - 1) * config.advbase * NS_PER_S + self._interval_ns
        # FreeBSD and NetBSD allow no advbase of 0.
        if config.advbase != 0 and longest_ns < theirs.interval_ns:
            return Cause.MASTER_TOO_SLOW
        return None

    def _demotions(self, theirs: events.AdvertReceived) -> tuple[int, int]:
        """Return our demotion and the sender's, as far as this kernel compares them.

        Only OpenBSD and jcarp compare demotions.  For other kernels both numbers are 0.
        """
        if self._is_openbsd:
            return self._demotion, theirs.demotion
        return 0, 0

    @property
    def _advskew(self) -> int:
        """The effective skew, after demotion (`DEMOTE_ADVSKEW`).

        The host sends it in adverts, and compares it with the skew in its peers'
        adverts.
        """
        advskew = self._config.advskew
        if self._kind.is_freebsd:
            return min(advskew + self._demotion, SKEW_MAX)
        if self._kind is Kind.NETBSD and self._demotion:
            return max(advskew, SKEW_MAX)
        return advskew

    @property
    def _interval_ns(self) -> Interval:
        return advert_interval_ns(self._config.advbase, self._advskew)

    @property
    def _master_down_ns(self) -> Interval:
        """The master-down interval (`carp_setrun`)."""
        config = self._config
        if self._is_openbsd:  # since revision 1.368 of ip_carp.c
            return DEAD_RATIO * config.interval_ns
        return (DEAD_RATIO - 1) * config.advbase * NS_PER_S + config.interval_ns

    def _after(self, length_ns: Interval, now: Instant) -> Instant:
        """Return when a timer ends if it is set at `now` for `length_ns`.

        Timers end at ticks.  The length is rounded up to whole ticks, and one tick is
        added (`tvtohz`).
        """
        tick_ns, phase_ns = self._tick_ns, self._tick_phase_ns
        ticks = (now - phase_ns) // tick_ns - (-length_ns // tick_ns) + 1
        return phase_ns + ticks * tick_ns

    # Actions.

    def _become(
        self,
        new: State,
        cause: Cause,
        event: events.Event,
        now: Instant,
        last_words: Iterable[Action] = (),
    ) -> None:
        actions: list[Action] = [*last_words, StateChanged(self._state, new, cause)]
        self._state = new
        self._advert_at, self._master_down_at = None, {}
        if new is State.BACKUP:
            due = self._after(self._master_down_ns, now)
            self._master_down_at = dict.fromkeys(self._config.families, due)
        elif new is State.MASTER:
            is_freebsd = self._kind.is_freebsd
            first_ns = self._config.interval_ns if is_freebsd else self._interval_ns
            self._advert_at = self._after(first_ns, now)
            self._adverts_until_arp = REPEAT_ARP_AFTER
            actions += [*self._our_adverts(), AnnounceAddresses()]
        self._report(event, actions, now, self.deadline)
        self._system.set_address(new is State.MASTER)

    def _advertise(self, event: events.Event, now: Instant) -> None:
        self._advert_at = self._after(self._interval_ns, now)
        actions = self._our_adverts()
        self._adverts_until_arp -= 1
        if self._is_openbsd and self._adverts_until_arp == 0:
            actions.append(AnnounceAddresses())
        self._report(event, actions, now, self.deadline)

    def _our_adverts(self) -> list[Action]:
        return self._sign(self._config.advbase, self._advskew)

    def _sign(self, advbase: int, advskew: int) -> list[Action]:
        """Return an advert for each family with virtual addresses.

        In the kernels this is `carp_prepare_ad`.
        """
        demotion = self._demotion if self._is_openbsd else 0
        once = self._next_counter() if self._kind is Kind.JCARP else None
        return [
            SendAdvert(advbase, advskew, once or self._next_counter(), demotion, family)
            for family in self._config.families
        ]

    def _next_counter(self) -> int:
        return self._cookie if self._kind.repeats_counter else super()._next_counter()

    def _send(self, action: Sending, now: Instant) -> None:
        """Send the frames of `action`.

        If a new master announces its addresses for the second time, it sends gratuitous
        ARP but no neighbour advertisements.
        """
        is_second = action == AnnounceAddresses() and self._adverts_until_arp == 0
        for frame in self._egress.frames(action, now):
            if not is_second or frame[12:14] == _ARP:
                self._system.send(frame)


def kernel_egress(
    member: Member,
    nic_mac: bytes,
    draw_ip_id: Callable[[], int],
    mac_of: Callable[[Address], bytes | None],
) -> Egress:
    """Return an `Egress` that builds the frames of a kernel (see wire/README.rst).

    Multicast adverts have the virtual MAC as their source, and unicast adverts the MAC
    of the interface.  Announcements tell that the addresses belong to the virtual MAC.
    """
    config = replace(member.config, source_mac=SourceMac.BSD, vmac=True, multicast=True)
    is_openbsd = member.kind in OPENBSD_RULES
    return Egress(config, nic_mac, draw_ip_id, mac_of, link_local=not is_openbsd)
