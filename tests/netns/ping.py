"""Pings an address from a client, and measures how long no answer came."""

import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from types import TracebackType
from typing import Self

from tests.netns.daemons import environment
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.wire import NS_PER_S

_ANSWER = re.compile(r"\[(\d+)\.(\d{6})\] \d+ bytes from .* icmp_seq=(\d+) ")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to ping `number`; `time_ns` is when it came, counted from 1970."""

    time_ns: int
    number: int


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without answers, in which `lost` pings in a row had none.

    `start_ns` is the time of the last answer before it, and `end_ns` that of the first
    answer after it.
    """

    start_ns: int
    end_ns: int
    lost: int

    @property
    def duration_ns(self) -> int:
        """Return an estimate of how long the address did not answer.

        The service failed between two pings and returned between two others.  On
        average, the time between the last and the first answer is therefore one ping
        interval too long.
        """
        return (self.end_ns - self.start_ns) * self.lost // (self.lost + 1)


def answers(output: str) -> list[Answer]:
    """Return the answers in what `ping -D` printed, in the order of their requests."""
    found = [
        Answer(int(match[1]) * NS_PER_S + int(match[2]) * 1000, int(match[3]))
        for match in map(_ANSWER.match, output.splitlines())
        if match
    ]
    return sorted(found, key=lambda answer: answer.number)


def outages(answered: Iterable[Answer]) -> list[Outage]:
    """Return every run of lost pings between two answers."""
    return [
        Outage(before.time_ns, after.time_ns, after.number - before.number - 1)
        for before, after in pairwise(answered)
        if after.number > before.number + 1
    ]


class Pinger:
    """Pings `address` from `host` every `interval_s` seconds until its context ends."""

    def __init__(self, host: Host, address: str, interval_s: float) -> None:
        self._output = host.lab.directory / f"{host.name}-{address}.ping"
        # Numbers start again after 65535; no scenario lasts that long.
        command = ["ping", "-n", "-D", "-i", str(interval_s), address]
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                host.command(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def answers(self) -> list[Answer]:
        """All answers so far."""
        return answers(self._output.read_text())

    def outages(self, since_ns: int = 0) -> list[Outage]:
        """Return all outages so far that ended after `since_ns`."""
        return [one for one in outages(self.answers) if one.end_ns > since_ns]

    def await_answer(self, since_ns: int) -> None:
        """Wait until an answer has come after `since_ns`."""
        wait_for(
            "an answer to a ping",
            lambda: any(answer.time_ns > since_ns for answer in self.answers[-1:]),
        )


@contextmanager
def pinging(lab: Lab, interval_s: float = 0.05) -> Iterator[list[Pinger]]:
    """Let the last host ping every virtual address; yield the pingers.

    First wait until every address has answered.
    """
    began_ns = time.time_ns()
    with ExitStack() as stack:
        pingers = [
            stack.enter_context(Pinger(lab.hosts[-1], vip, interval_s))
            for vip in lab.vips
        ]
        for pinger in pingers:
            pinger.await_answer(began_ns)
        yield pingers


def longest_outage_ns(
    lab: Lab, pingers: Sequence[Pinger], since_ns: int = 0
) -> tuple[int, int]:
    """Return the longest outage of an address, and how long the machine stalled in it.

    The longest outage is the one that is longest without these stalls.  First wait
    until all addresses answer again.
    """
    now_ns = time.time_ns()
    for pinger in pingers:
        pinger.await_answer(now_ns)
    outages = [outage for pinger in pingers for outage in pinger.outages(since_ns)]
    times = [
        (one.duration_ns, lab.stalled_ns(one.start_ns, one.end_ns)) for one in outages
    ]
    return max(times, key=lambda time: time[0] - time[1], default=(0, 0))
