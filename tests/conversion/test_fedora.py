"""Fedora's /etc/ucarp/vip-*.conf."""

import pytest

from carppcap.conversion.formats import FORMATS
from tests.conversion.sources import read_again, said, sources, values

COMMON = """\
# For all.
PASSWORD="love"
BIND_INTERFACE='eth0'
SOURCE_ADDRESS=10.1.1.1
UPSCRIPT=/usr/libexec/ucarp/vip-up
DOWNSCRIPT=/usr/libexec/ucarp/vip-down
OPTIONS="--shutdown --preempt"
"""
PLAIN = {
    "interface": "eth0", "srcip": ["10.1.1.1"], "vhid": 7, "addr": ["10.1.1.252"],
    "pass": "love", "preempt": True, "shutdown": True,
}  # fmt: skip
OWN = 'export VIP_ADDRESS="10.1.1.252"  # ours\n'
convert = FORMATS["fedora"]


def files(own: str, common: str = COMMON, name: str = "vip-007.conf"):  # type: ignore[no-untyped-def]
    return sources(("/etc/ucarp/vip-common.conf", common), (f"/etc/ucarp/{name}", own))


def test_a_pair_of_files() -> None:
    """The number in the name is the vhid."""
    result = convert(files(OWN))

    assert (values(result), said(result)) == (PLAIN, [])
    assert read_again(result).is_usable


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("ID=012", {"vhid": 12}),
        ("SOURCE_ADDRESS=10.1.1.9", {"srcip": ["10.1.1.9"]}),
        ("OPTIONS='-k 9'", {"advskew": 9, "preempt": None, "shutdown": None}),
        ("PASSFILE=/p\nPASSWORD=", {"passfile": "/p", "pass": None}),
        ("UPSCRIPT=/u", {"upscript": "/u", "own_addresses": False}),
        ("UPSCRIPT=", {}),
    ],
)
def test_own_values_replace_those_for_all(
    lines: str, expected: dict[str, object]
) -> None:
    """As the shell would read both files."""
    found = {**PLAIN, **expected}

    assert values(convert(files(OWN + lines))) == {
        key: value for key, value in found.items() if value is not None
    }


def test_lines_end_where_the_shell_ends_them() -> None:
    """Not at every letter that Python takes for an end."""
    result = convert(files(OWN + "A='\x1c\x0b'\nB=\n"))

    assert said(result) == [
        "2: no counterpart for: A=",
        "3: no counterpart for: B=",
    ]


def test_without_a_number() -> None:
    """Then the vhid has to be added by hand."""
    assert "vhid" not in values(convert(files(OWN, name="vip.conf")))


def test_the_rest_is_said() -> None:
    """Commands, open quotes, unknown names, words without an option."""
    own = (
        OWN
        + "if true; then\nA='\nFOO=1\nB=1 2\nOPTIONS='-z word'\nSOURCE_ADDRESS=`x`\n"
    )
    result = convert(files(own))

    assert said(result) == [
        "2: no counterpart for: if true; then",
        "3: no counterpart for: A='",
        "5: no counterpart for: B=1 2",
        "4: no counterpart for: FOO=1",
        "1: Invalid address: [`x`] for srcip (allowed: an IPv4 or IPv6 address such as 10.1.1.252 or fd00::252)",
        "1: no counterpart for: word",
    ]


def test_an_option_without_sense() -> None:
    """No group, but a word about it."""
    result = convert(files(OWN + "OPTIONS=--bogus"))

    assert (result.drafts, said(result)) == (
        [],
        ["1: Unknown option: --bogus (see --help)"],
    )
