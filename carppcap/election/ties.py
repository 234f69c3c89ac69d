"""Who stays master when two hosts are equally good.

ucarp keeps to an order of addresses; a kernel yields to every equal.  A ucarp of the
higher rank and a kernel would yield to each other, wait the same time, and meet again
as masters, for ever.  So a host that yielded a tie, and then heard nothing of that
peer until it became master again, keeps the next tie: the peer must have yielded as
well.  It keeps one only, because a ucarp of the lower rank will not yield.
"""

from carppcap.addresses import Address


class Ties:
    """What one virtual host remembers of ties."""

    __slots__ = ("_kept_counter", "_kept_from", "_yielded_to")

    def __init__(self) -> None:
        self._yielded_to: Address | None = None
        self._kept_from: Address | None = None
        self._kept_counter: int | None = None

    def may_keep(self, peer: Address, counter: int) -> bool:
        """True if we stay master this time, though the tie with `peer` is lost.

        `counter` is that of the advert: a frame that comes twice is one tie.
        """
        return peer == self._kept_from and self._kept_counter in (None, counter)

    def note_tie(self, peer: Address, counter: int) -> None:
        """`peer` sent an advert that makes a lost tie."""
        if peer != self._kept_from:
            return
        if self._kept_counter in (None, counter):
            self._kept_counter = counter
        else:
            self._kept_from = None

    def note_yielded(self, peer: Address | None) -> None:
        """We became BACKUP: to an equal `peer`, or None for any other reason."""
        self._yielded_to, self._kept_from, self._kept_counter = peer, None, None

    def note_alive(self, peer: Address) -> None:
        """We are BACKUP and `peer` advertises, so it has not yielded."""
        if peer == self._yielded_to:
            self._yielded_to = None

    def note_mastership(self) -> None:
        """We became MASTER: a peer that was silent since we yielded has yielded too."""
        self._kept_from, self._yielded_to = self._yielded_to, None
