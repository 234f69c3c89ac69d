"""`python -m tests.mutants [WORD...]`: plant every mutant, and see what notices it.

With WORDs, only mutants whose name contains one of them.
"""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.catalogue import MUTANTS
from tests.mutants.kill import Outcome, occurrences, try_on
from tests.properties.laws import LAWS


def main(words: Sequence[str]) -> int:
    """Return 0 if all mutants were noticed as expected, and each law noticed one."""
    chosen = [m for m in MUTANTS if not words or any(w in m.name for w in words)]
    lost = [mutant.name for mutant in chosen if occurrences(mutant) != 1]
    if lost:
        print(f"the text to change is not there, or not once: {', '.join(lost)}")
        return 1
    outcomes = []
    print(f"{'mutant':34}{'tests':32}laws")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for outcome in pool.map(try_on, chosen):
            outcomes.append(outcome)
            print(_row(outcome), flush=True)
    bad = [outcome for outcome in outcomes if outcome.problem]
    kills = Counter(law for outcome in outcomes for law in outcome.laws)
    idle = [law for law in LAWS if not kills[law]] if not words else []
    print(f"\n{'law':50}mutants noticed")
    for law in LAWS:
        print(f"{law:50}{kills[law]:3}")
    print(f"\n{len(outcomes)} mutants, {len(bad)} not noticed as they should be")
    for law in idle:
        print(f"{law} noticed none")
    return 1 if bad or idle else 0


def _row(outcome: Outcome) -> str:
    test = outcome.test.removesuffix(".py")
    laws = ", ".join(outcome.laws) or "-"
    problem = f"  << {outcome.problem}" if outcome.problem else ""
    return f"{outcome.mutant.name:34}{test or '-':32}{laws}{problem}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
