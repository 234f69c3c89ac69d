"""Limits the hints that we send (see `replay_guard`)."""

from carppcap.addresses import Address
from carppcap.node.bounded_table import BoundedTable
from carppcap.units import NS_PER_S, Instant, Interval

HINT_PERIOD_NS: Interval = NS_PER_S // 4
"""The shortest time between two hints to one host."""

HINTED_MAX = 64


class HintLimit:
    """Says which hints may be sent, by the address of a host and its id."""

    def __init__(self) -> None:
        self._hinted_at: BoundedTable[tuple[Address, int], Instant] = BoundedTable(
            HINTED_MAX
        )

    def admit(self, source: Address, number: int, now: Instant) -> bool:
        """Return True if a hint may be sent now, and count it.

        Return False if this host got one less than `HINT_PERIOD_NS` ago.  Also return
        False if `HINTED_MAX` hosts did, since they may be one attacker with many
        addresses.
        """
        told_at = self._hinted_at.get((source, number))
        if told_at is None and len(self._hinted_at) == HINTED_MAX:
            told_at = next(iter(self._hinted_at.values()))
        if told_at is not None and now - told_at < HINT_PERIOD_NS:
            return False
        self._hinted_at.put((source, number), now)
        return True
