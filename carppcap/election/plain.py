"""What all events and actions without fields have in common."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plain:
    """A value without fields: equal to those of its class, and to no other.

    Each class inherits the methods, since to generate them takes long at the start.
    """
