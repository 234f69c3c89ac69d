"""Waits for input on several descriptors, until a deadline."""

import select
from collections.abc import Sequence
from typing import Protocol, TypeVar

from carppcap.system.clock import now_ns
from carppcap.units import NS_PER_S, Instant


class HasFileno(Protocol):
    """Anything with a descriptor."""

    def fileno(self) -> int:
        """Return the number of the descriptor."""


_Input = TypeVar("_Input", bound=HasFileno)


def readable(inputs: Sequence[_Input], until: Instant | None) -> Sequence[_Input]:
    """Return those of `inputs` that can be read.

    Wait for the first of them, at most until the instant `until`, or for ever if that
    is None.
    """
    timeout_s = None if until is None else max(0, until - now_ns()) / NS_PER_S
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
