"""Which of an interface's addresses our frames come from, if nobody says.

Kernels take the first address of the family on the interface that is not itself a
virtual one (FreeBSD: `carp_best_ifa`).  So do we, after those that serve less well.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from carppcap.addresses import Address


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """An address that frames may be sent from, and what speaks for it.

    `secondary` is one that goes when another does (IPv4), or one made for a while to
    hide the host (IPv6); `deprecated` one that new conversations shall not begin with.
    """

    address: Address
    prefix: int
    secondary: bool = False
    deprecated: bool = False

    def covers(self, other: Address) -> bool:
        """Whether `other`, of the same family, is in the network of this address."""
        shift = self.address.max_prefixlen - self.prefix
        return int(self.address) >> shift == int(other) >> shift


def choose_source(
    candidates: Iterable[LinkAddress],
    destination: Address,
    virtual: Collection[Address],
) -> Address | None:
    """The address to send to `destination` from, None if there is none.

    `candidates` are those of the interface, in the kernel's order; `virtual` may
    stand on it too, but belong to whoever is master and are never chosen.

    To a link-local destination, as the group ff02::12 is, goes a link-local source:
    every interface has one as long as it is up, no router renumbers it, and it is
    mostly what kernels send from.  To any other it goes only where there is nothing
    else, since nobody beyond the link could answer.  After that one that is not
    deprecated is better, then one in the destination's network, then a lasting one,
    then an IPv4 address with a network around it (without one it is often virtual,
    in another group).
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
