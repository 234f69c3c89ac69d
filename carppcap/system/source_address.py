"""Chooses the source address of our frames, if the user names none.

BSD kernels take the first address of the family on the interface that is not a virtual
one (FreeBSD: `carp_best_ifa`).  carppcap also takes the first one, but only of those
that `choose_source` prefers.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from carppcap.addresses import Address


class LinkAddress(NamedTuple):
    """An address of an interface, with its flags.

    `secondary`: an IPv4 address that the kernel removes together with another one, or a
    temporary IPv6 address.  `deprecated`: new connections should not use it.
    `tentative`: the kernel still checks whether another host has it (RFC 4862, 5.4).
    `duplicate`: another host has it; the kernel keeps it on the interface
    (`dadfailed`), but does not answer for it.
    """

    address: Address
    prefix: int
    secondary: bool = False
    deprecated: bool = False
    tentative: bool = False
    duplicate: bool = False

    def covers(self, other: Address) -> bool:
        """True if `other`, of the same family, is in the network of this address."""
        shift = self.address.max_prefixlen - self.prefix
        return int(self.address) >> shift == int(other) >> shift


def choose_source(
    candidates: Iterable[LinkAddress],
    destination: Address,
    virtual: Collection[Address],
) -> Address | None:
    """Return the source address for frames to `destination`, or None if none fits.

    `candidates` are the addresses of the interface, in the kernel's order.  Those in
    `virtual` belong to the master and are never chosen.

    For a link-local destination, such as the group ff02::12, link-local addresses are
    preferred: every interface that is up has one, no router renumbers it, and kernels
    mostly use it.  For any other destination they are avoided, because hosts beyond the
    link could not reply to them.  If several addresses are left, these are preferred,
    in this order: an address that is not deprecated; one in the network of the
    destination; one that is not secondary; an IPv4 address with a prefix shorter than
    32 bits (an address with 32 is often the virtual address of another group).
    """
    is_link_group = destination.version == 6 and destination.packed[:2] == b"\xff\x02"
    wants_link_local = destination.is_link_local or is_link_group

    def drawbacks(candidate: LinkAddress) -> tuple[bool, ...]:
        address = candidate.address
        return (
            address.is_link_local != wants_link_local,
            candidate.deprecated,
            not candidate.covers(destination),
            candidate.secondary,
            address.version == 4 and candidate.prefix == 32,
        )

    fit = [
        candidate
        for candidate in candidates
        if candidate.address.version == destination.version
        and candidate.address not in virtual
    ]
    return min(fit, key=drawbacks).address if fit else None
