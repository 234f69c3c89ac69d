"""Makes a table of the faults that carppcap survives: promise, test, measurement.

    python -m tests.netns.survival [--write]

Runs the scenarios of test_faults_*.py, test_flood.py and test_replay_guard.py.  Only a
few run at a time, so that they do not disturb each other's measurements.  Prints the
table, or with --write puts it into README.rst.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from textwrap import fill

os.environ.setdefault("NETNS_JOBS", "3")

import pytest

from tests.netns.conftest import FUTURES
from tests.tables import write_between

HERE = Path(__file__).parent
FAILED = "FAILED"


@dataclass(slots=True)
class Row:
    """One promise; `figures` are its measurements, by the parameters of the test."""

    promise: str
    test: str
    figures: dict[str, str] = field(default_factory=dict)


class Collector:
    """A plugin of pytest that collects the values that the scenarios return."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> None:
        """Add the result of a scenario that has just run to `rows`."""
        if call.when != "call" or not isinstance(item, pytest.Function):
            return
        promise = " ".join((item.obj.__doc__ or "").split())
        row = self.rows.setdefault(item.originalname, Row(promise, item.originalname))
        parameters = item.callspec.id if hasattr(item, "callspec") else ""
        figure = FAILED
        if call.excinfo is None:
            figure = str(item.session.stash[FUTURES][item.nodeid].result())
        row.figures[parameters] = figure


def table(rows: list[Row]) -> Iterator[str]:
    """Return the lines of a table in reStructuredText."""
    yield from (".. list-table::", "   :header-rows: 1", "   :widths: 45 20 35", "")
    yield from ("   * - Promise", "     - Test", "     - Measured")
    for row in rows:
        yield from _cell(row.promise, "   * - ")
        yield from _cell(f"``{row.test}``", "     - ")
        for number, (parameters, figure) in enumerate(row.figures.items()):
            text = f"{parameters}: {figure}" if parameters else figure
            yield from _cell(f"| {text}", "       " if number else "     - ")


def _cell(text: str, indent: str) -> list[str]:
    filled = fill(text, 84, initial_indent=indent, subsequent_indent=" " * 9)
    return filled.splitlines()


def main() -> int:
    """Run all scenarios; return 0 if every promise was kept."""
    collector = Collector()
    files = [
        *sorted(map(str, HERE.glob("test_faults*.py"))),
        str(HERE / "test_flood.py"),
        str(HERE / "test_replay_guard.py"),
    ]
    status = pytest.main(["-q", "--no-header", *files], plugins=[collector])
    rows = "\n".join(table(list(collector.rows.values())))
    text = f"Measured on {date.today().isoformat()}.\n\n{rows}"
    if "--write" in sys.argv[1:]:
        write_between(HERE / "README.rst", "survival", f"\n{text}\n\n")
    else:
        print(f"\n{text}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
