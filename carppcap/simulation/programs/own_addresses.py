"""A simulated carppcap with --own-addresses.

The order of keeper and scripts is that of `daemon.own_vips`.  Here the keeper takes no
time, and scripts do not touch the address.
"""

from collections.abc import Iterable

from carppcap.election import events
from carppcap.election.actions import SendAdvert, State
from carppcap.election.script_queue import Job
from carppcap.node.groups import Step
from carppcap.simulation.programs.carppcap import CarppcapHost
from carppcap.simulation.programs.system import KeeperSystem, Will
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import Member
from carppcap.units import Instant


class OwnAddressesHost(CarppcapHost):
    """A carppcap whose keeper holds the address."""

    def __init__(self, member: Member, system: KeeperSystem, dice: Dice) -> None:
        super().__init__(member, system, dice)
        self._keeping = system
        self._wants = False
        self._is_requested = False
        self._last_advert: Instant = 0
        self._will: Will = list
        # True if the address is to be taken as soon as no down script runs.
        self._is_to_take = False

    def start(self, now: Instant) -> None:
        """Remove what a crash has left, and start."""
        self._keeping.keeper.remove()
        super().start(now)

    def record(self, step: Step) -> None:
        """Tell the keeper of an advert, or that this host is no longer master."""
        super().record(step)
        if step.change is not None and step.change.old is State.MASTER and self._wants:
            self._wants = self._is_to_take = False
            self._keeping.keeper.remove()
        elif step.state is State.MASTER and _has_advert(step):
            self._last_advert, self._will = step.at, self._last_will(step.at)
            if self._wants:
                self._keeping.keeper.keep(self._last_advert, self._will)

    def _last_will(self, at: Instant) -> Will:
        """Return what makes the frames of the farewell as it is prepared at `at`."""
        if self._member.no_farewell:
            return list
        farewell = self._group.last_will(at)
        return lambda: [
            frame for each in farewell for frame in self._egress.frames(each, at)
        ]

    def acquire(self, step: Step) -> Iterable[events.Event]:
        """Take the address, unless a down script runs."""
        self._is_requested = True
        if self._scripts.running is Job.RELEASE:
            self._is_to_take = True
            return ()
        return self._take(step.at)

    def _take(self, now: Instant) -> Iterable[events.Event]:
        self._is_to_take, self._wants = False, True
        # That this host became master permits it, too.
        self._last_advert = max(self._last_advert, now)
        is_taken = self._keeping.keeper.take(self._last_advert, self._will)
        if is_taken:
            self._run(self._scripts.request(Job.ACQUIRE), now)
        return (events.AddressesAcquired(is_taken),)

    def release(self, step: Step) -> Iterable[events.Event]:
        """Request the down script; the address goes when it has ended."""
        self._is_to_take = self._is_requested = False
        return super().release(step)

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """Start the next script, and look after the address."""
        self._kill_script_at = None
        self._run(self._scripts.finished(), now)
        if job is Job.RELEASE or exit_code is not None:
            for event in self._after_script(job, now):
                self._performer.handle(event, now)
        self._exit_if_finished()

    def _after_script(self, job: Job, now: Instant) -> Iterable[events.Event]:
        keeper = self._keeping.keeper
        if self._is_to_take and self._scripts.running is None:
            return self._take(now)
        if job is Job.RELEASE and not self._is_requested:
            self._wants = False
            keeper.remove()
            return (events.AddressesReleased(True),)
        if not self._wants:
            keeper.remove()
            return ()
        is_taken = keeper.take(self._last_advert, self._will)
        return (events.AddressesAcquired(is_taken),)

    def address_lost(self, now: Instant) -> None:
        """Tell the core that the address is gone."""
        self._performer.handle(events.AddressesLost(), now)

    def keeper_ended(self, now: Instant) -> None:
        """Let another keeper hold what this host wants to hold."""
        if self._wants:
            was_there = self._system.has_address
            is_taken = self._keeping.keeper.take(self._last_advert, self._will)
            if not (was_there and is_taken):
                self.address_lost(now)


def _has_advert(step: Step) -> bool:
    return any(isinstance(action, SendAdvert) for action in step.actions)
