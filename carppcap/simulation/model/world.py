"""What surrounds a simulated host: time, the medium and the observer."""

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Protocol

from carppcap.addresses import Address
from carppcap.simulation.model.happenings import Happening
from carppcap.units import Instant


class Rank(IntEnum):
    """The order of calls for the same instant: the call with the least rank first."""

    STORY = 0
    FRAME = 1  # before timers, as in the daemon
    TIMER = 2
    SCRIPT = 3


class World(Protocol):
    """What a host needs of the cluster to which it belongs."""

    now: Instant
    neighbours: Mapping[Address, bytes]
    """The MAC of each host, keyed by the addresses of the host that are not virtual."""

    def call_at(self, at: Instant, rank: Rank, call: Callable[[], None]) -> None:
        """Arrange that `call` is made at `at`, an instant of the simulation."""

    def transmit(self, name: str, frame: bytes) -> None:
        """Send a frame of the host `name` over the medium."""

    def tell(self, name: str, what: Happening) -> None:
        """Tell the observer of the simulation what happened on the host `name`."""
