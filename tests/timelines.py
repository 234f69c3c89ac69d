"""What replay and simulate say of every fixture, to compare with or to write anew.

`python -m tests.timelines` rewrites fixtures/*/timeline.txt, which `carppcap replay`
prints, and fixtures/simulations/*.txt of `carppcap simulate`.  Look at the difference
afterwards, and commit only what you can explain.
"""

import io
import re
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path

from carppcap.replay.command import replay
from carppcap.simulation.command import simulate

FIXTURES = Path(__file__).parents[1] / "fixtures"

CASES = sorted(path.parent.name for path in FIXTURES.glob("*/node.conf"))


SIMULATIONS = sorted(FIXTURES.glob("simulations/*.toml"))


def flags(case: str) -> list[str]:
    """The daemon's command line that a case is replayed with."""
    return shlex.split(
        (FIXTURES / case / "node.conf").read_text("utf-8"), comments=True
    )


def actual(case: str) -> str:
    """What replaying it prints now."""
    output = io.StringIO()
    with redirect_stdout(output):
        status = replay([str(FIXTURES / case / "capture.pcap"), *flags(case)])
    assert status == 0
    return output.getvalue()


def expected_path(case: str) -> Path:
    """Where it is written what it should print."""
    return FIXTURES / case / "timeline.txt"


def simulated(scenario: Path) -> str:
    """What simulating it prints now, with the seed that a comment of it may name."""
    output = io.StringIO()
    named = re.search(r"^# seed: (\d+)$", scenario.read_text("utf-8"), re.MULTILINE)
    seed = ["--seed", named[1]] if named else []
    with redirect_stdout(output):
        status = simulate([str(scenario), *seed])
    assert status == 0
    return output.getvalue()


def main() -> int:
    """Write every timeline; 0, and a line for each that is new."""
    timelines = [(expected_path(case), actual(case)) for case in CASES]
    timelines += [(path.with_suffix(".txt"), simulated(path)) for path in SIMULATIONS]
    for path, text in timelines:
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
            print(f"{path.relative_to(FIXTURES.parent)} is new: can you explain it?")
    return 0


if __name__ == "__main__":
    sys.exit(main())
