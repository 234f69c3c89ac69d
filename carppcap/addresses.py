"""Ethernet and IP addresses as the election and the wire use them."""

from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from carppcap.errors import ConfigError

Address = IPv4Address | IPv6Address

CARP_GROUP = IPv4Address("224.0.0.18")
"""Default destination of adverts (assigned to VRRP, shared by CARP)."""

CARP_GROUP6 = IPv6Address("ff02::12")
"""The only destination of multicast adverts in IPv6."""

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
    """Return the address that `text` spells, in dotted-quad form only.

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
    """Return ucarp's source MAC of adverts, 00:00:5e:00:00:vhid.

    Kernels use another (`kernel_mac`); receivers ignore both.
    """
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x00, vhid))


def kernel_mac(vhid: int) -> bytes:
    """Return the virtual MAC of the kernels, 00:00:5e:00:01:vhid, in both families."""
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x01, vhid))


def multicast_mac(group: Address) -> bytes:
    """Return the Ethernet group of an IP group.

    It ends in the low 23 bits of an IPv4 group (RFC 1112, 6.4) and in the low 32 bits
    of an IPv6 group (RFC 2464, 7).
    """
    if group.version == 6:
        return b"\x33\x33" + group.packed[-4:]
    low = int(group) & 0x7FFFFF
    return b"\x01\x00\x5e" + low.to_bytes(3, "big")


def tie_break(address: Address) -> int:
    """Return the rank of an address: of two equal masters the lower rank stays.

    ucarp compares the words as they lie in memory, so on a little-endian host the last
    octet decides first: 10.0.1.1 goes before 10.0.0.2.  Any other order would leave two
    masters next to a ucarp, so we use this one on every host, and in IPv6 too, which
    ucarp does not know.
    """
    return int.from_bytes(address.packed, "little")
