"""The families, IPv4 and IPv6, in which the master of a group is heard.

A kernel has a master-down deadline for each family that has addresses.  It takes over
when one of them passes (`sc_md_tmo`, `sc_md6_tmo`), hears the other family, and goes
back, over and over.  The deadlines are the same here, but a single silent family is a
fault to report, not a dead master.
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
        """Begin to listen for a master: no family counts as silent yet."""
        self._since = now
        self._reported.clear()

    def deadline_of(self, family: Family) -> Instant:
        """Return when `family` counts as silent."""
        return max(self._since, self._heard_at.get(family, 0)) + self._master_down_ns

    def note_advert(self, family: Family, now: Instant) -> list[Family]:
        """Note an advert in `family`; return the others that became silent meanwhile.

        A silent family is returned once, until it is heard again.
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
        """True if a tie in `family` counts.

        The lower IPv4 address may belong to the host with the higher IPv6 address, and
        then each would yield to the other.  So the first family decides for both,
        unless nothing is heard in it.
        """
        first = self._families[0] if self._families else family
        if family is first:
            return True
        heard_at = self._heard_at.get(first)
        return heard_at is None or now - heard_at >= self._master_down_ns
