"""Ethernet and IP addresses as the election and the wire use them."""

from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from carppcap.errors import ConfigError

Address = IPv4Address | IPv6Address

CARP_GROUP = IPv4Address("224.0.0.18")
"""Where adverts go unless told otherwise (assigned to VRRP, shared by CARP)."""

CARP_GROUP6 = IPv6Address("ff02::12")
"""The same in IPv6, where nobody can be told otherwise."""

ANY = IPv4Address("0.0.0.0")


class Family(Enum):
    """An address family, in the order in which a group advertises in both."""

    IPV4 = 4
    IPV6 = 6

    @classmethod
    def of(cls, address: Address) -> "Family":
        """The family of `address`."""
        return cls.IPV4 if address.version == 4 else cls.IPV6


BROADCAST_MAC = b"\xff" * 6


def parse_ipv4(text: str, what: str) -> IPv4Address:
    """The address that `text` spells, in dotted-quad form only.

    `what` names the setting in the error.  Raises `ConfigError`.
    """
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise ConfigError(
            "Invalid address: [{text}] for {what} (allowed: an IPv4 address such "
            "as 10.1.1.252)",
            text=text,
            what=what,
        ) from None


def virtual_mac(vhid: int) -> bytes:
    """Source of our adverts: 00:00:5e:00:00:vhid, as the original sends them.

    Kernels use another (`kernel_mac`); receivers look at neither.
    """
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x00, vhid))


def kernel_mac(vhid: int) -> bytes:
    """The virtual MAC of the kernels, 00:00:5e:00:01:vhid, for both families."""
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x01, vhid))


def multicast_mac(group: Address) -> bytes:
    """The Ethernet group of an IP group.

    It ends in its low 23 bits for IPv4 (RFC 1112, 6.4), 32 for IPv6 (RFC 2464, 7).
    """
    if group.version == 6:
        return b"\x33\x33" + group.packed[-4:]
    low = int(group) & 0x7FFFFF
    return b"\x01\x00\x5e" + low.to_bytes(3, "big")


def tie_break(address: Address) -> int:
    """Rank among equals: of two masters with one interval the lower rank stays.

    The original compares the words as they lie in memory, so on a little-endian
    host the last octet decides first: 10.0.1.1 goes before 10.0.0.2.  Any other
    order on our side would leave two masters next to it, so we use this one on
    every host, and for IPv6 too, where the original has nothing to say.
    """
    return int.from_bytes(address.packed, "little")
