"""A master that is killed: from its last advert to the first one of its successor."""

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
    """How much later than by the rules each of `rounds` successors was."""
    theory_ns = 3 * NS_PER_S + skew * NS_PER_S // 256
    return tuple(
        (failover_ns(program, skew) - theory_ns) / NS_PER_MS for _ in range(rounds)
    )


def failover_ns(program: str, skew: int) -> int:
    with Lab(2) as lab:
        killed, successor = lab.hosts
        backup = successor.start(program, f"-k {skew}")
        master = killed.start(program, "-r 1")  # sooner than the backup
        await_state(master, "MASTER")
        await_state(backup, "BACKUP")
        await_adverts(lab, killed, 1)
        pause(0.9)
        master.kill()
        wait_for("the successor", lambda: lab.wire.adverts(successor.address))
        last = lab.wire.adverts(killed.address)[-1]
        first = lab.wire.adverts(successor.address)[0]
        return first.time_ns - last.time_ns
