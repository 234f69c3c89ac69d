"""Settings: every mistake in them, in the order of ucarp."""

from ipaddress import ip_address

import pytest

from carppcap.errors import ConfigError
from carppcap.options.command_line import parse
from carppcap.options.parsers import VirtualAddress
from carppcap.options.settings import Settings


def test_all_that_is_missing() -> None:
    """Not only the first."""
    assert [str(error).partition(" (")[0] for error in Settings().mistakes()] == [
        "You must supply a valid virtual host id",
        "You must supply a password",
        "You must supply a persistent source address",
        "You must supply a virtual host address",
    ]


def test_all_that_does_not_fit() -> None:
    """Of each kind; the first one is raised."""
    words = "-v 7 -p x -s 10.1.1.1 -a 10.1.1.1,10.1.1.9 -b 0 --own-addresses".split()
    words += "--peer 10.1.1.9,fe80::2 -M --source-mac bsd".split()
    settings, _ = parse(words)

    found = [str(error) for error in settings.mistakes()]

    assert [sentence.partition(" (")[0] for sentence in found] == [
        "You must supply an advertisement time base: --advbase and --advskew cannot both be 0",
        "With --peer adverts go to no group",
        "With --peer adverts come from the interface's own MAC",
        "10.1.1.9 is no peer, but an address of this host or of the group",
        "No --addr is an IPv6 address, but a --peer is",
        "10.1.1.1 is an address of this host: --own-addresses would take it away",
    ]
    with pytest.raises(ConfigError) as raised:
        settings.virtual_host("eth0")
    assert str(raised.value) == found[0]


def test_no_mistakes() -> None:
    """Then there is a virtual host."""
    settings = Settings(
        vhid=7,
        password=b"x",
        addresses=(VirtualAddress(ip_address("fe80::9")),),
    )

    assert list(settings.mistakes()) == []
    assert settings.virtual_host("eth0").vhid == 7
