"""Measures a fail-over: from a killed master's last advert to its successor's first."""

from functools import partial

from tests.bench.report import Row
from tests.bench.stage import (
    BOTH,
    NS_PER_MS,
    at_once,
    await_adverts,
    await_state,
    pause,
)
from tests.netns.lab import Lab, wait_for
from tests.netns.wire import NS_PER_S

SECTION = "Fail-over after SIGKILL: later than 3 s + skew/256 s after the last advert"
SKEWS = (0, 50, 100, 200)
LIMIT_MS = 15.0


def run(quick: bool) -> list[Row]:
    rounds = 2 if quick else 7
    cases = [(skew, name) for skew in SKEWS for name in BOTH]
    measured = at_once(partial(lateness_ms, name, skew, rounds) for skew, name in cases)
    return [
        Row(SECTION, f"skew {skew}", "ms", ours, theirs, LIMIT_MS)
        for skew, ours, theirs in zip(SKEWS, measured[::2], measured[1::2], strict=True)
    ]


def lateness_ms(program: str, skew: int, rounds: int) -> tuple[float, ...]:
    """Return by how many ms each of `rounds` fail-overs exceeded 3 s + skew/256 s."""
    theory_ns = 3 * NS_PER_S + skew * NS_PER_S // 256
    return tuple(
        (failover_ns(program, skew) - theory_ns) / NS_PER_MS for _ in range(rounds)
    )


def failover_ns(program: str, skew: int) -> int:
    """Return the time from a killed master's last advert to its successor's first."""
    with Lab(2) as lab:
        killed, successor = lab.hosts
        backup = successor.start(program, f"-k {skew}")
        master = killed.start(program, "-r 1")  # becomes master before the backup
        await_state(master, "MASTER")
        await_state(backup, "BACKUP")
        await_adverts(lab, killed, 1)
        pause(0.9)
        master.kill()
        wait_for("the successor", lambda: lab.wire.adverts(successor.address))
        last = lab.wire.adverts(killed.address)[-1]
        first = lab.wire.adverts(successor.address)[0]
        return first.time_ns - last.time_ns
