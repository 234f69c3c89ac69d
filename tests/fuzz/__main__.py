"""All targets side by side: a table at the end, and status 1 if one of them failed.

    python -m tests.fuzz                            a minute for all targets together
    python -m tests.fuzz frames --seconds 600       one of them, on every core
    python -m tests.fuzz frames --runs 1000000      so many inputs, at any length
    python -m tests.fuzz settings --input FILE      what a saved input fails with
    python -m tests.fuzz --keep                     fold what was learnt into fixtures

New inputs gather in .fuzz, where the next run goes on; those that failed are saved in
.fuzz/failed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from tests.fuzz.catalogue import KEPT, TARGETS, Target, captured_frames
from tests.fuzz.corpus import least
from tests.fuzz.worker import find_atheris

ROOT = Path(__file__).parents[2]
LEARNT = ROOT / ".fuzz"
FAILED = LEARNT / "failed"

TIMEOUT_S = 10
"""For one input; what is bounded ends in milliseconds, even on a busy machine."""

GROWTH_MAX_MB = 64
"""Between the first input and the last; libFuzzer's own tables are part of it."""

RSS_MAX_MB = 512


@dataclass(frozen=True, slots=True)
class Job:
    """One process: a target for `seconds`, or for so many `runs`."""

    target: Target
    seconds: int | None
    runs: int | None
    seed: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a process had to say in the end."""

    job: Job
    status: int
    output: str

    def last(self, pattern: str) -> int:
        """The last number that stands behind `pattern` in the output, or 0."""
        found = re.findall(pattern + r"\s*(\d+)", self.output)
        return int(found[-1]) if found else 0

    @property
    def inputs(self) -> int:
        return max(
            map(int, re.findall(r"^#(\d+)", self.output, re.MULTILINE)), default=0
        )

    @property
    def rss_mb(self) -> tuple[int, int]:
        """After the first inputs, and after the last."""
        lines = r"^#\d+\s+(?:INITED|DONE)\s.*rss: (\d+)Mb"
        found = re.findall(lines, self.output, re.MULTILINE) or [0]
        return int(found[0]), int(found[-1])

    @property
    def failure(self) -> str:
        """Why this run failed, or nothing."""
        if self.status != 0:
            return f"status {self.status}"
        before_mb, after_mb = self.rss_mb
        if after_mb - before_mb > GROWTH_MAX_MB:
            return f"grew by {after_mb - before_mb} MB"
        if self.inputs == 0:
            return "no inputs"
        return ""

    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        before_mb, after_mb = self.rss_mb
        return (
            self.job.target.name,
            f"{self.inputs:,}".replace(",", " "),
            f"{self.last('exec/s:'):,}".replace(",", " "),
            f"{self.last('cov:')}/{self.last('ft:')}",
            str(self.last("stat::new_units_added:")),
            f"{before_mb} -> {after_mb}",
            self.failure or "ok",
        )


HEADINGS = ("target", "inputs", "inputs/s", "coverage", "new", "RSS MB", "result")


def table(results: list[Result]) -> Iterator[str]:
    """The lines of the table."""
    rows = [HEADINGS, *(result.row() for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def plan(
    targets: list[Target], seconds: int, runs: int | None, seed: int, cores: int
) -> list[Job]:
    """Jobs that keep all cores busy and are done together after `seconds`."""
    shards = max(1, cores // len(targets))
    rounds = -(-len(targets) * shards // cores)
    share_s = None if runs else max(1, seconds // rounds)
    return [
        Job(target, share_s, runs and -(-runs // shards), seed + shard)
        for target in targets
        for shard in range(shards)
    ]


def run(job: Job) -> Result:
    """Run one job in a process of its own."""
    name = job.target.name
    learnt = LEARNT / name
    learnt.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as seeds:
        for number, data in enumerate(job.target.seeds(captured_frames())):
            (Path(seeds) / str(number)).write_bytes(data)
        options = [
            f"-seed={job.seed}",
            f"-max_len={job.target.length_max}",
            f"-timeout={TIMEOUT_S}",
            f"-rss_limit_mb={RSS_MAX_MB}",
            f"-artifact_prefix={FAILED}/{name}-",
            "-print_final_stats=1",
        ]
        if job.seconds is not None:
            options.append(f"-max_total_time={job.seconds}")
        if job.runs is not None:
            options.append(f"-runs={job.runs}")
        return Result(job, *_worker([name, *options, str(learnt), seeds, *_kept(name)]))


def keep(target: Target) -> str:
    """Fold what was learnt into the fixtures: the least that reaches as much."""
    learnt = [path.read_bytes() for path in LEARNT.glob(f"{target.name}/*")]
    before = [path.read_bytes() for path in target.kept]
    found = [*target.seeds(captured_frames()), *learnt, *before]
    chosen = least(target.check, [data[: target.length_max] for data in found])
    directory = KEPT / target.name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for data in chosen:
        (directory / sha1(data).hexdigest()[:16]).write_bytes(data)
    size = sum(map(len, chosen))
    return f"{target.name}: {len(chosen)} of {len(found)} inputs kept, {size} bytes"


def _kept(name: str) -> list[str]:
    directory = KEPT / name
    return [str(directory)] if directory.is_dir() else []


def _worker(words: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "tests.fuzz.worker", *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


def main() -> int:
    """The exit status: 1 if any target failed."""
    options = _options()
    targets = [TARGETS[name] for name in options.targets or TARGETS]
    if options.input is not None:
        print(targets[0].check(options.input.read_bytes()))
        return 0
    if find_atheris() is None:
        print("atheris is not installed here: mutating without a look at coverage")
    if options.keep:
        for target in targets:
            print(keep(target))
        return 0
    FAILED.mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    jobs = plan(targets, options.seconds, options.runs, options.seed, cores)
    with ThreadPoolExecutor(cores) as pool:
        results = list(pool.map(run, jobs))
    print("\n".join(table(results)))
    failed = [result for result in results if result.failure]
    for result in failed:
        name = result.job.target.name
        print(f"\n{name}: {result.failure}\n{result.output[-4000:]}")
        print(f"again: python -m tests.fuzz {name} --input {FAILED}/{name}-...")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description="Hostile input, for as long as told.",
        epilog=f"Targets: {', '.join(TARGETS)}.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all")
    parser.add_argument("--seconds", type=int, default=60, help="together (default 60)")
    parser.add_argument("--runs", type=int, help="inputs for each, instead of seconds")
    parser.add_argument("--seed", type=int, default=1, help="of the first process")
    parser.add_argument("--input", type=Path, help="run this one input and no other")
    parser.add_argument("--keep", action="store_true", help="fold into the fixtures")
    options = parser.parse_args()
    unknown = set(options.targets) - TARGETS.keys()
    if unknown:
        parser.error(f"unknown target: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main())
