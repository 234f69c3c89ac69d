"""Makes a table of samples, with medians and verdicts; measures nothing itself.

A row compares two sets of samples of the same quantity.  Less is better, unless the row
has `at_least`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import Any

NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One quantity in `unit`: samples of carppcap (`ours`) and of `rival` (`theirs`).

    The target is `limit`, which the absolute value of our median must be below; where
    more is better it is `at_least`, which our median must reach.  With `by_worst` not
    only the median but every sample of ours must.  `note` is a remark, such as why
    samples are missing.
    """

    section: str
    what: str
    unit: str
    ours: tuple[float, ...] = ()
    theirs: tuple[float, ...] = ()
    limit: float | None = None
    note: str = ""
    rival: str = "ucarp"
    at_least: float | None = None
    by_worst: bool = False

    @property
    def is_met(self) -> bool | None:
        """True if our samples meet the target; False if they miss it or are missing.

        None if there is no target.
        """
        judged = self.ours
        if judged and not self.by_worst:
            judged = (median(judged),)
        if self.at_least is not None:
            return bool(judged) and min(judged) >= self.at_least
        if self.limit is None:
            return None
        return bool(judged) and max(map(abs, judged)) < self.limit

    @property
    def ratio(self) -> float | None:
        """Return the rival's median divided by ours.

        None if samples are missing, or if our median is not positive.
        """
        if not self.ours or not self.theirs or median(self.ours) <= 0:
            return None
        return median(self.theirs) / median(self.ours)

    @property
    def verdict(self) -> str:
        return {None: "", True: "met", False: "NOT MET"}[self.is_met]


def significant(value: float) -> str:
    """Return `value` as text, rounded: 0.12, 4.56, 45.6, 7890."""
    for limit, digits in ((9.995, 2), (99.95, 1)):
        if abs(value) < limit:
            return f"{value:.{digits}f}"
    return f"{value:.0f}"


def summary(samples: Sequence[float]) -> tuple[str, str, str]:
    """Return the median, the range and the number of the samples, each as text."""
    if not samples:
        return NOTHING, "", ""
    low, high = significant(min(samples)), significant(max(samples))
    spread = f"{low}..{high}" if len(samples) > 1 else ""
    return significant(median(samples)), spread, f"{len(samples)}"


def table(rows: Iterable[Row]) -> str:
    """Return all rows as text in columns, under the titles of their sections."""
    blocks: list[list[tuple[str, ...]]] = []
    notes: list[list[str]] = []
    titles: list[str] = []
    for section, members in groupby(rows, lambda row: row.section):
        listed = list(members)
        titles.append(section)
        blocks.append([_head(listed[0].rival), *map(_cells, listed)])
        notes.append([f"{row.what}: {row.note}" for row in listed if row.note])
    everything = [line for block in blocks for line in block]
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    parts = [
        "\n".join(
            (
                title,
                *(_line(cells, widths) for cells in block),
                *(f"  * {note}" for note in remarks),
            )
        )
        for title, block, remarks in zip(titles, blocks, notes, strict=True)
    ]
    return "\n\n".join(parts)


def _head(rival: str) -> tuple[str, ...]:
    ours = ("", "unit", "carppcap", "range", "n")
    return *ours, rival, "range", "n", "ratio", "target", ""


def _cells(row: Row) -> tuple[str, ...]:
    limit = "" if row.limit is None else f"< {significant(row.limit)}"
    if row.at_least is not None:
        limit = f">= {significant(row.at_least)}"
    if limit and row.by_worst:
        limit = f"all {limit}"
    ratio = NOTHING if row.ratio is None else significant(row.ratio)
    return (
        *(row.what, row.unit, *summary(row.ours), *summary(row.theirs)),
        *(ratio, limit, row.verdict),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # Align words and ranges to the left, numbers to the right.
    left = {0, 1, 3, 6, 10}
    padded = (
        f"{cell:<{width}}" if column in left else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return ("  " + "  ".join(padded)).rstrip()


def closing_line(rows: Iterable[Row]) -> str:
    """Return in words how many targets were met, and which were not."""
    judged = [row for row in rows if row.is_met is not None]
    missed = [row for row in judged if not row.is_met]
    line = f"{len(judged) - len(missed)} of {len(judged)} targets met"
    if missed:
        line += "; not met: " + ", ".join(f"{r.section} / {r.what}" for r in missed)
    return line


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows with all their samples, ready to be written as JSON."""
    return [
        {
            "section": row.section,
            "what": row.what,
            "unit": row.unit,
            "carppcap": list(row.ours),
            "rival": row.rival,
            "rivals": list(row.theirs),
            "carppcap_median": median(row.ours) if row.ours else None,
            "rival_median": median(row.theirs) if row.theirs else None,
            "limit": row.limit,
            "at_least": row.at_least,
            "met": row.is_met,
            "note": row.note,
        }
        for row in rows
    ]


def as_rst(rows: Iterable[Row]) -> str:
    """Return the table of `rows` as a literal block of reStructuredText."""
    lines = table(rows).splitlines()
    return "\n".join(("", "::", "", *(f"    {x}".rstrip() for x in lines), "", ""))
