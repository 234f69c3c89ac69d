"""Log lines about one virtual host: its steps, rejected frames and scripts.

Where ucarp logs the same thing, the line has ucarp's words.  Nothing here has an effect
on the election.  A line that any frame could cause is written at most once a minute;
the next such line tells how many were suppressed.
"""

from collections.abc import Iterable, Sequence

from carppcap.addresses import Address
from carppcap.election.actions import (
    AnnounceAddresses,
    Cause,
    FamilySilent,
    RivalAnswered,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, AdvertReceived
from carppcap.election.script_queue import Job, Outcome
from carppcap.errors import LinkError
from carppcap.log.deafness import DeafnessLog
from carppcap.log.limited import QUIET_PERIOD_NS, LimitedLog
from carppcap.log.rejections import Rejections
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.node.timeline import format_rejection, format_step
from carppcap.system.syslog import Level, Log
from carppcap.units import NS_PER_S, Instant

_REASONS = {
    (Cause.PREEMPTION, State.MASTER): "Putting MASTER down - preemption",
    (Cause.MASTER_TOO_SLOW, State.MASTER): "Putting MASTER DOWN (going to time out)",
    (Cause.BETTER_MASTER, State.BACKUP): (
        "Preferred master advertised: going back to BACKUP state"
    ),
    (Cause.DEMOTION, State.MASTER): (
        "The master is more demoted than this host: taking over"
    ),
    (Cause.DEMOTION, State.BACKUP): (
        "Another master is less demoted than this host: going back to BACKUP state"
    ),
}
"""The log line that explains a change of state, keyed by the cause and the new state.

Changes that are not listed have no such line.  The first three lines are those of
ucarp, and programs that watch a log may search for them."""

_REASSERT = "Non-preferred master advertising: reasserting control of VIP with another "
_PROBE = "Refused adverts may be genuine; probing the master before taking over"


HAND_OVER_NS = 2 * NS_PER_S
"""How long after a take-over an advert may be the last one of our predecessor.

A ucarp reads our first advert up to a second late."""


class Journal:
    """The log of one virtual host; times in its debug lines count from `origin`."""

    def __init__(self, log: Log, config: VirtualHostConfig, origin: Instant) -> None:
        self._log = log
        self._config = config
        self._addresses = ", ".join(map(str, config.vips))
        # ucarp has only IPv4, so its words are used in every group with IPv4.
        has_ipv4 = any(family.value == 4 for family in config.families)
        self._announcement = "gratuitous arp" if has_ipv4 else "neighbour advertisement"
        self._origin = origin
        self._rejections = Rejections(log, [config])
        self._deafness = DeafnessLog(log, config)
        self._limited = LimitedLog(log)
        # When this host became master, and when its addresses were contested last.
        self._master_since: Instant = origin
        self._contested_at: Instant | None = None
        self.conflicts = 0
        """How often our addresses were contested while this host was master."""

    def log_step(self, step: Step) -> None:
        """Log an event and the actions that followed from it."""
        if step.refusal is not None:
            self._log_timeline(step)
        change = next((a for a in step.actions if isinstance(a, StateChanged)), None)
        if change is not None:
            self._log_change(step, change)
        elif isinstance(step.event, AddressesLost) and step.actions:
            self._log.warning(
                f"{self._addresses} was removed while this host is master: adding it "
                "again"
            )
        else:
            self._log_actions(step)
        self._count_conflict(step)
        self._rejections.log_remark(step)
        self._deafness.note(step)
        if step.refusal is None:
            self._log_timeline(step)

    def _count_conflict(self, step: Step) -> None:
        """Name a rival, and count a conflict unless the last one goes on.

        The other host is one that claims an address of ours, or a master to which we do
        not yield.  The advert with which a master yields follows our first one at once,
        and is no conflict.
        """
        if step.state is not State.MASTER or step.refused:
            return
        if step.change is not None:
            self._master_since = step.at
        rivals = [each for each in step.actions if isinstance(each, RivalAnswered)]
        for rival in rivals:
            self._rejections.log_rival(rival, step.at)
        advert = step.event if isinstance(step.event, AdvertReceived) else None
        is_late = step.at - self._master_since > HAND_OVER_NS
        is_master_s = advert is not None and not advert.is_farewell and is_late
        if not rivals and not is_master_s:
            return
        before, self._contested_at = self._contested_at, step.at
        if before is None or step.at - before > QUIET_PERIOD_NS:
            self.conflicts += 1

    def _log_actions(self, step: Step) -> None:
        """Log what matters to an administrator in a step that changes no state.

        This is one of: the master has fallen silent in one address family; this backup
        probes the master; this master reasserts control with a gratuitous ARP or a
        neighbour advertisement.
        """
        advert = step.event if isinstance(step.event, AdvertReceived) else None
        for action in step.actions:
            match action:
                case FamilySilent(family):
                    text = (
                        f"No adverts of the master over IPv{family.value} any more: a "
                        "BSD kernel would take over"
                    )
                    self._limited.write(Level.WARNING, step.at, action, text)
                case SendAdvert() if step.state is State.BACKUP:
                    self._limited.write(Level.NOTICE, step.at, "probe", _PROBE)
                # A farewell comes in each family.  After the first one we are master,
                # and the second one is no sign of another master.
                case AnnounceAddresses() if advert and not advert.is_farewell:
                    key = ("reassert", advert.source)
                    text = f"{_REASSERT}{self._announcement}"
                    self._limited.write(Level.WARNING, step.at, key, text)

    def _log_timeline(self, step: Step) -> None:
        if self._log.is_debugging:
            self._log.debug(format_step(step, self._origin))

    def _log_change(self, step: Step, change: StateChanged) -> None:
        reason = _REASONS.get((change.cause, change.new))
        if reason is not None:
            self._log.warning(reason)
        if change.cause is Cause.ADDRESS_FAILED:
            self._log.error(
                f"The up script failed and {self._addresses} is not on this host: "
                "stepping aside so that a peer can take it"
            )
        level = Level.INFO if change.new is State.INIT else Level.WARNING
        self._log.write(level, f"Switching to state: {change.new.value}")
        self._log.info(
            f"{step.interface} id {step.vhid}: {change.old.value} -> "
            f"{change.new.value} ({change.cause.value})"
        )

    def status(self, state: State) -> None:
        """Log the state of the virtual host, as SIGUSR1 asks."""
        interface, vhid = self._config.interface, self._config.vhid
        conflicts = f", conflicts: {self.conflicts}" if self.conflicts else ""
        self._log.info(f"{state.value} on {interface} id {vhid}{conflicts}")

    def log_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Log why a frame was rejected, unless the frame concerns only other groups."""
        if self._log.is_debugging:
            self._log.debug(format_rejection(rejection, at, self._origin))
        self._rejections.log_rejection(rejection, at)

    def send_failure(self, why: object, at: Instant) -> None:
        """Log that a frame could not be sent, with the reason `why`."""
        text = f"write() has failed: {why}"
        self._limited.write(Level.WARNING, at, text, text)

    def unreachable(self, peer: Address, why: str, at: Instant) -> None:
        """Log that no advert can be sent to `peer`, with the reason `why`."""
        text = f"No advert leaves for {peer}: {why} (--peer)"
        self._limited.write(Level.WARNING, at, ("unreachable", peer), text)

    def holding_failure(self, error: LinkError) -> None:
        """Log that the interface with the virtual MAC could not be made or removed."""
        self._log.error(str(error))

    def keeper(self, text: str) -> None:
        """Log what the keeper of own addresses has found."""
        self._log.warning(text)

    def not_released(self, left: Sequence[str]) -> None:
        """Log which addresses are on this host although it is not master."""
        for instance in left:
            self._log.warning(
                f"{instance}, although this host is not master; carppcap has not set "
                "it there and leaves it alone"
            )

    def script_started(self, command: tuple[str, ...]) -> None:
        """Log that a script was started."""
        self._log.warning(f"Spawning [{' '.join(command)}]")

    def script_postponed(self, command: tuple[str, ...], why: str) -> None:
        """Log why a down script could not be started, and that it is tried again."""
        self._log.error(
            f"Unable to exec {' '.join(command)}: {why}; trying again every second"
        )

    def duplicates(self, addresses: Iterable[Address], *, is_last: bool) -> None:
        """Log that duplicate address detection found `addresses` on another host.

        `is_last` is True if this host will not try again to take them.
        """
        names = ", ".join(map(str, sorted(addresses, key=int)))
        what = "still" if is_last else "taking it again"
        self._log.warning(
            f"Duplicate address detection failed for {names}, which another host has "
            f"({what}): the up script should add it with nodad"
        )

    def waiting_for(self, command: tuple[str, ...]) -> None:
        """Log that the shutdown waits for the running script `command`.

        An empty `command` means that no script is running; then log nothing.
        """
        if command:
            self._log.info(
                f"Waiting for [{' '.join(command)}] before leaving; signal again to "
                "kill it"
            )

    def script_ended(self, outcome: Outcome, ok: bool) -> None:
        """Log how a script ended.

        `ok` tells whether the addresses now count as acquired (after an up script) or
        as released (after a down script).
        """
        command, code = " ".join(outcome.command), outcome.exit_code
        if outcome.error:
            self._log.error(f"Unable to exec {command}: {outcome.error}")
        elif outcome.overdue:
            self._log.error(f"Script [{command}] took too long and was killed")
        elif code is not None and code < 0:
            self._log.error(f"Script [{command}] was ended by signal {-code}")
        elif code:
            # A down script may fail because there is no address to remove.
            harmless = ok and outcome.job is Job.RELEASE
            level = Level.INFO if harmless else Level.WARNING
            self._log.write(level, f"Script [{command}] exited with code {code}")
        else:
            self._log.debug(f"Script [{command}] succeeded")
        if not ok and outcome.job is Job.RELEASE:
            self._log.error(
                f"The down script failed and this host still has {self._addresses}"
            )
