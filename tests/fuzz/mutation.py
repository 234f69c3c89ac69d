"""Fuzzing without libFuzzer: damage inputs, and keep those that something new came of.

What is new is told by the outcome of a target, which is coarser than coverage, but to
be had with every Python.
"""

import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from types import FrameType

INTERESTING = bytes((0, 1, 0x7F, 0x80, 0xFF, 36, 70, 112, 0x45, 0x46, 0x4F))
POOL_MAX = 4096


class TooSlowError(Exception):
    """An input took longer than any input may."""


@dataclass(frozen=True, slots=True)
class Found:
    """How a run went: its inputs, outcomes of how many kinds, and what was new.

    `failing` is the input that `error` came of, if any.
    """

    inputs: int
    kinds: int
    new: list[bytes]
    failing: bytes | None = None
    error: Exception | None = None


def mutate(data: bytes, other: bytes, random: Random, length_max: int) -> bytes:
    """`data` after one to four small accidents, one of which may be called `other`."""
    raw = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(raw) + 1)
        match random.randrange(7):
            case 0 if at < len(raw):
                raw[at] ^= 1 << random.randrange(8)
            case 1 if at < len(raw):
                raw[at] = random.choice(INTERESTING)
            case 2 if at < len(raw):
                raw[at] = random.randrange(256)
            case 3:
                del raw[at : at + random.randint(1, 8)]
            case 4:
                raw[at:at] = random.randbytes(random.randint(1, 8))
            case 5:
                raw[at:at] = raw[at : at + random.randint(1, 32)]
            case 6:
                start = random.randrange(len(other) + 1)
                raw[at:] = other[start:]
            case _:
                raw.append(random.randrange(256))
    return bytes(raw[:length_max])


def run(
    check: Callable[[bytes], object],
    seeds: Iterable[bytes],
    *,
    length_max: int,
    seed: int,
    seconds: float | None = None,
    runs: int | None = None,
    timeout_s: float = 10.0,
) -> Found:
    """Feed `check` until it fails, or for `seconds`, or with `runs` inputs."""
    random = Random(seed)
    pool: list[bytes] = []
    kinds: set[object] = set()
    new: list[bytes] = []
    inputs = 0
    waiting = list(seeds) or [b""]
    given = len(waiting)
    ends_at = None if seconds is None else time.monotonic() + seconds
    usual = signal.signal(signal.SIGALRM, _ring)
    try:
        while (runs is None or inputs < runs) and (
            ends_at is None or inputs < given or time.monotonic() < ends_at
        ):
            data = (
                waiting.pop()
                if waiting
                else mutate(
                    random.choice(pool), random.choice(pool), random, length_max
                )
            )
            inputs += 1
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
            try:
                kind = check(data)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is the find
                return Found(inputs, len(kinds), new, data, error)
            if kind not in kinds or inputs <= given:
                if inputs > given:
                    new.append(data)
                if len(pool) < POOL_MAX:
                    pool.append(data)
                kinds.add(kind)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, usual)
    return Found(inputs, len(kinds), new)


def _ring(number: int, frame: FrameType | None) -> None:
    raise TooSlowError
