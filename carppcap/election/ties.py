"""Who stays master when two are equally good.

The original keeps to an order of addresses, a kernel yields to everyone.  An original
that has the higher rank and a kernel would thus yield to each other, wait the same
time, and meet again as masters, for ever.  So whoever yielded a tie, and then heard
nothing of that peer until it became master again, keeps the next tie: that peer must
have yielded as well.  Once, because an original of the lower rank will not yield.
"""

from carppcap.addresses import Address, tie_break


class Ties:
    """What one virtual host remembers of ties."""

    __slots__ = ("_kept_counter", "_kept_from", "_yielded_to")

    def __init__(self) -> None:
        self._yielded_to: Address | None = None
        self._kept_from: Address | None = None
        self._kept_counter: int | None = None

    def is_lost(self, theirs: Address, ours: Address | None) -> bool:
        """Whether the order of addresses is in favour of the peer."""
        # Where a family has no address of ours, as in a replay, the peer goes before.
        return ours is None or tie_break(theirs) < tie_break(ours)

    def keep(self, peer: Address, counter: int) -> bool:
        """Whether to stay master this time, though the tie with `peer` is lost.

        A frame that comes twice counts once: `counter` tells.
        """
        if peer != self._kept_from:
            return False
        if self._kept_counter is None:
            self._kept_counter = counter
        elif self._kept_counter != counter:
            self._kept_from = None
            return False
        return True

    def yielded_to(self, peer: Address | None) -> None:
        """We became BACKUP: to an equal `peer`, or None for any other reason."""
        self._yielded_to, self._kept_from, self._kept_counter = peer, None, None

    def heard(self, peer: Address) -> None:
        """We are BACKUP and `peer` advertises: it has not yielded."""
        if peer == self._yielded_to:
            self._yielded_to = None

    def became_master(self) -> None:
        """Whoever was silent ever since we yielded had yielded to us."""
        self._kept_from, self._yielded_to = self._yielded_to, None
