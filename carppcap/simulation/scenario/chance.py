"""Random numbers that can be repeated.

A run must be the same on every version of Python, which `random` does not promise.
This is splitmix64 (Steele, Lea and Flood, 2014).
"""

from carppcap.units import NS_PER_US, Interval

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


class Dice:
    """Random numbers, the same for the same seed."""

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def fork(self, name: str) -> "Dice":
        """Return dice for `name`, independent of what is drawn here.

        Each host has its own, so that one more host does not change the others.
        """
        # Mixed before the first letter; otherwise a seed could make up for a letter.
        seed = _mix((self._state + _GAMMA) & _MASK)
        for byte in name.encode():
            seed = _mix(((seed ^ byte) + _GAMMA) & _MASK)
        return Dice(seed)

    def bits(self, count: int) -> int:
        """Return a number of `count` bits, 1 to 64."""
        self._state = (self._state + _GAMMA) & _MASK
        return _mix(self._state) >> (64 - count)

    def ip_id(self) -> int:
        """Return the 16-bit identification of an IPv4 datagram."""
        return self.bits(16)

    def happens(self, chance: float) -> bool:
        """True with the probability `chance`, 0 to 1."""
        return self.bits(53) < chance * (1 << 53)

    def up_to(self, interval_ns: Interval) -> Interval:
        """Return 0 to `interval_ns`, in whole microseconds."""
        return NS_PER_US * self.number(interval_ns // NS_PER_US)

    def number(self, most: int) -> int:
        """Return 0 to `most`, which is less than 2**64."""
        return self.bits(64) * (most + 1) >> 64


def _mix(number: int) -> int:
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)
