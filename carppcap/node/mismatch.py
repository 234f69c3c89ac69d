"""Why two hosts that should share an address do not: which flag does not fit.

A digest proves what was signed.  Signing once more with one flag changed, and
finding the digest that is on the wire, therefore proves which flag is wrong.
"""

from collections.abc import Iterable
from enum import Enum

from carppcap.addresses import Address
from carppcap.election.config import VirtualHostConfig
from carppcap.wire import header as wire
from carppcap.wire.auth import Verifier
from carppcap.wire.decode import TTL, Announcement, Datagram
from carppcap.wire.header import Advert


class Misfit(Enum):
    """The flag that differs between us and the sender of an advert."""

    NONE = "none"
    VHID = "vhid"
    ADDRESS = "address"
    PASSWORD = "password"
    UNKNOWN = "unknown"


def is_signed_for_ours(config: VirtualHostConfig, advert: Advert) -> bool:
    """Whether `advert` was signed with our password for our addresses.

    Of an advert with another vhid, to another multicast group, or of a family in which
    we have no address, this proves a misconfiguration: other groups on the same segment
    have other addresses.
    """
    return _fits(config, advert, config.vips)


def find_misfit(
    config: VirtualHostConfig, advert: Advert, announced: Iterable[Announcement]
) -> tuple[Misfit, tuple[Address, ...]]:
    """Which flag of ours an advert contradicts, and the addresses that would fit.

    `announced` is what was seen of announcements.  What they claim are candidates
    for what the sender signed: one address, or all that one MAC claims, as a kernel
    does for the addresses of a vhid.  Without a key nothing can be proved.
    """
    if config.key is None:
        return Misfit.UNKNOWN, ()
    if _fits(config, advert, config.vips):
        other = advert.vhid != config.vhid
        return (Misfit.VHID if other else Misfit.NONE), ()
    by_mac: dict[bytes, set[Address]] = {}
    for announcement in announced:
        by_mac.setdefault(announcement.mac, set()).add(announcement.address)
    claimed = set().union(*by_mac.values())
    alone = ({address} for address in _sorted(claimed))
    for addresses in (*alone, *by_mac.values()):
        if _fits(config, advert, addresses):
            return Misfit.ADDRESS, _sorted(addresses)
    if claimed.intersection(config.vips):
        # Somebody answers for our very address, so that much is right.
        return Misfit.PASSWORD, ()
    return Misfit.UNKNOWN, ()


def plausible_vhid(datagram: Datagram) -> int | None:
    """The vhid of what anybody would take for an advert, but for its digest."""
    advert = wire.decode(datagram.payload)
    if (
        advert is None
        or advert.vhid == 0
        or advert.version != wire.VERSION
        or datagram.ttl != TTL
        or not datagram.header_ok
        or not wire.has_valid_checksum(datagram.payload)
        or wire.looks_like_vrrp(
            datagram.payload, datagram.source.packed, datagram.destination.packed
        )
        or wire.is_vrrp_v2_with_seven_addresses(
            datagram.payload, datagram.source.packed
        )
    ):
        return None
    return advert.vhid


def _fits(config: VirtualHostConfig, advert: Advert, vips: Iterable[Address]) -> bool:
    if config.key is None:
        return False
    verifier = Verifier(config.key, advert.vhid, vips, config.link_address)
    return verifier.find(advert.counter, advert.digest) is not None


def _sorted(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """As they are signed: IPv4 first."""
    return tuple(sorted(addresses, key=lambda address: (address.version, int(address))))
