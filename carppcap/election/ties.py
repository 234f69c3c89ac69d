"""Decides which of two masters with the same interval stays master.

ucarp decides by the order of the two addresses.  A BSD kernel yields to every master
with the same interval.  If both hosts yielded at once, there would be no master for a
master-down interval.  So a host that loses by its address first answers with an advert,
and yields only to the peer's second advert.  A BSD kernel sends no second advert,
because it yields to our answer.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from carppcap.addresses import Address, tie_break
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.units import Instant

PEERS_MAX = 8
"""The most peers remembered: enough for one segment, and a limit for forged ones."""


class Tie(Enum):
    """What a master does when it hears another master with the same interval."""

    ANSWER = auto()
    """It stays master and sends an advert at once."""

    STAY = auto()
    YIELD = auto()


@dataclass(frozen=True, slots=True)
class _Answered:
    """An advert that was answered: its counter, and the instant when it was heard."""

    counter: int
    at: Instant


class Ties:
    """Remembers which adverts of masters with the same interval were answered.

    `config` returns the present settings of the virtual host.  It is called each time,
    because our source address may change.
    """

    __slots__ = ("_answered", "_config")

    def __init__(self, config: Callable[[], VirtualHostConfig]) -> None:
        self._config = config
        self._answered: dict[Address, _Answered] = {}

    def forget(self) -> None:
        """Forget all answers, because the host has just become master."""
        self._answered.clear()

    def sent_late(self, due: Instant, now: Instant) -> None:
        """Record that an advert that was due at `due` was sent at `now`.

        If we were stopped in between, the adverts that we have answered had waited
        since then, and our answers were sent only now.
        """
        for peer, answered in self._answered.items():
            if answered.at >= due:
                self._answered[peer] = replace(answered, at=now)

    def judge(self, theirs: AdvertReceived, now: Instant) -> Tie:
        """Return what to do about the advert of a master with the same interval.

        A peer is answered at most once in an interval.  Otherwise two hosts that each
        expect the other to yield would answer each other for ever.
        """
        peer, interval_ns = theirs.source, theirs.interval_ns
        is_lost = self._goes_before(theirs)
        answered = self._answered.get(peer)
        if answered is None and len(self._answered) == PEERS_MAX:
            return Tie.YIELD if is_lost else Tie.STAY
        meeting_ns = self._config().master_down_interval_ns if is_lost else interval_ns
        if answered is None or now - answered.at >= meeting_ns:
            self._answered[peer] = _Answered(theirs.counter, now)
            return Tie.ANSWER
        # A frame may come twice.  The counter of OpenBSD does not change at all.
        is_same = answered.counter == theirs.counter
        is_twice = is_same and now - answered.at <= interval_ns // 2
        return Tie.YIELD if is_lost and not is_twice else Tie.STAY

    def _goes_before(self, theirs: AdvertReceived) -> bool:
        """True if the sender of `theirs` wins by the order of addresses.

        It also wins if we have no source address in its family, as when a capture is
        replayed.
        """
        source = self._config().source_of(theirs.family)
        return source is None or tie_break(theirs.source) < tie_break(source)
