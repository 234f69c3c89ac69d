"""Every pair and every three kinds of host, in all setups."""

from collections.abc import Iterator
from itertools import combinations_with_replacement, permutations, product

import pytest

from carppcap.simulation.run import run
from carppcap.simulation.scenario.parts import Kind
from carppcap.units import NS_PER_MS
from tests.properties.company import any_combination_settles, company, ties_end
from tests.properties.groups import KINDS

SKEWS = {
    2: ((10, 10), (10, 20), (20, 10)),
    3: ((10, 10, 10), (10, 20, 30), (30, 20, 10), (10, 10, 30), (20, 10, 10)),
}
SLOW_NS = 20 * NS_PER_MS
"""A wire on which what two say at once crosses."""


def companies() -> Iterator[tuple[Kind, ...]]:
    """Yield groups of two or three hosts."""
    for count in (2, 3):
        yield from combinations_with_replacement(KINDS, count)


@pytest.mark.parametrize(
    "kinds",
    tuple(companies()),
    ids=lambda kinds: "+".join(kind.value for kind in kinds),
)
def test_any_company(kinds: tuple[Kind, ...]) -> None:
    """One master stays: with equal and unequal ranks, in each family."""
    orders = [(1, 2), (2, 1)] if len(kinds) == 2 else [(1, 2, 3), (3, 2, 1), (2, 3, 1)]
    shared = ("ipv4",) if Kind.UCARP in kinds else ("ipv4", "ipv6", "both")
    cells = product(SKEWS[len(kinds)], orders, shared, (False, True))
    for skews, ranks, family, apart in cells:
        if ties_end(kinds, skews):
            scenario = company(
                kinds, skews, ranks, family, apart=apart, delay_ns=SLOW_NS
            )
            any_combination_settles.check(run(scenario, seed=1))


@pytest.mark.parametrize("kinds", [*permutations((Kind.UCARP, Kind.FREEBSD))])
def test_the_exception(kinds: tuple[Kind, ...]) -> None:
    """ucarp and an equal kernel may tie for ever, except beside carppcap."""
    endless = company(kinds, (10, 10), (1, 2), "ipv4", apart=True, delay_ns=SLOW_NS)
    again = company(kinds, (10, 10), (2, 1), "ipv4", apart=True, delay_ns=SLOW_NS)

    settled = [
        not any_combination_settles.objection(scenario, 1)
        for scenario in (endless, again)
    ]
    # It depends on the order of the addresses.
    assert sorted(settled) == [False, True]
