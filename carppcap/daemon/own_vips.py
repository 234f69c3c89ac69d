"""Takes and releases the addresses with `--own-addresses`, by the keeper.

The order of the steps is:

    becoming master      set the addresses; run the up script
    stop, step-down      run the down script; remove the addresses; send the farewell
    any other yielding   remove the addresses at once; run the down script

After each script the keeper looks at every instance of the addresses on this host.
"""

from collections import deque
from collections.abc import Callable, Sequence

from carppcap.daemon.vips import FAILED, Vips, VipsNews
from carppcap.election.actions import State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import (
    AddressesAcquired,
    AddressesLost,
    AddressesReleased,
)
from carppcap.election.script_queue import Job
from carppcap.log.journal import Journal
from carppcap.node.groups import Step
from carppcap.options.settings import Settings
from carppcap.system.keeper_messages import Kind, Report
from carppcap.system.keeper_process import KeeperProcess
from carppcap.system.link import device_of
from carppcap.units import NS_PER_S, Instant, earliest

HURRY_NS = NS_PER_S
"""How long a second signal to stop leaves the keeper to report."""

Then = Callable[[Report], list[VipsNews]]
"""What follows from the report to an order."""


class OwnVips(Vips):
    """The addresses of one virtual host, which `keeper` holds as its `charge`."""

    def __init__(
        self,
        settings: Settings,
        config: VirtualHostConfig,
        journal: Journal,
        keeper: KeeperProcess,
        charge: int = 0,
    ) -> None:
        super().__init__(settings, config, journal, lambda: None, bare=True)
        self._keeper = keeper
        self._charge = charge
        self._reports: deque[Report] = deque()
        self._wants = False
        self._last_advert: Instant = 0
        self._will: Sequence[bytes] = ()
        self._awaited = 0
        self._then: Then = _nothing
        # The end of waiting for the keeper after a second signal to stop.
        self._hurry_by: Instant | None = None
        # The step whose addresses are taken as soon as no down script runs.
        self._to_take: Step | None = None
        # What a crash left is removed whatever the options say.
        self._order(Kind.DROP, _nothing)

    @property
    def idle(self) -> bool:
        """True if there is nothing to wait for."""
        return super().idle and not self._awaited

    @property
    def deadline(self) -> Instant | None:
        """The instant at which to `tend` even if nothing else happens."""
        hurry_by = self._hurry_by if self._awaited else None
        return earliest(super().deadline, hurry_by)

    def take_report(self, report: Report) -> None:
        """Take a report of the keeper; `tend` heeds it."""
        self._reports.append(report)

    def note(self, step: Step, will: Callable[[], list[bytes]] | None) -> None:
        """Tell the keeper if a step has sent an advert.

        `will` is None unless the step has sent an advert.  If it has, `will` returns
        the frames of the farewell that the keeper sends if the daemon is killed.
        """
        super().note(step, will)
        if step.change is not None and step.change.old is State.MASTER and self._wants:
            self._let_go()
        elif step.state is State.MASTER and will is not None:
            self._last_advert, self._will = step.at, will()
            if self._wants:
                self._order(Kind.KEEP, _nothing)

    def acquire(self, step: Step) -> list[VipsNews]:
        """Start to take the addresses; return the events that result immediately."""
        self._is_requested = True
        if self.scripts.running is Job.RELEASE:
            self._to_take = step
            return []
        return self._take(step)

    def _take(self, step: Step) -> list[VipsNews]:
        self._to_take = None
        if not self._take_interface():
            return [FAILED]
        self._wants = True
        # That this host became master permits it, too, should its advert not leave.
        self._last_advert = max(self._last_advert, step.at)

        def run_script(report: Report) -> list[VipsNews]:
            if report.ok:
                self._request(Job.ACQUIRE, step)
            return [AddressesAcquired(report.ok)]

        self._order(Kind.TAKE, run_script)
        return []

    def release(self, step: Step) -> None:
        """Start to release the addresses."""
        self._to_take, self._then = None, _nothing
        self._is_requested = False
        self._request(Job.RELEASE, step)

    def _let_go(self) -> None:
        """Remove the addresses at once, since this host is no longer master."""
        self._wants, self._to_take = False, None
        self._order(Kind.CLEAR, _nothing)
        self._drop_interface()

    def hurry(self, now: Instant) -> None:
        """Kill the running script; wait for the keeper for `HURRY_NS` at most."""
        super().hurry(now)
        if self._hurry_by is None:
            self._hurry_by = now + HURRY_NS

    def tend(self, now: Instant) -> list[VipsNews]:
        """Heed the keeper's reports; kill, retry and reap scripts."""
        news: list[VipsNews] = []
        while self._reports:
            news += self._heed(self._reports.popleft())
        if self._awaited and self._hurry_by is not None and now >= self._hurry_by:
            news += self._heed(Report(self._awaited, ok=False))
        self.scripts.meet_deadline(now)
        self.scripts.reap(now)
        while self.scripts.outcomes:
            outcome = self.scripts.outcomes.popleft()
            if outcome.command:
                self._journal.script_ended(outcome, True)
            if outcome.command or outcome.job is Job.RELEASE:
                news += self._after_script(outcome.job)
        self._say_started()
        return news

    def _heed(self, report: Report) -> list[VipsNews]:
        for line in report.lines:
            self._journal.keeper(line)
        no_keeper_works = report.number == 0 and not report.ok
        if self._awaited and (no_keeper_works or report.number == self._awaited):
            then, self._awaited = self._then, 0
            news = then(report)
            # A down script that still runs may remove them.
            if self.scripts.idle:
                self._journal.not_released(report.left)
            return news
        if no_keeper_works:
            return [FAILED] if self._wants else []
        # Another keeper got an earlier order again, and could not take the addresses.
        has_failed = self._wants and not self._awaited and not report.ok
        is_lost = report.number == 0 or report.was_lost or has_failed
        return [AddressesLost()] if is_lost else []

    def _after_script(self, job: Job) -> list[VipsNews]:
        """Make the keeper look at the addresses after a script; it reports later."""
        if self._to_take is not None and self.scripts.running is None:
            return self._take(self._to_take)
        if job is Job.RELEASE and not self._is_requested:
            # Of a master that leaves, which adverts until the addresses are gone.
            is_leaving, self._wants = self._wants, False
            self._order(Kind.CLEAR if is_leaving else Kind.DROP, self._released)
            self._drop_interface()
        elif not self._wants:
            # The up script of a master that is none any more.
            self._order(Kind.CLEAR, _nothing)
        elif job is Job.ACQUIRE and not self._awaited:
            self._order(Kind.TAKE, lambda report: [AddressesAcquired(report.ok)])
        elif job is Job.CONFLICT and not self._awaited:
            self._order(Kind.TAKE, self._still_held)
        return []

    def _still_held(self, report: Report) -> list[VipsNews]:
        if not report.ok:
            return [AddressesLost()]
        # Announce what was missing for a moment.
        return [AddressesAcquired(True)] if report.was_lost else []

    def _released(self, report: Report) -> list[VipsNews]:
        return [AddressesReleased(report.ok and not self._is_stuck)]

    def _order(self, kind: Kind, then: Then) -> None:
        link = device_of(self._parent)
        number = self._keeper.order(
            kind,
            self._last_advert,
            link if self._interface is None else self._interface.name,
            link,
            self._will,
            charge=self._charge,
        )
        if kind is not Kind.KEEP:
            self._awaited, self._then = number, then


def _nothing(report: Report) -> list[VipsNews]:
    return []
