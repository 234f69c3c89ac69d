"""Plant a mutant in a copy of the package, and run laws and tests there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.mutants.catalogue import CLUSTERS, CLUSTERS_OF_OTHERS, Mutant
from tests.properties.choices import Seeded
from tests.properties.laws import LAWS

ROOT = Path(__file__).parents[2]
TIME_LIMIT_S = 120
"""A mutant that runs longer counts as noticed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What noticed a mutant: the laws, and the first file of tests, if any."""

    mutant: Mutant
    laws: tuple[str, ...]
    test: str

    @property
    def problem(self) -> str:
        """What is wrong with the outcome, empty if nothing is."""
        unmoved = [law for law in self.mutant.laws if law not in self.laws]
        if unmoved:
            return f"kept by {', '.join(unmoved)}"
        return "" if self.test else "SURVIVED all tests"


def occurrences(mutant: Mutant) -> int:
    """Return how often the old text is there; it must be once."""
    return (ROOT / "carppcap" / mutant.file).read_text("utf-8").count(mutant.old)


def broken_laws(expected: Sequence[str]) -> list[str]:
    """Return the laws that the package breaks; the expected ones are tried longer."""
    return [
        name
        for name in LAWS
        if any(
            _is_broken(name, seed)
            for seed in range(CLUSTERS if name in expected else CLUSTERS_OF_OTHERS)
        )
    ]


def _is_broken(name: str, seed: int) -> bool:
    law = LAWS[name]
    scenario, run_seed = law.trial(Seeded(Random(f"{name} {seed}")))
    return bool(law.objection(scenario, run_seed))


def try_on(mutant: Mutant) -> Outcome:
    """Plant a mutant, and return what noticed it."""
    with TemporaryDirectory(prefix="mutant-") as directory:
        root = Path(directory)
        _copy(root, mutant)
        laws = _run(root, "-m", "tests.mutants.kill", *mutant.laws)
        broken = tuple(json.loads(laws.stdout)) if laws is not None else tuple(LAWS)
        noticed = next((name for name in mutant.tests if _fails(root, name)), "")
    return Outcome(mutant, broken, noticed)


def _copy(root: Path, mutant: Mutant) -> None:
    unneeded = shutil.ignore_patterns("__pycache__", "*.po", "*.mo", "bench")
    for name in ("carppcap", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=unneeded)
    (root / "fixtures").symlink_to(ROOT / "fixtures")
    shutil.copy(ROOT / "setup.cfg", root)
    target = root / "carppcap" / mutant.file
    text = target.read_text("utf-8")
    assert text.count(mutant.old) == 1, mutant.name
    target.write_text(text.replace(mutant.old, mutant.new), "utf-8")


def _fails(root: Path, test: str) -> bool:
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:cov")
    done = _run(root, "-m", "pytest", *options, f"tests/{test}")
    return done is None or done.returncode == 1


def _run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run Python in `root`; return None after `TIME_LIMIT_S`."""
    try:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def main(arguments: Sequence[str]) -> int:
    """Print the broken laws as JSON."""
    print(json.dumps(broken_laws(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
