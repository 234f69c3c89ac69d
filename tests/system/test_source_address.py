"""The address to send from, as kernels would choose it."""

from ipaddress import ip_address, ip_interface

import pytest

from carppcap.addresses import CARP_GROUP, CARP_GROUP6
from carppcap.system.source_address import LinkAddress, choose_source

G4, G6 = str(CARP_GROUP), str(CARP_GROUP6)


def candidate(text: str) -> LinkAddress:
    """Return the candidate `ADDRESS/PREFIX FLAG...`."""
    interface, *flags = text.split()
    assert set(flags) <= {"secondary", "deprecated"}
    address = ip_interface(interface)
    return LinkAddress(
        address.ip,
        address.network.prefixlen,
        secondary="secondary" in flags,
        deprecated="deprecated" in flags,
    )


@pytest.mark.parametrize(
    ("candidates", "destination", "expected"),
    [
        # Nothing to choose from.
        ("", G4, None),
        ("", G6, None),
        ("fe80::1/64", G4, None),
        ("10.1.1.5/24", G6, None),
        ("10.1.1.252/24", G4, None),
        ("2001:db8::252/64", G6, None),
        # The first, but for virtual ones.
        ("10.1.1.5/24, 10.1.1.6/24", G4, "10.1.1.5"),
        ("10.1.1.252/24, 10.1.1.6/24", G4, "10.1.1.6"),
        ("fe80::2/64, fe80::1/64", G6, "fe80::2"),
        ("2001:db8::252/64, 2001:db8::5/64", G6, "2001:db8::5"),
        # Link-local to link-local destinations, and only there.
        ("2001:db8::5/64, fe80::1/64", G6, "fe80::1"),
        ("2001:db8::5/64", G6, "2001:db8::5"),
        ("2001:db8::5/64, fe80::1/64", "fe80::9", "fe80::1"),
        ("fe80::1/64, 2001:db8::5/64", "2001:db8::9", "2001:db8::5"),
        ("fe80::1/64", "2001:db8::9", "fe80::1"),
        ("fe80::1/64, 2001:db8::5/64", "ff05::12", "2001:db8::5"),
        ("169.254.3.4/16, 10.1.1.5/24", G4, "10.1.1.5"),
        ("169.254.3.4/16", G4, "169.254.3.4"),
        ("10.1.1.5/24, 169.254.3.4/16", "169.254.9.9", "169.254.3.4"),
        # The one that shall live on.
        ("2001:db8::5/64 deprecated, 2001:db8::6/64", "2001:db8::9", "2001:db8::6"),
        ("2001:db8:1::5/64, 2001:db8::6/64 deprecated", "2001:db8::9", "2001:db8:1::5"),
        ("2001:db8::5/64 deprecated", G6, "2001:db8::5"),
        ("fe80::1/64 deprecated, 2001:db8::6/64", G6, "fe80::1"),
        # The network of a peer.
        ("10.1.1.5/24, 10.2.2.5/24", "10.2.2.9", "10.2.2.5"),
        ("10.1.1.5/24, 10.2.2.5/24", "10.3.3.9", "10.1.1.5"),
        ("10.1.1.5/24, 10.2.2.5/24 secondary", "10.2.2.9", "10.2.2.5"),
        ("10.1.1.5/24, 10.1.1.9/32", "10.1.1.9", "10.1.1.5"),
        ("10.1.1.5/0, 10.2.2.5/24", "10.9.9.9", "10.1.1.5"),
        ("2001:db8::5/64, 2001:db8:1::5/64", "2001:db8:1::9", "2001:db8:1::5"),
        # What is there for a while, or perhaps for another group.
        ("2001:db8::5/64 secondary, 2001:db8::6/64", "2001:db8::9", "2001:db8::6"),
        ("10.1.1.5/24 secondary, 10.1.1.6/24", G4, "10.1.1.6"),
        ("10.1.1.77/32, 10.1.1.5/24", G4, "10.1.1.5"),
        ("10.1.1.77/32", G4, "10.1.1.77"),
        ("2001:db8::5/128, 2001:db8::6/64", G6, "2001:db8::5"),
    ],
)
def test_choice(candidates: str, destination: str, expected: str | None) -> None:
    """10.1.1.252 and 2001:db8::252 are virtual, and never chosen."""
    chosen = choose_source(
        [candidate(text) for text in candidates.split(", ") if text],
        ip_address(destination),
        [ip_address("10.1.1.252"), ip_address("2001:db8::252")],
    )

    assert chosen == (None if expected is None else ip_address(expected))
