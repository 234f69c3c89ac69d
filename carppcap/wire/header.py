"""The 36 bytes of a CARP advert, decoded and encoded (`struct carp_header`).

    0       1       2        3        4         5        6         8        16
    +-------+-------+--------+--------+---------+--------+---------+--------+------
    |ver|typ| vhid  |advskew |authlen |demotion |advbase |checksum |counter |digest
    +-------+-------+--------+--------+---------+--------+---------+--------+------

All numbers are big-endian.  The digest is an HMAC-SHA1 of 20 bytes (see `auth`).  The
checksum is that of RFC 1071 over these bytes, without a pseudo-header.  README.rst
describes the protocol.
"""

from dataclasses import dataclass
from struct import Struct

PROTOCOL = 112
"""The protocol number of CARP and VRRP, in IPv4 and as the next header in IPv6."""

VERSION = 2
TYPE_ADVERT = 1
TYPE_HINT = 2
"""The type of a hint, a message to a peer whose counters look old (see `replay_guard`).

Only carppcap sends it."""

TYPE_SOLICITATION = 3
"""The type of a solicitation, which asks the master for an advert (see README.rst).

Only carppcap sends and answers it."""

TYPES = (TYPE_ADVERT, TYPE_HINT, TYPE_SOLICITATION)

AUTHLEN = 7
"""The length of counter and digest in 32-bit words.

No CARP implementation checks it.  Here it helps to distinguish CARP from VRRP."""

BOW_OUT = 255
"""The advbase and the advskew of a farewell.

They state an interval of almost 256 s.  That is longer than the master-down interval of
any usual backup, so a backup takes over at once."""

_HEADER = Struct("!BBBBBBHQ20s")
HEADER_LENGTH = _HEADER.size
_CHECKSUM = slice(6, 8)

VRRP_V2_HEADER_LENGTH = 8
VRRP_V2_AUTH_LENGTH = 8
_VRRP_V2_AUTH_TYPE_MAX = 2
"""The greatest authentication type of RFC 2338; each of them has 8 bytes of data."""


@dataclass(frozen=True, slots=True)
class Advert:
    """The fields of one advert.

    vhid is 0..255, advbase 0..255 s, and advskew 0..255 in units of 1/256 s.  demotion
    is 0..255; only OpenBSD and carppcap send anything but 0.  counter has 64 bits, and
    digest has 20 bytes.
    """

    vhid: int
    advbase: int
    advskew: int
    counter: int
    digest: bytes
    demotion: int = 0
    authlen: int = AUTHLEN
    version: int = VERSION
    type: int = TYPE_ADVERT


def decode(payload: bytes) -> Advert | None:
    """Return the advert at the start of an IP payload, or None if it is too short.

    The values of the fields are not checked here, but by `ingress`.
    """
    if len(payload) < HEADER_LENGTH:
        return None
    first, vhid, advskew, authlen, demotion, advbase, _, counter, digest = (
        _HEADER.unpack_from(payload)
    )
    return Advert(
        vhid=vhid,
        advbase=advbase,
        advskew=advskew,
        counter=counter,
        digest=digest,
        demotion=demotion,
        authlen=authlen,
        version=first >> 4,
        type=first & 0x0F,
    )


def encode(advert: Advert) -> bytes:
    """Return the 36 bytes of `advert`, with the correct checksum."""
    header = bytearray(
        _HEADER.pack(
            advert.version << 4 | advert.type,
            advert.vhid,
            advert.advskew,
            advert.authlen,
            advert.demotion,
            advert.advbase,
            0,
            advert.counter,
            advert.digest,
        )
    )
    header[_CHECKSUM] = checksum(header).to_bytes(2, "big")
    return bytes(header)


def checksum(data: bytes | bytearray) -> int:
    """Return the Internet checksum of `data` (RFC 1071).

    It is 0 if `data` contains its own checksum and that checksum is correct.
    """
    total = int.from_bytes(bytes(data) + b"\0" * (len(data) % 2), "big")
    # The ones' complement sum of the 16-bit words is `total` modulo 65535, with one
    # exception: if that is 0, the sum is 65535 unless all words are zero.
    return -total % 0xFFFF if total else 0xFFFF


def has_valid_checksum(payload: bytes) -> bool:
    """True if the checksum is correct for the header or for the whole payload.

    If bytes follow the header, OpenBSD and ucarp sum only the 36 bytes of the header,
    and FreeBSD sums the whole IPv4 payload.
    """
    return checksum(payload[:HEADER_LENGTH]) == 0 or checksum(payload) == 0


def pseudo_checksum(addresses: bytes, protocol: int, payload: bytes) -> int:
    """Return the Internet checksum of `payload` and its pseudo-header.

    It is 0 if `payload` contains its own checksum and that checksum is correct.
    `addresses` are the bytes of source and destination.  The pseudo-headers of IPv4 and
    IPv6 differ in their layout, but not in their sum (RFC 793, 3.1; RFC 8200, 8.1).
    """
    protocol_and_length = bytes((0, protocol)) + len(payload).to_bytes(2, "big")
    return checksum(addresses + protocol_and_length + payload)


def looks_like_vrrp(payload: bytes, source: bytes, destination: bytes) -> bool:
    """True if an IP payload of protocol 112 is a VRRP advert rather than a CARP one.

    `source` and `destination` are the bytes of the IP addresses.  VRRP has the same
    protocol number and multicast group as CARP and, in version 2, the same first byte.
    Where CARP has `authlen`, which is always 7, VRRP has the number of its addresses,
    from which its length follows (RFC 3768, 5.1; RFC 5798, 5.1).  In version 2, an
    authentication type that no RFC defines, such as Cisco's MD5 (254), may add any
    number of bytes.

    A VRRP advert of version 2 with seven addresses looks like a CARP advert with bytes
    after it, and counts as CARP here.  If its CARP digest is wrong, `ingress` calls
    `is_vrrp_v2_with_seven_addresses`.
    """
    if len(payload) < VRRP_V2_HEADER_LENGTH:
        return False
    first, count = payload[0], payload[3]
    addresses_end = VRRP_V2_HEADER_LENGTH + len(source) * count
    if first == 0x21 and count not in (0, AUTHLEN):
        return len(payload) == addresses_end or _has_auth_data(payload, addresses_end)
    if first == 0x31 and len(payload) == addresses_end:
        return (
            count != AUTHLEN
            or pseudo_checksum(source + destination, PROTOCOL, payload) == 0
        )
    return False


def is_vrrp_v2_with_seven_addresses(payload: bytes, source: bytes) -> bool:
    """True if `payload` is a well-formed VRRP advert of version 2 with seven addresses.

    `looks_like_vrrp` cannot distinguish it from a CARP advert.  `source` holds the
    bytes of the source address.
    """
    addresses_end = VRRP_V2_HEADER_LENGTH + len(source) * AUTHLEN
    return (
        payload[:1] == b"\x21"
        and payload[3:4] == bytes((AUTHLEN,))
        and _has_auth_data(payload, addresses_end)
        and checksum(payload) == 0
    )


def _has_auth_data(payload: bytes, addresses_end: int) -> bool:
    """True if the length of a VRRP version 2 advert fits its authentication type.

    The types of RFC 2338 have 8 bytes of data after the addresses.  Any other type has
    at least one byte.
    """
    length = len(payload) - addresses_end
    is_of_rfc = payload[4] <= _VRRP_V2_AUTH_TYPE_MAX
    return length == VRRP_V2_AUTH_LENGTH or (length > 0 and not is_of_rfc)
