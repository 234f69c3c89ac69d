"""Runs the scenarios of this directory side by side, as they mostly wait.

A scenario is a test whose arguments all come from `parametrize`.  It makes its own
`Lab`, so it is independent of the other scenarios.  The first scenario that pytest
calls starts them all, NETNS_JOBS (16) at a time; each test then waits for its own
outcome.  A scenario may return what it measured, in words, from which
`tests.netns.survival` makes a table.  A scenario that is marked `alone` needs the whole
machine.  It is run last and by itself, and the coverage of its daemons is not measured,
as that makes them several times slower.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import pytest

HERE = Path(__file__).parent
JOBS = int(os.environ.get("NETNS_JOBS", "16"))

FUTURES = pytest.StashKey[dict[str, Future[object]]]()
_pool = pytest.StashKey[ThreadPoolExecutor]()


def _parameters(item: pytest.Function) -> dict[str, object]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


def _scenarios(session: pytest.Session) -> Iterator[pytest.Function]:
    for item in session.items:
        if (
            isinstance(item, pytest.Function)
            and HERE in item.path.parents
            and set(item.fixturenames) == set(_parameters(item))
            and not any(item.iter_markers("skip"))
            and not any(mark.args[0] for mark in item.iter_markers("skipif"))
        ):
            yield item


def pytest_itemcollected(item: pytest.Item) -> None:
    if HERE in item.path.parents:
        item.add_marker(pytest.mark.netns)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("alone") is not None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if HERE not in pyfuncitem.path.parents:
        return None
    stash = pyfuncitem.session.stash
    if FUTURES not in stash:
        stash[_pool] = pool = ThreadPoolExecutor(JOBS)
        stash[FUTURES] = {
            item.nodeid: pool.submit(item.obj, **_parameters(item))
            for item in _scenarios(pyfuncitem.session)
            if item.get_closest_marker("alone") is None
        }
    if pyfuncitem.get_closest_marker("alone") is not None:
        wait(stash[FUTURES].values())
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
            stash[FUTURES][pyfuncitem.nodeid] = alone = stash[_pool].submit(
                pyfuncitem.obj, **_parameters(pyfuncitem)
            )
            wait([alone])
    if (future := stash[FUTURES].get(pyfuncitem.nodeid)) is None:
        return None
    future.result()
    return True


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _pool in session.stash:
        session.stash[_pool].shutdown(cancel_futures=True)
