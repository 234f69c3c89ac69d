"""The base of all events and actions without fields."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plain:
    """A value without fields.  It equals the values of its own class and no others.

    Its classes inherit these methods: generating methods for each would delay the
    start of the daemon.
    """
