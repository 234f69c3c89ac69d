"""The source address of our frames, if the user names none.

Kernels take the first address of the family on the interface that is not a virtual one
(FreeBSD: `carp_best_ifa`).  carppcap does too, among those without drawbacks.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from carppcap.addresses import Address


class LinkAddress(NamedTuple):
    """An address of an interface.

    `secondary` is one that goes when another does (IPv4), or a temporary one (IPv6);
    `deprecated` one that new connections should not use; `tentative` one that may
    still prove a duplicate (RFC 4862, 5.4); `duplicate` one that has: the kernel keeps
    it on the interface (`dadfailed`), but does not answer for it.
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
    """Return the source address for `destination`, None if there is none.

    `candidates` are those of the interface, in the kernel's order.  Those in `virtual`
    belong to the master and are never chosen.

    A link-local destination, such as the group ff02::12, prefers a link-local source:
    every interface that is up has one, no router renumbers it, and kernels mostly use
    it.  Any other destination avoids it, as hosts beyond the link could not answer.
    Then these are preferred, in this order: an address that is not deprecated, one in
    the network of the destination, one that is not secondary, and an IPv4 address with
    a prefix below 32 (one of 32 is often virtual, in another group).
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
