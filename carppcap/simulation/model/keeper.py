"""The keeper of a simulated host, which obeys the same `Permission` as the daemon's.

It takes no time, as if no other program ever held the kernel's lock.
"""

from collections.abc import Callable
from typing import Protocol

from carppcap.election.permission import Permission
from carppcap.election.tenure import Tenure
from carppcap.simulation.programs.system import Will
from carppcap.units import Instant


class Host(Protocol):
    """What the keeper needs of its host."""

    has_address: bool

    def local_now(self) -> Instant:
        """Return what the monotonic clock of the host reads."""

    def call_at(self, instant: Instant, call: Callable[[], None]) -> None:
        """Arrange that `call` is made when the monotonic clock reads `instant`."""

    def hold_address(self, lifetime_s: int) -> None:
        """Add the virtual address, or refresh it, with a lifetime in seconds."""

    def set_address(self, configured: bool) -> None:
        """Remove the virtual address, if not `configured`."""

    def send(self, frame: bytes) -> None:
        """Send a frame on the interface."""

    def address_lost(self) -> None:
        """Tell the program that the address is gone."""


class Keeper:
    """Holds the virtual address of a host, as its program orders."""

    def __init__(self, tenure: Tenure, host: Host) -> None:
        self._host = host
        self._permission = Permission(
            tenure, lambda: host.hold_address(tenure.lifetime_s)
        )
        self._lifetime_s = tenure.lifetime_s
        self._will: Will = list
        self._is_killed = False

    # What the program orders (`system.Keeper`).

    def take(self, advert: Instant, will: Will) -> bool:
        """Set the address, if the last advert still permits it; False if not."""
        self._permission.advert, self._will = advert, will
        now = self._host.local_now()
        if not self._permission.allows_taking(now):
            self.remove()
            return False
        self._host.hold_address(self._lifetime_s)
        self._permission.taken(now)
        self._await_deadline()
        return True

    def keep(self, advert: Instant, will: Will) -> None:
        """Keep the address for a while longer, if it is held: an advert was sent."""
        self._permission.advert, self._will = advert, will
        self._permission.renewed(self._host.local_now())
        self._await_deadline()

    def remove(self) -> None:
        """Remove the address, also one that a crash has left."""
        self._permission.given_up()
        self._host.set_address(False)

    # What happens to it.

    def kill(self) -> None:
        """End at once; the lifetime of the address ends later."""
        self._is_killed = True

    def carry_out_will(self) -> None:
        """Remove the address, if it is held, and say farewell: the program has ended.

        There is no farewell if a peer may have taken over.
        """
        end = self._permission.end
        if end is not None:
            self.remove()
            for frame in self._will() if self._host.local_now() < end else ():
                self._host.send(frame)

    def address_expired(self) -> None:
        """Tell the program: the kernel has removed an address that was held."""
        self._permission.given_up()
        self._host.address_lost()

    def _await_deadline(self) -> None:
        deadline = self._permission.deadline
        if deadline is not None:
            self._host.call_at(deadline, self._wake)

    def _wake(self) -> None:
        now, deadline = self._host.local_now(), self._permission.deadline
        if self._is_killed or deadline is None or now < deadline:
            return  # A later order has moved the deadline.
        if self._permission.meet_deadline(now):
            self._await_deadline()
        else:
            self.remove()
            self._host.address_lost()
