"""Finds the setting that differs between two hosts that should share an address.

The digest of a peer's advert depends on the settings of that peer.  If we change one of
our settings and then compute the same digest, that setting differs.
"""

from collections.abc import Iterable
from enum import Enum

from carppcap.addresses import Address
from carppcap.election.config import VirtualHostConfig
from carppcap.wire import header
from carppcap.wire.auth import Verifier
from carppcap.wire.decode import TTL, Announcement, Datagram
from carppcap.wire.header import Advert


class Mismatch(Enum):
    """The setting that differs between us and the sender of an advert."""

    NONE = "none"
    VHID = "vhid"
    ADDRESS = "address"
    PASSWORD = "password"
    UNKNOWN = "unknown"


def is_signed_for_ours(config: VirtualHostConfig, advert: Advert) -> bool:
    """True if `advert` was signed with a password of ours for our addresses.

    If it nevertheless has another vhid or multicast group, or came in a family in which
    we have no address, one of the hosts is misconfigured.  A different group on the
    same segment would have signed different addresses.
    """
    return _fits(config, advert, config.vips)


def find_mismatch(
    config: VirtualHostConfig, advert: Advert, announced: Iterable[Announcement]
) -> tuple[Mismatch, tuple[Address, ...]]:
    """Return which setting differs, and the addresses that the sender has signed.

    If the setting is not ADDRESS, no addresses are returned.  `announced` are the
    gratuitous ARPs and neighbour advertisements that were seen.  Each announced address
    is tried alone.  Then all addresses that one MAC announced are tried together,
    because a BSD kernel signs all addresses of a vhid together.  Without a key the
    setting is UNKNOWN.
    """
    if config.key is None:
        return Mismatch.UNKNOWN, ()
    if _fits(config, advert, config.vips):
        other = advert.vhid != config.vhid
        return (Mismatch.VHID if other else Mismatch.NONE), ()
    by_mac: dict[bytes, set[Address]] = {}
    for announcement in announced:
        by_mac.setdefault(announcement.mac, set()).add(announcement.address)
    claimed = set().union(*by_mac.values())
    alone = ({address} for address in _sorted(claimed))
    for addresses in (*alone, *by_mac.values()):
        if _fits(config, advert, addresses):
            return Mismatch.ADDRESS, _sorted(addresses)
    if claimed.intersection(config.vips):
        # A host answers for our very address, so the address is right.
        return Mismatch.PASSWORD, ()
    return Mismatch.UNKNOWN, ()


def plausible_vhid(datagram: Datagram) -> int | None:
    """Return the vhid of a well-formed advert, whether or not its digest is right.

    Return None for anything else.
    """
    advert = header.decode(datagram.payload)
    if (
        advert is None
        or advert.vhid == 0
        or advert.version != header.VERSION
        or datagram.ttl != TTL
        or not datagram.header_ok
        or not header.has_valid_checksum(datagram.payload)
        or header.looks_like_vrrp(
            datagram.payload, datagram.source.packed, datagram.destination.packed
        )
        or header.is_vrrp_v2_with_seven_addresses(
            datagram.payload, datagram.source.packed
        )
    ):
        return None
    return advert.vhid


def _fits(config: VirtualHostConfig, advert: Advert, vips: Iterable[Address]) -> bool:
    if config.key is None:
        return False
    verifier = Verifier(
        config.key,
        advert.vhid,
        vips,
        config.link_address,
        second_key=config.second_key,
    )
    return verifier.find(advert.counter, advert.digest) is not None


def _sorted(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Return `addresses` in the order in which they are signed: IPv4 first."""
    return tuple(sorted(addresses, key=lambda address: (address.version, int(address))))
