"""The choices of which a random cluster is made.

In a test Hypothesis makes them and reduces a failure; in a soak, where speed counts, a
seed does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(Protocol):
    """Makes choices."""

    def between(self, least: int, most: int) -> int:
        """Return a number, both ends included."""

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of `options`, the plainest of which is first."""


@dataclass(frozen=True)
class Seeded:
    """The same choices for the same seed."""

    random: Random

    def between(self, least: int, most: int) -> int:
        """Return a number, both ends included."""
        return self.random.randint(least, most)

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return self.random.choice(options)


@dataclass(frozen=True)
class Drawn:
    """Choices that Hypothesis makes and remembers."""

    data: st.DataObject

    def between(self, least: int, most: int) -> int:
        """Return a number, both ends included."""
        return self.data.draw(st.integers(least, most))

    def one_of(self, options: Sequence[T]) -> T:
        """Return one of `options`."""
        return options[self.data.draw(st.integers(0, len(options) - 1))]
