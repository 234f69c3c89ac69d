"""The families, IPv4 and IPv6, in which the master of a group is heard.

A BSD kernel has a master-down deadline for each family that has addresses.  When one of
them passes (`sc_md_tmo`, `sc_md6_tmo`) it takes over; when it hears the master in the
other family it goes back, again and again.  The deadlines are the same here, but if one
family alone is silent, that is reported, and the master does not count as dead.
"""

from carppcap.addresses import Family
from carppcap.units import Instant, Interval


class Families:
    """The master-down deadlines of one virtual host by family.

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
        """Begin to listen for a master: no family is silent before its deadline."""
        self._since = now
        self._reported.clear()

    def deadline_of(self, family: Family) -> Instant:
        """Return the instant from which `family` counts as silent."""
        return max(self._since, self._heard_at.get(family, 0)) + self._master_down_ns

    def note_advert(self, family: Family, now: Instant) -> list[Family]:
        """Note an advert in `family`; return the other families that became silent.

        A silent family is returned only once until it is heard again.
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
        """True if a tie is decided by the addresses of `family`.

        The host with the lower IPv4 address may have the higher IPv6 address; then each
        host would yield to the other.  So the first family decides for both, unless
        nothing is heard in it.
        """
        first = self._families[0] if self._families else family
        if family is first:
            return True
        heard_at = self._heard_at.get(first)
        return heard_at is None or now - heard_at >= self._master_down_ns
