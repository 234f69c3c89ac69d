"""Ethernet and IP addresses as the election and the wire use them."""

from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from carppcap.errors import ConfigError

Address = IPv4Address | IPv6Address

CARP_GROUP = IPv4Address("224.0.0.18")
"""The default destination of IPv4 adverts (assigned to VRRP; CARP uses it, too)."""

CARP_GROUP6 = IPv6Address("ff02::12")
"""The destination of multicast adverts over IPv6; no option changes it."""

ANY = IPv4Address("0.0.0.0")


class Family(Enum):
    """An address family.

    The order of the members matters: a host with addresses of both families sends its
    IPv4 advert first.
    """

    IPV4 = 4
    IPV6 = 6

    @classmethod
    def of(cls, address: Address) -> "Family":
        """Return the family of `address`."""
        return cls.IPV4 if address.version == 4 else cls.IPV6


BROADCAST_MAC = b"\xff" * 6


def parse_ipv4(text: str, what: str) -> IPv4Address:
    """Return the IPv4 address in `text`, which must be in dotted-quad form.

    Raises a `ConfigError` that names the option, `what`, for any other text.
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
    """Return the MAC from which ucarp sends adverts, 00:00:5e:00:00:vhid.

    BSD kernels send from another one (`kernel_mac`).  Receivers ignore the source MAC.
    """
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x00, vhid))


def kernel_mac(vhid: int) -> bytes:
    """Return the virtual MAC that BSD kernels use, 00:00:5e:00:01:vhid.

    It is the same for IPv4 and IPv6.
    """
    return bytes((0x00, 0x00, 0x5E, 0x00, 0x01, vhid))


def multicast_mac(group: Address) -> bytes:
    """Return the MAC to which frames for the multicast address `group` are sent.

    Its last bits are the low 23 bits of an IPv4 group (RFC 1112, 6.4), or the low 32
    bits of an IPv6 group (RFC 2464, 7).
    """
    if group.version == 6:
        return b"\x33\x33" + group.packed[-4:]
    low = int(group) & 0x7FFFFF
    return b"\x01\x00\x5e" + low.to_bytes(3, "big")


def tie_break(address: Address) -> int:
    """Return the rank that a source address has when two masters tie.

    If two masters have the same interval, the one with the lower rank stays master.
    ucarp compares addresses as words in memory.  On a little-endian host the last octet
    is then the most significant: 10.0.1.1 has a lower rank than 10.0.0.2.  With another
    order, carppcap and ucarp could both stay master.  carppcap therefore uses this
    order on every host.  It uses the same order for IPv6, which ucarp does not have.
    """
    return int.from_bytes(address.packed, "little")
