"""The frames that a stopped process has not read yet."""

from carppcap.units import Instant, Interval

RING_BLOCKS = 4
"""The number of blocks in carppcap's capture ring (see `system.capture`).

A frame that arrives alone takes a whole block, so a stopped process soon loses frames.
"""

RING_BLOCKS_UNBOUNDED = 1 << 30


class Ring:
    """The frames that wait for a process while it is stopped.

    Frames that arrive within `block_ns` share a block of the ring.  A frame that would
    need one more block than `blocks_max` is lost.
    """

    def __init__(self, block_ns: Interval, blocks_max: int) -> None:
        self.lost_frames = False
        self._block_ns = block_ns
        self._blocks_max = blocks_max
        self._blocks: list[list[tuple[Instant, bytes]]] = []

    def add(self, at: Instant, frame: bytes) -> None:
        """Store a frame that arrived at `at`; set `lost_frames` if there is no room."""
        if self._blocks and at - self._blocks[-1][0][0] <= self._block_ns:
            self._blocks[-1].append((at, frame))
        elif len(self._blocks) < self._blocks_max:
            self._blocks.append([(at, frame)])
        else:
            self.lost_frames = True

    def frames(self) -> list[tuple[Instant, bytes]]:
        """Return the stored frames with their instants of arrival, the oldest first."""
        return [stamped for block in self._blocks for stamped in block]
