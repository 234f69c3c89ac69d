"""Who stays master when two hosts are equally good.

ucarp keeps to an order of addresses; a kernel yields to every equal.  So a host that
would yield by its address first answers with an advert of its own, and yields to the
second advert of the peer.  A kernel does not send a second one: it yields to the
answer.  Were both to yield, there would be no master for a master-down interval.
"""

from dataclasses import dataclass
from enum import Enum, auto

from carppcap.addresses import Address, tie_break
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.units import Instant

PEERS_MAX = 8
"""Peers that are remembered: those of one segment, and not all that are forged."""


class Tie(Enum):
    """What a master does about an equal advert."""

    ANSWER = auto()
    """It stays, and shows the peer at once that it is here."""

    STAY = auto()
    YIELD = auto()


@dataclass(frozen=True, slots=True)
class _Answered:
    """The advert that was answered: its counter, and when it was heard."""

    counter: int
    at: Instant


class Ties:
    """The ties of one mastership."""

    __slots__ = ("_answered", "_config")

    def __init__(self, config: VirtualHostConfig) -> None:
        self._config = config
        self._answered: dict[Address, _Answered] = {}

    def forget(self) -> None:
        """Begin another mastership."""
        self._answered.clear()

    def judge(self, theirs: AdvertReceived, now: Instant) -> Tie:
        """Return what to do about an equal advert, and remember an answer.

        Each peer is answered once in an interval at most, or two hosts of which each
        thinks that it has won would answer each other for ever.
        """
        peer, interval_ns = theirs.source, theirs.interval_ns
        is_lost = self._goes_before(theirs)
        answered = self._answered.get(peer)
        if answered is None and len(self._answered) == PEERS_MAX:
            return Tie.YIELD if is_lost else Tie.STAY
        meeting_ns = self._config.master_down_interval_ns if is_lost else interval_ns
        if answered is None or now - answered.at >= meeting_ns:
            self._answered[peer] = _Answered(theirs.counter, now)
            return Tie.ANSWER
        # A frame may come twice.  The counter of OpenBSD does not change at all.
        is_same = answered.counter == theirs.counter
        is_twice = is_same and now - answered.at <= interval_ns // 2
        return Tie.YIELD if is_lost and not is_twice else Tie.STAY

    def _goes_before(self, theirs: AdvertReceived) -> bool:
        """True if the order of addresses is in favour of the peer.

        Where a family has no address of ours, as in a replay, the peer goes before.
        """
        source = self._config.source_of(theirs.family)
        return source is None or tie_break(theirs.source) < tie_break(source)
