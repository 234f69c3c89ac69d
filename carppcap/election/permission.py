"""The permission that each advert gives: to keep the addresses for a while longer.

It says when the keeper refreshes the lifetimes of the addresses that it holds, and when
it has to remove them.  The keeper of the daemon and that of a simulated host obey it.
"""

from collections.abc import Callable

from carppcap.election.tenure import WINDOW_MIN_NS, Tenure
from carppcap.units import Instant, earliest


class Permission:
    """When to refresh and when to remove the addresses of one virtual host.

    `advert` is the instant of the last advert.  `refresh` sets the lifetimes of the
    addresses again.  Call `meet_deadline` at `deadline`.
    """

    def __init__(self, tenure: Tenure, refresh: Callable[[], object]) -> None:
        self.advert: Instant = 0
        self._tenure = tenure
        self._refresh = refresh
        self._is_used = False
        self._refreshed_at: Instant = 0
        self._refresh_at: Instant | None = None

    @property
    def deadline(self) -> Instant | None:
        """The instant at which `meet_deadline` has something to do; None if never."""
        return earliest(self._refresh_at, self.end)

    @property
    def end(self) -> Instant | None:
        """When the permission ends; None if no address is held."""
        return self.advert + self._tenure.kept_ns if self._is_used else None

    def allows_taking(self, now: Instant) -> bool:
        """True if the addresses may be set at `now`."""
        return now < self.advert + self._tenure.kept_ns

    def taken(self, now: Instant) -> None:
        """Record that the addresses were set at `now`."""
        self._is_used = True
        self._plan(now)

    def given_up(self) -> None:
        """Record that no address is held any more."""
        self._is_used = False
        self._refresh_at = None

    def renewed(self, now: Instant) -> None:
        """Refresh at `now`, since an advert was sent.

        If that was done just now, do it in a moment.
        """
        due = self._refreshed_at + WINDOW_MIN_NS
        if not self._is_used:
            return
        if now >= due:
            self._refresh_and_plan(now)
        else:
            self._refresh_at = due

    def meet_deadline(self, now: Instant) -> bool:
        """Refresh if that is due; False if the addresses must be removed."""
        if self.end is not None and now >= self.end:
            return False
        if self._refresh_at is not None and now >= self._refresh_at:
            self._refresh_and_plan(now)
        return True

    def _refresh_and_plan(self, now: Instant) -> None:
        if now <= self.advert + self._tenure.window_ns:
            self._refresh()
        self._plan(now)

    def _plan(self, now: Instant) -> None:
        self._refreshed_at = now
        self._refresh_at = self._tenure.next_refresh(self.advert, now)
