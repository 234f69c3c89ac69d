"""A dict of limited size, for what attackers could otherwise fill without end."""

from typing import TypeVar

_K = TypeVar("_K")
_V = TypeVar("_V")


class BoundedTable(dict[_K, _V]):
    """A dict of at most `length_max` entries: a new entry displaces the oldest."""

    def __init__(self, length_max: int) -> None:
        super().__init__()
        self._length_max = length_max

    def put(self, key: _K, value: _V) -> None:
        """Set an entry, and make it the newest."""
        self.pop(key, None)
        if len(self) >= self._length_max:
            del self[next(iter(self))]
        self[key] = value
