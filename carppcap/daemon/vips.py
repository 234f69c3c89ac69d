"""Takes and releases the virtual addresses, with our own interface and with scripts.

Our own interface (`--vmac`) is set up within milliseconds, while a script may take any
time.  So the interface comes first, and then the script is started.
"""

import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from carppcap.addresses import Address
from carppcap.daemon.script_env import (
    RETAKE_ENV,
    SHUTDOWN_ENV,
    group_env,
    rival_env,
    step_env,
)
from carppcap.election.actions import RivalAnswered
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesAcquired, AddressesLost
from carppcap.election.script_queue import Job, Outcome
from carppcap.errors import LinkError
from carppcap.log.journal import Journal
from carppcap.node.groups import Step
from carppcap.node.outcomes import AddressesNews, addresses_news
from carppcap.options.settings import OnConflict, Settings
from carppcap.system.clock import now_ns
from carppcap.system.link import Held, device_of
from carppcap.system.scripts import ScriptRunner
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, earliest

ABANDON_NS = 5 * NS_PER_S
"""How long a script may run after the daemon has failed, when no adverts are sent."""

_POLL_S = 0.02

LOOK_NS = 100 * NS_PER_MS
CHECK_MAX_NS = 5 * NS_PER_S
"""While the kernel checks addresses for duplicates, we look for the result every
`LOOK_NS`, for at most `CHECK_MAX_NS`.  A check takes a second or two (RFC 4862,
5.4)."""

FAILED = AddressesAcquired(False)

VipsNews = AddressesNews | AddressesLost
"""What the virtual host is told of its addresses."""

if TYPE_CHECKING:  # The last one needs pyroute2, which is only for `--vmac`.
    from carppcap.system.keeper_messages import Report
    from carppcap.system.vmac import VirtualMac


