"""The laws, tried on many random clusters, on all cores.

A seed is a cluster for one of the laws, which take turns.
"""

import io
import multiprocessing
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic

from carppcap.simulation.command import simulate
from carppcap.simulation.scenario.parts import Scenario
from tests.properties.choices import Seeded
from tests.properties.document import as_toml
from tests.properties.law import Law
from tests.properties.laws import LAWS

FIXTURES = Path(__file__).parents[2] / "fixtures" / "simulations"
CHUNK = 16
_NOT_REDUCED = (
    "a_stall",
    "a_tie",
    "a_demoted",
    "stepping_down",
    "a_change_of",
    "a_killed",
    "the_last",
)

SHOWN_MAX = 3
"""How many broken laws are printed in full; one bug breaks a law often."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one seed; `objection` is empty if the law was kept."""

    seed: int
    law: str
    objection: str


def trial_of(law: Law, seed: int) -> tuple[Scenario, int]:
    """Return the cluster of a seed, and the seed of its run."""
    return law.trial(Seeded(Random(f"{law.name} {seed}")))


def try_seed(laws: Sequence[str], seed: int) -> Verdict:
    """Try the law of this seed."""
    law = LAWS[laws[seed % len(laws)]]
    return Verdict(seed, law.name, law.objection(*trial_of(law, seed)))


def reduced(law: Law, scenario: Scenario, seed: int) -> Scenario:
    """Return the least of `scenario` that still breaks the law.

    It has fewer scenes and hosts, and may break the law in another way.
    """
    for candidate in _smaller(scenario):
        if law.objection(candidate, seed):
            return reduced(law, candidate, seed)
    return scenario


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for scene in scenario.story:
        rest = tuple(other for other in scenario.story if other is not scene)
        yield replace(scenario, story=rest)
    if len(scenario.members) > 2:
        for member in scenario.members[1:]:
            if f"'{member.name}'" not in repr(scenario.story):
                others = tuple(m for m in scenario.members if m is not member)
                yield replace(scenario, members=others)


def show(verdict: Verdict, keep: str | None) -> None:
    """Print a broken law with a scenario file, which `keep` names as a fixture."""
    law = LAWS[verdict.law]
    scenario, seed = trial_of(law, verdict.seed)
    if not _depends_on_story(law):
        scenario = reduced(law, scenario, seed)
    text = f"# seed: {seed}\n{as_toml(scenario)}"
    print(f"\n{law.name}, seed {verdict.seed}: {law.objection(scenario, seed)}")
    print(f"\n# carppcap simulate FILE --seed {seed}\n{text}")
    if keep is not None:
        path = FIXTURES / f"{keep}.toml"
        path.write_text(text, "utf-8")
        path.with_suffix(".txt").write_text(played(path, seed), "utf-8")
        print(f"kept as {path.name}: describe it in its title")


def _depends_on_story(law: Law) -> bool:
    """True if the check reads the story, which then cannot be reduced."""
    return law.name.startswith(_NOT_REDUCED)


def played(path: Path, seed: int) -> str:
    """Return what `carppcap simulate` prints of a file."""
    output = io.StringIO()
    with redirect_stdout(output):
        simulate([str(path), "--seed", str(seed)])
    return output.getvalue()


def _verdicts(laws: Sequence[str], seeds: range, jobs: int) -> Iterator[Verdict]:
    if jobs == 1:
        yield from map(partial(try_seed, laws), seeds)
        return
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap_unordered(partial(try_seed, laws), seeds, CHUNK)


def progress(verdicts: Iterable[Verdict], count: int) -> Iterable[Verdict]:
    """Show the progress on a terminal, if tqdm is installed."""
    if not sys.stderr.isatty():
        return verdicts
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra
    except ImportError:
        return verdicts
    bar: Iterable[Verdict] = tqdm(verdicts, total=count, unit="cluster", leave=False)
    return bar


def soak(
    count: int, first: int = 0, only: Sequence[str] = (), keep: str | None = None
) -> int:
    """Try `count` seeds from `first` on; return 0, or 1 if a law was broken."""
    laws = list(only) or list(LAWS)
    seeds = range(first, first + count)
    broken: list[Verdict] = []
    tried: Counter[str] = Counter()
    began_at = monotonic()
    jobs = min(len(os.sched_getaffinity(0)), max(1, count // CHUNK))
    try:
        for verdict in progress(_verdicts(laws, seeds, jobs), count):
            tried[verdict.law] += 1
            if verdict.objection:
                broken.append(verdict)
    except KeyboardInterrupt:
        print("interrupted: this is what was tried")
    took_s = monotonic() - began_at
    broken.sort(key=lambda verdict: verdict.seed)
    for verdict in broken[:SHOWN_MAX]:
        show(verdict, keep if verdict is broken[0] else None)
    failures = Counter(verdict.law for verdict in broken)
    print(f"\n{'law':50}{'clusters':>10}{'broken':>8}  first seeds")
    for name in laws:
        seeds_of = [str(v.seed) for v in broken if v.law == name][:3]
        print(f"{name:50}{tried[name]:10}{failures[name]:8}  {' '.join(seeds_of)}")
    total = tried.total()
    pace = f"{took_s:.0f} s, {total / took_s:.0f} clusters a second, {jobs} at once"
    print(f"{'all':50}{total:10}{len(broken):8}  {pace}")
    return 1 if broken else 0
