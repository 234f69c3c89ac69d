"""Configuration files for tests."""

from collections.abc import Iterator
from typing import Any

from carppcap.configuration.document import Group, read
from carppcap.configuration.findings import Finding
from carppcap.configuration.keys import in_file
from carppcap.configuration.locate import Path

GOOD = """\
[group.web]
interface = "eth0"
srcip = "10.1.1.1"
vhid = 42
addr = "10.1.1.252"
pass = "love"
"""


def shown(findings: list[Finding] | tuple[Finding, ...]) -> list[str]:
    """Each finding in a line."""
    return [
        f"{f.line}: {f.severity.value}: {f.sentence(in_file(f'{f.error}'))}"
        for f in findings
    ]


def groups(text: str) -> tuple[Group, ...]:
    """The groups of a file without mistakes."""
    configuration = read(text)
    assert shown(configuration.findings) == []
    return configuration.groups


def group(*lines: str, without: str = "") -> Group:
    """One good group with these lines, which replace others, and without one key."""
    keys = {line.partition(" ")[0] for line in lines} | {without}
    kept = [row for row in GOOD.splitlines() if row.partition(" ")[0] not in keys]
    (only,) = groups("\n".join([*kept, *lines]))
    return only


def paths_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every table, key and element of a document."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner += value.items()
    if isinstance(value, list):
        inner += enumerate(value)
    for key, its in inner:
        yield (*path, key)
        yield from paths_of(its, (*path, key))
