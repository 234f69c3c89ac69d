"""The 36 bytes of a CARP advert, decoded and encoded (`struct carp_header`).

    0       1       2        3        4         5        6         8        16
    +-------+-------+--------+--------+---------+--------+---------+--------+------
    |ver|typ| vhid  |advskew |authlen |demotion |advbase |checksum |counter |digest
    +-------+-------+--------+--------+---------+--------+---------+--------+------

All numbers are big-endian.  The digest is an HMAC-SHA1 of 20 bytes (see `auth`).  The
checksum is that of RFC 1071 over these bytes, without a pseudo-header.  README.rst has
the protocol facts.
"""

from dataclasses import dataclass
from struct import Struct

PROTOCOL = 112
"""CARP and VRRP: the protocol number of IPv4 and the next header of IPv6."""

VERSION = 2
TYPE_ADVERT = 1
TYPE_HINT = 2
"""carppcap's own message to a peer whose advert looks replayed (see `replay_guard`)."""

AUTHLEN = 7
"""Length of counter and digest in 32-bit words.

No implementation checks it; it distinguishes CARP from VRRP."""

BOW_OUT = 255
"""`advbase` and `advskew` of a farewell: an interval longer than any backup waits."""

_HEADER = Struct("!BBBBBBHQ20s")
HEADER_LENGTH = _HEADER.size
_CHECKSUM = slice(6, 8)

VRRP_V2_HEADER_LENGTH = 8
VRRP_V2_AUTH_LENGTH = 8
_VRRP_V2_AUTH_TYPE_MAX = 2
"""The last type of RFC 2338; all of them have authentication data of 8 bytes."""


@dataclass(frozen=True, slots=True)
class Advert:
    """The fields of one advert.

    vhid 0..255, advskew 0..255 (1/256 s), advbase 0..255 (s), demotion 0..255
    (OpenBSD; zero elsewhere), counter 64 bits, digest 20 bytes.
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
    """Return the advert at the start of an IP payload, None if that is too short.

    Only the length is checked here; `ingress` checks the rest.
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
    """Return the 36 bytes of `advert`, with the right checksum."""
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

    It is 0 if `data` contains its own checksum and that is right.
    """
    total = int.from_bytes(bytes(data) + b"\0" * (len(data) % 2), "big")
    # The ones' complement sum of the 16-bit words is the whole number modulo 65535,
    # except that only words which are all zero add up to zero, and others to 65535.
    return -total % 0xFFFF if total else 0xFFFF


def has_valid_checksum(payload: bytes) -> bool:
    """True if the checksum is right for the header or for the whole payload.

    Implementations differ about bytes after the header: OpenBSD and ucarp sum 36 bytes,
    FreeBSD the whole IPv4 payload.
    """
    return checksum(payload[:HEADER_LENGTH]) == 0 or checksum(payload) == 0


def pseudo_checksum(addresses: bytes, protocol: int, payload: bytes) -> int:
    """Return the checksum of `payload` with a pseudo-header; 0 if it has the right one.

    `addresses` are source and destination.  The pseudo-headers of the two families
    differ (RFC 793, 3.1; RFC 8200, 8.1), but their sums do not.
    """
    protocol_and_length = bytes((0, protocol)) + len(payload).to_bytes(2, "big")
    return checksum(addresses + protocol_and_length + payload)


def looks_like_vrrp(payload: bytes, source: bytes, destination: bytes) -> bool:
    """True if an IP payload of protocol 112 is a VRRP advert rather than a CARP one.

    VRRP shares the protocol number, the group and, in version 2, the first byte.  In
    place of `authlen` it has the number of its addresses, from which its length follows
    (RFC 3768, 5.1; RFC 5798, 5.1).  Types of authentication that no RFC has, such as
    254, the MD5 of Cisco, may add any number of bytes to version 2.  A version 2 advert
    with seven addresses may be a CARP advert with trailing bytes: it counts as CARP
    here, and `ingress` calls `is_vrrp_v2_with_seven_addresses` unless its digest is
    right.
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
    """True for the shape that `looks_like_vrrp` cannot tell from a CARP advert."""
    addresses_end = VRRP_V2_HEADER_LENGTH + len(source) * AUTHLEN
    return (
        payload[:1] == b"\x21"
        and payload[3:4] == bytes((AUTHLEN,))
        and _has_auth_data(payload, addresses_end)
        and checksum(payload) == 0
    )


def _has_auth_data(payload: bytes, addresses_end: int) -> bool:
    """True if a VRRP version 2 advert is as long as its authentication type says."""
    length = len(payload) - addresses_end
    is_of_rfc = payload[4] <= _VRRP_V2_AUTH_TYPE_MAX
    return length == VRRP_V2_AUTH_LENGTH or (length > 0 and not is_of_rfc)
