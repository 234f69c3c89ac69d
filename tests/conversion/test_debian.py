"""The ucarp lines of /etc/network/interfaces."""

import pytest

from tests.conversion.sources import converted, read_again, said, values

FILE = """\
# The wire of the mail relays.
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
    address 10.1.1.1
    netmask 255.255.255.0
    gateway 10.1.1.254
    ucarp-vid 42
    ucarp-vip 10.1.1.252
    ucarp-password love
    ucarp-advskew 10
    ucarp-master no

iface eth0:ucarp inet static
    address 10.1.1.252
    netmask 255.255.255.0
"""
PLAIN = {
    "interface": "eth0", "srcip": ["10.1.1.1"], "vhid": 42, "addr": ["10.1.1.252/24"],
    "pass": "love", "advskew": 10, "shutdown": True,
}  # fmt: skip


def test_a_file() -> None:
    """The address has the prefix of the alias."""
    result = converted(FILE)

    assert (values(result), said(result)) == (PLAIN, [])
    assert read_again(result).is_usable


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ucarp-master yes", {"preempt": True}),
        ("ucarp-master off", {}),
        ("ucarp-nomcast yes", {"nomcast": True}),
        ("ucarp-advbase 2", {"advbase": 2}),
        ("ucarp-deadratio 4", {"deadratio": 4}),
        ("ucarp-xparam a b", {"xparam": "a b"}),
        ("ucarp-downscript /d", {"downscript": "/d", "own_addresses": False}),
    ],
)
def test_options(line: str, expected: dict[str, object]) -> None:
    """Those that Debian documents."""
    text = FILE.replace("ucarp-master no", line)

    assert values(converted(text)) == PLAIN | expected


@pytest.mark.parametrize(
    ("old", "new", "address"),
    [
        (
            "address 10.1.1.252\n    netmask 255.255.255.0",
            "address 10.1.1.252/16",
            "/16",
        ),
        ("address 10.1.1.252\n    netmask 255.255.255.0", "address 10.1.1.252", ""),
        ("iface eth0:ucarp", "iface eth9:ucarp", ""),
        ("netmask 255.255.255.0\n    gateway", "gateway", "/24"),
        ("    address 10.1.1.252\n", "    address 10.1.1.252\n    netmask x\n", ""),
    ],
)
def test_prefixes(old: str, new: str, address: str) -> None:
    """In each of their spellings."""
    assert old in FILE

    assert values(converted(FILE.replace(old, new)))["addr"] == [f"10.1.1.252{address}"]


def test_the_rest_is_said() -> None:
    """Unknown options, commands of the alias, options of an interface without group."""
    result = converted(
        "facility x\n"
        + FILE.replace("ucarp-master no", "ucarp-facility user\n ucarp-new \\\n thing")
        + "    up ip route add default via 10.1.1.254\n"
        + "iface eth1 inet manual\n  ucarp-vip 10.3.3.3\n  mtu 1400\n"
        + "iface\n"
    )

    assert said(result) == [
        "16: no counterpart for: ucarp-new thing",
        "22: no counterpart for: up ip route add default via 10.1.1.254",
        "24: no counterpart for: ucarp-vip 10.3.3.3",
    ]
    assert result.top == {"facility": "user"}


def test_a_file_that_ends_without_an_interface() -> None:
    """Its last line may be about anything."""
    result = converted(FILE + "source /etc/network/interfaces.d/*\n")

    assert values(result) == PLAIN


def test_no_address() -> None:
    """With DHCP the kernel has to be asked."""
    text = FILE.replace("    address 10.1.1.1\n    netmask 255.255.255.0\n", "")

    assert "srcip" not in values(converted(text))
