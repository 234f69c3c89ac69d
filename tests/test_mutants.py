"""The catalogue of mutants fits the sources; `make mutants` tries them all."""

from pathlib import Path

import pytest

from tests.mutants.catalogue import MUTANTS, Mutant
from tests.mutants.kill import occurrences
from tests.properties.laws import LAWS

TESTS = Path(__file__).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_planted(mutant: Mutant) -> None:
    """What it changes is there once, and those who must notice exist."""
    assert occurrences(mutant) == 1
    assert mutant.old != mutant.new
    assert set(mutant.laws) <= LAWS.keys()
    assert mutant.tests
    assert all((TESTS / name).is_file() for name in mutant.tests)


def test_every_mutant_has_a_name_of_its_own() -> None:
    """By which it is found in a table."""
    names = [mutant.name for mutant in MUTANTS]

    assert len(set(names)) == len(names) >= 40
