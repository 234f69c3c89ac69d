"""Why two hosts that should share an address do not: which flag does not fit.

A digest proves what was signed.  Signing once more with one flag changed, and
finding the digest that is on the wire, therefore proves which flag is wrong.
"""

from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address

from carppcap.advert import Advert
from carppcap.auth import Authenticator
from carppcap.config import VirtualHostConfig


class Misfit(Enum):
    """The flag that differs between us and the sender of an advert."""

    NONE = "none"
    VHID = "vhid"
    ADDRESS = "address"
    PASSWORD = "password"
    UNKNOWN = "unknown"


def is_ours_under_other_vhid(config: VirtualHostConfig, advert: Advert) -> bool:
    """Whether `advert` was signed with our password for our addresses.

    Meant for an advert with another vhid, where it proves a misconfiguration: other
    groups on the same segment have other addresses.
    """
    return _fits(config, advert, config.vips)


def find_misfit(
    config: VirtualHostConfig, advert: Advert, announced: Iterable[IPv4Address]
) -> tuple[Misfit, IPv4Address | None]:
    """Which flag of ours an advert contradicts, and the address that would fit.

    `announced` are the addresses that gratuitous ARP packets were seen to claim: the
    candidates for the address the sender really has.
    """
    if _fits(config, advert, config.vips):
        other = advert.vhid != config.vhid
        return (Misfit.VHID if other else Misfit.NONE), None
    candidates = list(announced)
    for address in candidates:
        if _fits(config, advert, (address,)):
            return Misfit.ADDRESS, address
    if any(vip in candidates for vip in config.vips):
        # Somebody answers for our very address, so that much is right.
        return Misfit.PASSWORD, None
    return Misfit.UNKNOWN, None


def _fits(
    config: VirtualHostConfig, advert: Advert, vips: Iterable[IPv4Address]
) -> bool:
    if config.key is None:
        return False
    authenticator = Authenticator(config.key, advert.vhid, vips)
    return authenticator.verify(advert.counter, advert.digest)
