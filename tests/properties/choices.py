"""Where a random cluster takes its chances from.

Hypothesis answers in a test, where a failure is then made smaller; a seed answers in a
soak, where speed counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Choices(Protocol):
    """Decides whatever is left open."""

    def between(self, least: int, most: int) -> int:
        """A number, both ends included."""

    def one_of(self, options: Sequence[T]) -> T:
        """Any of them, the plainest first."""


@dataclass(frozen=True)
class Seeded:
    """The same choices for the same seed."""

    random: Random

    def between(self, least: int, most: int) -> int:
        """A number, both ends included."""
        return self.random.randint(least, most)

    def one_of(self, options: Sequence[T]) -> T:
        """Any of them."""
        return self.random.choice(options)


@dataclass(frozen=True)
class Drawn:
    """Choices that Hypothesis makes and remembers."""

    data: st.DataObject

    def between(self, least: int, most: int) -> int:
        """A number, both ends included."""
        return self.data.draw(st.integers(least, most))

    def one_of(self, options: Sequence[T]) -> T:
        """Any of them."""
        return options[self.data.draw(st.integers(0, len(options) - 1))]