class Vips:
    """Takes and releases the virtual addresses of one group.

    `held` returns the addresses that this host has, or None if they are not known.
    With `bare` our own interface gets no addresses here.  Call `tend` when a child
    process has ended or a descriptor is readable, and at `deadline`.  Raises
    `ConfigError` or `LinkError` if our own interface (`--vmac`) cannot be made.
    """

    def __init__(
        self,
        settings: Settings,
        config: VirtualHostConfig,
        journal: Journal,
        held: Callable[[], Held | None],
        *,
        bare: bool = False,
    ) -> None:
        self._config = config
        self._vips = frozenset(config.vips)
        self._journal = journal
        self._held = held
        self._interface = _own_interface(config, bare=bare)
        self._wants_interface = False
        self._is_requested = False
        self._is_stuck = False
        self._tells_rivals = settings.on_conflict is OnConflict.SCRIPT
        self._held_when_told: frozenset[Address] = frozenset()
        # A check for duplicates by the kernel (IPv6).  `_was_taken_twice` is True after
        # a failed check made us drop and take the addresses again.  `_checked` are the
        # addresses that this host had when the check began.
        self._checked: frozenset[Address] = frozenset()
        self._was_taken_twice = False
        self._look_at: Instant | None = None
        self._give_up_at: Instant = 0
        self._xparam = () if settings.xparam is None else (settings.xparam,)
        self._parent = config.interface
        self.scripts = ScriptRunner(
            settings.upscript,
            settings.downscript,
            self._arguments(),
            settings.script_timeout_ns,
            group_env(config, config.interface),
        )

    @property
    def idle(self) -> bool:
        """True if there is nothing to wait for."""
        return self.scripts.idle

    @property
    def deadline(self) -> Instant | None:
        """The instant at which to call `tend` even if no child has ended, or None."""
        return earliest(self.scripts.deadline, self._look_at)

    def take_report(self, report: "Report") -> None:
        """Take a report of the keeper, of which there is none here."""

    def note(self, step: Step, will: Callable[[], list[bytes]] | None) -> None:
        """Take note of a step whose frames were sent."""
        for action in step.actions:
            if isinstance(action, RivalAnswered) and self._tells_rivals:
                self._tell_script(action, step.at)

    @property
    def is_telling(self) -> bool:
        """True while the up script runs because of a rival.

        It may remove an address and add it again.  What is missing when it has ended is
        reported then.
        """
        return self.scripts.running is Job.CONFLICT

    def _after_conflict(self) -> list[VipsNews]:
        held = self._held()
        is_lost = held is not None and not held.addresses >= self._held_when_told
        return [AddressesLost()] if is_lost and self._is_requested else []

    def _tell_script(self, rival: RivalAnswered, now: Instant) -> None:
        """Run the up script because of `rival`, unless a script runs already."""
        if not self.idle:
            return
        held = self._held()
        self._held_when_told = held.addresses if held else frozenset()
        self.scripts.request(Job.CONFLICT, now, rival_env(rival))
        self._say_started()

    @property
    def is_lost(self) -> bool:
        """True if our own interface (`--vmac`) or one of its addresses was removed."""
        if self._interface is None or not self._wants_interface:
            return False
        try:
            return not self._interface.has_addresses()
        except LinkError:  # It was removed while we asked.
            return True

    @property
    def own_index(self) -> int:
        """The index of our own interface (`--vmac`); 0 if there is none."""
        return 0 if self._interface is None else self._interface.index

    def rename(self, parent: str) -> None:
        """Record that the interface of the group is now called `parent`."""
        if parent == self._parent:
            return
        self._parent = parent
        self.scripts.arguments = self._arguments()
        self.scripts.environment = group_env(self._config, parent)
        if self._interface is not None:
            self._interface.parent = device_of(parent)

    def _arguments(self) -> tuple[str, ...]:
        return (self._parent, str(self._config.vips[0]), *self._xparam)

    def acquire(self, step: Step) -> list[VipsNews]:
        """Start to take the addresses; return the events that result immediately."""
        self._look_at = None
        self._is_requested = True
        if not self._take_interface():
            return [FAILED]
        self._request(Job.ACQUIRE, step)
        return [] if self._interface is None else [AddressesAcquired(True)]

    def release(self, step: Step) -> None:
        """Start to release the addresses."""
        self._look_at, self._was_taken_twice = None, False
        self._drop_interface()
        self._request(Job.RELEASE, step)
        self._is_requested = False

    def hurry(self, now: Instant) -> None:
        """Kill the running script: the daemon was told to stop a second time."""
        self.scripts.kill()

    def tend(self, now: Instant) -> list[VipsNews]:
        """Kill overdue scripts, retry postponed ones, reap ended ones.

        Return the events that follow.
        """
        self.scripts.meet_deadline(now)
        self.scripts.reap(now)
        news: list[VipsNews] = []
        while self.scripts.outcomes:
            outcome = self.scripts.outcomes.popleft()
            if outcome.job is Job.CONFLICT:
                self._journal.script_ended(outcome, True)
                news += self._after_conflict()
                continue
            # Without an up script `acquire` has returned the event already.
            is_old = self._interface is not None and outcome.job is Job.ACQUIRE
            if not is_old or outcome.command:
                news += self._ended(outcome, now)
        if self._look_at is not None and now >= self._look_at:
            news += self._look_again(now)
        self._say_started()
        return news

    def let_go(self) -> None:
        """Begin to release the addresses after the daemon has failed.

        If the last request was to release them, make no new request.  The state of the
        group does not decide this, because the daemon may have failed in the middle of
        a step.
        """
        if self._is_requested:
            try:
                self._drop_interface()
            finally:
                self._is_requested, self._look_at = False, None
                self.scripts.request(Job.RELEASE, now_ns(), SHUTDOWN_ENV)
            self._say_started()

    def close(self) -> None:
        """Close all that was opened.  This does not release the addresses."""
        if self._interface is not None:
            self._interface.close()
        self.scripts.close()

    def _request(self, job: Job, step: Step) -> None:
        self.scripts.request(job, step.at, step_env(step))
        self._say_started()

    def _take_twice(self, duplicates: Collection[Address], now: Instant) -> bool:
        """Drop the addresses and take them again, so that the kernel checks them again.

        The kernel has found `duplicates` on another host, which may have been a master
        that was slow to leave.  Do this only once: return True if it was done now,
        otherwise False.
        """
        self._look_at = None
        self._journal.duplicates(duplicates, is_last=self._was_taken_twice)
        if self._was_taken_twice:
            return False
        self._was_taken_twice = True
        for job in (Job.RELEASE, Job.ACQUIRE):
            self.scripts.request(job, now, RETAKE_ENV)
        return True

    def _look_again(self, now: Instant) -> list[VipsNews]:
        """Look at the kernel's check for duplicates; return the events if it ended."""
        held = self._held()
        duplicates = held.duplicates if held else frozenset()
        if duplicates:
            return [] if self._take_twice(duplicates, now) else [FAILED]
        if held and not held.addresses >= self._checked:
            # Another program has removed an address during the check.
            self._look_at = None
            return [FAILED]
        if held and not held.tentative:
            # This event makes the master announce once more, since the kernel did not
            # answer for the addresses until now.
            self._look_at, self._was_taken_twice = None, False
            return [AddressesAcquired(True)]
        if now < self._give_up_at:
            self._look_at = now + LOOK_NS
            return []
        self._look_at = None
        return [FAILED] if self._was_taken_twice else []

    def _say_started(self) -> None:
        while self.scripts.started:
            self._journal.script_started(self.scripts.started.popleft())
        while self.scripts.postponed:
            postponed = self.scripts.postponed.popleft()
            self._journal.script_postponed(postponed.command, postponed.why)

    def _ended(self, outcome: Outcome, now: Instant) -> list[VipsNews]:
        held = self._held()
        is_ours = outcome.job is Job.ACQUIRE and self._is_requested
        # Without a script another program sets the addresses, perhaps later.
        duplicates = held.duplicates if held and outcome.command else frozenset()
        news = addresses_news(
            outcome,
            self._vips,
            None if held is None else held.addresses,
            duplicates=duplicates,
            is_stuck=self._is_stuck,
        )
        self._journal.script_ended(outcome, news.ok)
        if not is_ours or not held:
            return [news]
        if duplicates:
            return [] if self._take_twice(duplicates, now) else [news]
        if not held.tentative or not news.ok:
            return [news]
        self._checked = held.addresses
        self._look_at, self._give_up_at = now + LOOK_NS, now + CHECK_MAX_NS
        # Report success now, so that addresses of the other family are announced.
        # After a second attempt wait for the check: another failure would be final.
        return [] if self._was_taken_twice else [news]

    def _take_interface(self) -> bool:
        """Make our own interface, if there is to be one; False if that fails."""
        if self._interface is None:
            return True
        try:
            self._interface.acquire()
        except LinkError as error:
            self._journal.holding_failure(error)
            return False
        self._wants_interface = True
        return True

    def _drop_interface(self) -> None:
        if self._interface is None:
            return
        self._wants_interface = self._is_stuck = False
        try:
            self._interface.release()
        except LinkError as error:
            self._is_stuck = True
            self._journal.holding_failure(error)


def abandon(every: Sequence[Vips]) -> None:
    """Release all addresses after the daemon has failed; return when that is done.

    The scripts of all groups run side by side.  One that takes longer than `ABANDON_NS`
    is killed.
    """
    for each in every:
        with suppress(Exception):  # The others have to let go, too.
            each.let_go()
    for _ in range(2):  # Another script may have to end first.
        until = now_ns() + ABANDON_NS
        while not all(each.scripts.idle for each in every) and now_ns() < until:
            time.sleep(_POLL_S)
            for each in every:
                with suppress(Exception):
                    each.tend(now_ns())
        for each in every:
            with suppress(Exception):
                each.scripts.kill()


def _own_interface(config: VirtualHostConfig, *, bare: bool) -> "VirtualMac | None":
    if not config.vmac:
        return None
    from carppcap.system.vmac import VirtualMac  # noqa: PLC0415 - it loads pyroute2

    device = device_of(config.interface)
    made = VirtualMac(device, config.vhid, config.prefixed_vips)
    made.bare = bare
    return made
