"""Findings: the three kinds."""

from carppcap.configuration.findings import Severity, mistake, note, warning
from carppcap.errors import ConfigError


def test_kinds() -> None:
    """Each is made by the function of its name."""
    error = ConfigError("x")

    assert [make(3, error).severity for make in (mistake, warning, note)] == [
        Severity.MISTAKE,
        Severity.WARNING,
        Severity.NOTE,
    ]
    assert mistake(3, error).line == 3
