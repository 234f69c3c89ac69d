"""Log lines about one segment: its floods, and frames that are for none of our groups.

A line that any frame could cause is written at most once a minute.
"""

from collections.abc import Sequence

from carppcap.election.config import VirtualHostConfig
from carppcap.filter.flood import FloodBegan, FloodEnded
from carppcap.log.limited import LimitedLog
from carppcap.log.rejections import Rejections
from carppcap.node.ingress import Rejection
from carppcap.node.timeline import format_rejection
from carppcap.system.syslog import Level, Log
from carppcap.units import Instant


class SegmentJournal:
    """The log of a segment with the groups of these `configs`.

    Times in its debug lines count from `origin`.
    """

    def __init__(
        self, log: Log, configs: Sequence[VirtualHostConfig], origin: Instant
    ) -> None:
        self._log = log
        self._origin = origin
        self._rejections = Rejections(log, configs)
        self._limited = LimitedLog(log)

    def log_rejection(self, rejection: Rejection, at: Instant) -> None:
        """Log why a frame was rejected, unless the frame concerns only other groups."""
        if self._log.is_debugging:
            self._log.debug(format_rejection(rejection, at, self._origin))
        self._rejections.log_rejection(rejection, at)

    def log_namesake(self, rejection: Rejection, at: Instant) -> None:
        """Log that another host sends adverts from our source address."""
        self._rejections.log_namesake(rejection, at)

    def flood(self, news: FloodBegan | FloodEnded, at: Instant) -> None:
        """Log that the capture filter was narrowed for a flood, or is wide again."""
        # This log is not that of the rejections, whose keys a flood may use up.
        self._limited.write(Level.WARNING, at, type(news), str(news))

    def frames_lost(self, at: Instant) -> None:
        """Log that the kernel dropped frames while this process was stalled."""
        text = "Frames were lost while this process was stalled"
        self._limited.write(Level.NOTICE, at, "lost", text)
