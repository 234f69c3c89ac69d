"""The base class of all events and actions that have no fields."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plain:
    """A value without fields, which equals every value of its own class and no other.

    Subclasses inherit `__eq__`, `__hash__` and `__repr__`.  If each subclass were a
    dataclass of its own, generating these methods would delay the start of the daemon.
    """
