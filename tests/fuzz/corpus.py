"""Which inputs are worth keeping: the fewest that reach as much as all."""

import sys
from collections.abc import Callable, Collection
from functools import cache
from types import FrameType
from typing import Any, TypeAlias

Jump: TypeAlias = tuple[str, int, int]
"""From line to line of a file; a function is entered from line 0."""


def least(check: Callable[[bytes], object], inputs: Collection[bytes]) -> list[bytes]:
    """Some of `inputs` that between them reach everything; the most telling ones first.

    Of inputs that are equally good the shortest is taken.
    """
    left = {data: reached(check, data) for data in sorted(set(inputs), key=_shortness)}
    chosen = []
    while left:
        best = max(left, key=lambda data: len(left[data]))
        found = left.pop(best)
        if not found:
            break
        chosen.append(best)
        left = {data: more for data, some in left.items() if (more := some - found)}
    return chosen


def reached(check: Callable[[bytes], object], data: bytes) -> frozenset[object]:
    """The jumps within our code when `check` takes `data`, and what came of it.

    Where that is a set, each of its parts counts by itself.
    """
    made: set[Jump] = set()

    def enter(frame: FrameType, event: str, argument: object) -> Any:
        file = frame.f_code.co_filename
        if not _is_ours(file):
            return None
        line = 0

        def follow(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal line
            if event == "line":
                made.add((file, line, frame.f_lineno))
                line = frame.f_lineno
            return follow

        return follow

    usual = sys.gettrace()
    sys.settrace(enter)
    try:
        outcome = check(data)
    finally:
        sys.settrace(usual)
    return frozenset(made) | (
        outcome if isinstance(outcome, frozenset) else frozenset((outcome,))
    )


@cache
def _is_ours(file: str) -> bool:
    return "/carppcap/" in file and "/tests/" not in file


def _shortness(data: bytes) -> tuple[int, bytes]:
    return len(data), data
