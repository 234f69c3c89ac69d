"""Waits for input on several descriptors."""

import select
from collections.abc import Sequence
from typing import Protocol, TypeVar


class HasFileno(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int:
        """Return the number of the descriptor."""


_Input = TypeVar("_Input", bound=HasFileno)


def readable(inputs: Sequence[_Input], timeout_s: float | None) -> Sequence[_Input]:
    """Return those of `inputs` that can be read.

    Wait for the first of them, at most `timeout_s` seconds, or for ever if it is None.
    """
    try:
        # It wakes up to the microsecond; poll(2) would round up to a millisecond.
        return select.select(inputs, [], [], timeout_s)[0]
    except ValueError:
        # Our parent process left so many descriptors open that the numbers of ours are
        # too high for select(2).
        poller = select.poll()
        for each in inputs:
            poller.register(each, select.POLLIN)
        ready = poller.poll(None if timeout_s is None else timeout_s * 1000)
        numbers = {number for number, _ in ready}
        return [each for each in inputs if each.fileno() in numbers]
