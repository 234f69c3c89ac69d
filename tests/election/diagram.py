"""`python -m tests.election.diagram`: the transitions of the election, from the table.

The manual page shows them between two comments.  With `--write` they are written there.
"""

import sys
from itertools import groupby
from pathlib import Path
from textwrap import wrap

from tests.election.test_fsm import ROWS, STATES, Row

PAGE = Path(__file__).parents[2] / "carppcap" / "man" / "carppcap.8"
BEGIN = '.\\" The transitions, written by make diagram\n.Bd -literal\n'
END = '.Ed\n.\\" End of the transitions\n'
WIDTH = 78

PHRASES = {
    "start": "start",
    "stop": "signal to end",
    "tick_due": "silence",
    "better": "better advert",
    "tie_again": "second equal advert from a lower address",
    "too_slow": "too slow advert",
    "farewell": "farewell",
    "better_demoted": "more demoted advert",
    "link_up": "link up",
    "link_down": "link down",
    "step_down": "SIGUSR2",
    "acquired": "up script succeeded",
    "acquire_failed": "up script failed",
    "released": "down script succeeded",
    "release_failed": "down script failed",
    "lost": "addresses lost",
}
"""The events that lead from one situation to another, as an administrator says them."""


def diagram() -> str:
    """Return a block for each situation, in lines of at most 78 characters."""
    blocks = ["\n".join(_block(situation)) for situation in STATES]
    return "\n\n".join(blocks) + "\n"


def page_with(block: str, page: str) -> str:
    """Return `page` with `block` between its markers; ValueError without them."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return before + BEGIN + block + END + after


def _block(situation: str) -> list[str]:
    rows = [row for row in ROWS if row.situation == situation != row.after]
    lines = [f"{_words(situation)} ({STATES[situation].value})"]
    for (after, cause), same in groupby(sorted(rows, key=_target), key=_target):
        first = f"    -> {_words(after):<15}{cause:<16}"
        phrases = "; ".join(PHRASES[row.event] for row in same)
        lines += wrap(
            first + phrases,
            WIDTH,
            subsequent_indent=" " * len(first),
            drop_whitespace=True,
            break_on_hyphens=False,
        )
    return lines


def _target(row: Row) -> tuple[str, str]:
    """Where the row leads, and the cause if the state changes."""
    change = next((word for word in row.actions.split(", ") if "->" in word), "")
    return row.after, change.rpartition(" ")[2]


def _words(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(page_with(diagram(), PAGE.read_text("utf-8")), "utf-8")
    else:
        sys.stdout.write(diagram())
