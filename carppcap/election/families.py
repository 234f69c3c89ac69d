"""Records in which address families, IPv4 and IPv6, the master of a group is heard.

A BSD kernel has one master-down deadline for each family (`sc_md_tmo`, `sc_md6_tmo`).
If adverts stop in one family only, it takes over at the deadline of that family.  It
yields when it hears the next advert in the other family, and so on for ever.

carppcap has the same deadlines.  But while adverts come in one family, the master does
not count as dead; the silence of the other family is only reported.
"""

from carppcap.addresses import Family
from carppcap.units import Instant, Interval


class Families:
    """The master-down deadlines of one virtual host, one for each address family.

    `master_down_ns` is its master-down interval.
    """

    __slots__ = ("_families", "_heard_at", "_master_down_ns", "_reported", "_since")

    def __init__(self, families: tuple[Family, ...], master_down_ns: Interval) -> None:
        self._families = families
        self._master_down_ns = master_down_ns
        self._heard_at: dict[Family, Instant] = {}
        self._since: Instant = 0
        self._reported: set[Family] = set()

    def listen(self, now: Instant) -> None:
        """Begin to listen for a master: all deadlines are a full interval away."""
        self._since = now
        self._reported.clear()

    def deadline_of(self, family: Family) -> Instant:
        """Return the instant from which `family` counts as silent."""
        return max(self._since, self._heard_at.get(family, 0)) + self._master_down_ns

    def note_advert(self, family: Family, now: Instant) -> list[Family]:
        """Record an advert in `family`; return the other family if that is silent.

        The result is a list, which is empty if there is no other family, if the other
        family is not silent, or if it was returned before and was not heard since.
        """
        self._heard_at[family] = now
        if len(self._families) < 2:
            return []
        self._reported.discard(family)
        silent = [
            other
            for other in self._families
            if other is not family
            and other not in self._reported
            and self.deadline_of(other) <= now
        ]
        self._reported.update(silent)
        return silent

    def decides_ties(self, family: Family, now: Instant) -> bool:
        """True if an advert in `family` decides a tie between two masters.

        A tie is decided by the order of the two addresses.  One host may win by the
        IPv4 addresses and the other host by the IPv6 addresses.  If both families
        decided, each host would yield to the other.  So only the first family decides,
        unless it has been silent for a master-down interval.
        """
        first = self._families[0] if self._families else family
        if family is first:
            return True
        heard_at = self._heard_at.get(first)
        return heard_at is None or now - heard_at >= self._master_down_ns
