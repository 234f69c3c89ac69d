"""Random numbers that are the same whenever the seed is the same.

A run must be the same with every version of Python.  The module `random` does not
promise that, so the numbers come from splitmix64 (Steele, Lea and Flood, 2014).
"""

from carppcap.units import NS_PER_US, Interval

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


class Dice:
    """A source of random numbers; the same seed gives the same numbers."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def fork(self, name: str) -> "Dice":
        """Return another source, for `name`, which is independent of this one.

        Each host has its own source, so that an additional host does not change the
        random numbers of the other hosts.
        """
        # The seed is mixed before the name is added.  Otherwise one seed and name could
        # give the same numbers as another seed and name.
        seed = _mix((self._state + _GAMMA) & _MASK)
        for byte in name.encode():
            seed = _mix(((seed ^ byte) + _GAMMA) & _MASK)
        return Dice(seed)

    def bits(self, count: int) -> int:
        """Return a random number of `count` bits; `count` is 1 to 64."""
        self._state = (self._state + _GAMMA) & _MASK
        return _mix(self._state) >> (64 - count)

    def ip_id(self) -> int:
        """Return a random identification of 16 bits for an IPv4 datagram."""
        return self.bits(16)

    def happens(self, chance: float) -> bool:
        """Return True with the probability `chance`, which is 0 to 1."""
        return self.bits(53) < chance * (1 << 53)

    def up_to(self, interval_ns: Interval) -> Interval:
        """Return a random interval from 0 to `interval_ns`, in whole microseconds."""
        return NS_PER_US * self.number(interval_ns // NS_PER_US)

    def number(self, most: int) -> int:
        """Return a random integer from 0 to `most`; `most` is less than 2**64."""
        return self.bits(64) * (most + 1) >> 64


def _mix(number: int) -> int:
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
