"""Which format a file has."""

import pytest

from carppcap.conversion.formats import FORMATS, format_of
from tests.conversion import test_debian, test_fedora, test_keepalived, test_ucarp
from tests.conversion.sources import sources


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        (test_ucarp.LINE, "start.sh", "ucarp"),
        (test_debian.FILE, "interfaces", "debian"),
        (test_fedora.COMMON, "x", "fedora"),
        (test_fedora.OWN, "/etc/ucarp/vip-001.conf", "fedora"),
        (test_keepalived.FILE, "x", "keepalived"),
        ("", "x", None),
        ("[group.web]\nvhid = 3", "carppcap.toml", None),
    ],
)
def test_format(text: str, path: str, expected: str | None) -> None:
    """By what is in it; Fedora's by its name as well."""
    assert format_of(sources((path, text))) == expected
    assert expected is None or expected in FORMATS
