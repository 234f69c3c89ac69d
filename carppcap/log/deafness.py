"""The log lines about multicast that is lost while broadcast arrives."""

from carppcap.election.actions import SendAdvert, State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import STALL_NS, AdvertReceived
from carppcap.log.limited import RateLimit
from carppcap.node.groups import Step
from carppcap.node.ingress import SolicitationReceived
from carppcap.system.syslog import Level, Log
from carppcap.units import NS_PER_S, Instant, Interval

PERIOD_NS: Interval = 600 * NS_PER_S
"""How often each line is written, at most."""

_REMEDY = (
    "; the usual cause is a switch with IGMP or MLD snooping and no querier: enable a "
    "querier, or disable snooping"
)


class DeafnessLog:
    """Logs that adverts of a master arrive here by broadcast only, or ours elsewhere.

    The election goes on as if multicast arrived.
    """

    def __init__(self, log: Log, config: VirtualHostConfig) -> None:
        self._log = log
        self._config = config
        self._limit = RateLimit(PERIOD_NS)
        self._master_since: Instant = 0
        self._sent_at: Instant = 0

    def note(self, step: Step) -> None:
        """Log what the message of `step` shows, if anything."""
        change = step.change
        if change is not None and change.new is State.MASTER:
            self._master_since = step.at
        sent_at, interval_ns = self._sent_at, self._config.interval_ns
        if any(isinstance(action, SendAdvert) for action in step.actions):
            self._sent_at = step.at
        if step.refused:
            return
        match step.event:
            # Had its multicast arrived, this would have been dropped as a copy of it.
            case AdvertReceived(source=source, to_us=True):
                self._write(
                    step.at,
                    "heard",
                    f"Adverts of {source} arrive by broadcast only, since multicast is "
                    "lost on the way to this host",
                )
            # A new master is asked by others that have just become master.  A master
            # that was stalled is asked because it was silent.
            case SolicitationReceived(source=source) if (
                step.state is State.MASTER
                and step.at - self._master_since >= interval_ns
                and step.at - sent_at <= interval_ns + STALL_NS
            ):
                self._write(
                    step.at,
                    "asked",
                    f"{source} hears no adverts of this master, and gets them by "
                    "broadcast now, since multicast is lost on the way to it",
                )

    def _write(self, at: Instant, key: str, text: str) -> None:
        if self._limit.admit(key, at) is not None:
            self._log.write(Level.WARNING, text + _REMEDY)
