"""Taking and releasing the virtual addresses, by our own interface and by scripts.

Our own interface (`--vmac`) takes a moment and a script any time, so the interface is
set before the script is started.
"""

import time
from collections.abc import Callable

from carppcap.daemon.script_env import SHUTDOWN_ENV, group_env, step_env
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesAcquired
from carppcap.election.script_queue import Job, Outcome
from carppcap.errors import LinkError
from carppcap.log.journal import Journal
from carppcap.node.groups import Step
from carppcap.node.outcomes import AddressesNews, addresses_news
from carppcap.options.settings import Settings
from carppcap.system.clock import now_ns
from carppcap.system.link import Held, device_of
from carppcap.system.scripts import ScriptRunner
from carppcap.units import NS_PER_S, Instant

ABANDON_NS = 5 * NS_PER_S
"""How long a script may take when the daemon cannot go on; no adverts are sent."""

_POLL_S = 0.02

TYPE_CHECKING = False
if TYPE_CHECKING:  # It needs pyroute2, which only those have who asked for it.
    from carppcap.system.vmac import VirtualMac


class Vips:
    """The addresses of one virtual host.

    `held` returns those that this host has, or None if they are not known.  Call
    `tend` when a child has ended, and at `scripts.deadline`.  Raises `ConfigError` or
    `LinkError` if an interface of our own is wanted and cannot be made.
    """

    def __init__(
        self,
        settings: Settings,
        config: VirtualHostConfig,
        journal: Journal,
        held: Callable[[], Held | None],
    ) -> None:
        self._config = config
        self._vips = frozenset(config.vips)
        self._journal = journal
        self._held = held
        self._interface = _own_interface(config)
        self._wants_interface = False
        self._is_requested = False
        self._is_stuck = False
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
    def is_lost(self) -> bool:
        """True if our own interface is gone, or an address of it."""
        if self._interface is None or not self._wants_interface:
            return False
        try:
            return not self._interface.has_addresses()
        except LinkError:  # It was removed while we asked.
            return True

    @property
    def own_index(self) -> int:
        """The number of our own interface; 0 if there is none."""
        return 0 if self._interface is None else self._interface.index

    def rename(self, parent: str) -> None:
        """Call the interface `parent` from now on, as the kernel does."""
        if parent == self._parent:
            return
        self._parent = parent
        self.scripts.arguments = self._arguments()
        self.scripts.environment = group_env(self._config, parent)
        if self._interface is not None:
            self._interface.parent = device_of(parent)

    def _arguments(self) -> tuple[str, ...]:
        return (self._parent, str(self._config.vips[0]), *self._xparam)

    def acquire(self, step: Step) -> list[AddressesNews]:
        """Take the addresses, as `step` asks; return what is known at once."""
        self._is_requested = True
        news: list[AddressesNews] = []
        if self._interface is not None:
            try:
                self._interface.acquire()
            except LinkError as error:
                self._journal.holding_failure(error)
                return [AddressesAcquired(False)]
            self._wants_interface = True
            news.append(AddressesAcquired(True))
        self._request(Job.ACQUIRE, step)
        return news

    def release(self, step: Step) -> None:
        """Let go of the addresses, as `step` asks."""
        self._drop_interface()
        self._request(Job.RELEASE, step)
        self._is_requested = False

    def tend(self, now: Instant) -> list[AddressesNews]:
        """Kill, retry and reap scripts; return what follows from their ends."""
        self.scripts.meet_deadline(now)
        self.scripts.reap(now)
        news = []
        while self.scripts.outcomes:
            outcome = self.scripts.outcomes.popleft()
            # Without an up script, `acquire` has told already.
            is_old = self._interface is not None and outcome.job is Job.ACQUIRE
            if not is_old or outcome.command:
                news.append(self._ended(outcome))
        self._say_started()
        return news

    def abandon(self) -> None:
        """Let go of the addresses and wait for it, as the daemon cannot go on.

        What was requested last decides: the state may say something else in the middle
        of a step.  A script that takes longer than `ABANDON_NS` is killed.
        """
        if self._is_requested:
            try:
                self._drop_interface()
            finally:
                self.scripts.request(Job.RELEASE, now_ns(), SHUTDOWN_ENV)
            self._say_started()
        for _ in Job:  # The up script may have to end first.
            until = now_ns() + ABANDON_NS
            while not self.scripts.idle and now_ns() < until:
                time.sleep(_POLL_S)
                self.tend(now_ns())
            self.scripts.kill()

    def close(self) -> None:
        """Close what was opened; the addresses stay where they are."""
        if self._interface is not None:
            self._interface.close()
        self.scripts.close()

    def _request(self, job: Job, step: Step) -> None:
        self.scripts.request(job, step.at, step_env(step))
        self._say_started()

    def _say_started(self) -> None:
        while self.scripts.started:
            self._journal.script_started(self.scripts.started.popleft())
        while self.scripts.postponed:
            postponed = self.scripts.postponed.popleft()
            self._journal.script_postponed(postponed.command, postponed.why)

    def _ended(self, outcome: Outcome) -> AddressesNews:
        held = self._held()
        news = addresses_news(
            outcome,
            self._vips,
            None if held is None else held.addresses,
            is_stuck=self._is_stuck,
        )
        self._journal.script_ended(outcome, news.ok)
        return news

    def _drop_interface(self) -> None:
        if self._interface is None:
            return
        self._wants_interface = self._is_stuck = False
        try:
            self._interface.release()
        except LinkError as error:
            self._is_stuck = True
            self._journal.holding_failure(error)


def _own_interface(config: VirtualHostConfig) -> "VirtualMac | None":
    if not config.vmac:
        return None
    from carppcap.system.vmac import VirtualMac  # noqa: PLC0415 - it loads pyroute2

    prefixes = config.prefixes or (None,) * len(config.vips)
    return VirtualMac(
        device_of(config.interface),
        config.vhid,
        tuple(zip(config.vips, prefixes, strict=True)),
    )
