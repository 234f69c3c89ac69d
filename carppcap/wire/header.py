"""The 36 bytes of a CARP advert, to and from a value (`struct carp_header`).

    0       1       2        3        4         5        6         8        16
    +-------+-------+--------+--------+---------+--------+---------+--------+------
    |ver|typ| vhid  |advskew |authlen |demotion |advbase |checksum |counter |digest
    +-------+-------+--------+--------+---------+--------+---------+--------+------

All numbers are big-endian.  The digest is 20 bytes of HMAC-SHA1 (see `auth`), the
checksum that of RFC 1071 over these bytes alone, without a pseudo-header.
"""

from dataclasses import dataclass
from struct import Struct

PROTOCOL = 112
"""The number over IP that CARP shares with VRRP."""

VERSION = 2
TYPE_ADVERT = 1
TYPE_HINT = 2
"""Ours alone: what a peer is told whose advert looks old (see `guard`)."""

AUTHLEN = 7
"""Counter and digest in 32-bit words.  Nobody checks it; it tells us from VRRP."""

BOW_OUT = 255
"""`advbase` and `advskew` of a farewell: slower than any backup would wait for."""

_HEADER = Struct("!BBBBBBHQ20s")
HEADER_LENGTH = _HEADER.size
_CHECKSUM = slice(6, 8)

VRRP_V2_HEADER_LENGTH = 8
VRRP_V2_AUTH_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Advert:
    """One advert as it was on the wire.

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
    """The advert at the start of an IP payload, or None where it is too short.

    Nothing but the length is judged here; `ingress` does that, in its order.
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
    """The 36 bytes of `advert`, with a correct checksum."""
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
    """Internet checksum of `data` (RFC 1071); 0 if a correct one is part of it."""
    padded = bytes(data) + b"\0" if len(data) % 2 else bytes(data)
    # The sum of 16-bit words in ones' complement is the number modulo 65535, except
    # that a sum of words that is not zero folds to 65535 and never to zero.
    total = int.from_bytes(padded, "big")
    folded = total % 0xFFFF
    if folded == 0 and total != 0:
        folded = 0xFFFF
    return ~folded & 0xFFFF


def has_valid_checksum(payload: bytes) -> bool:
    """Whether the header, or the whole payload, sums up.

    Kernels disagree about bytes behind the header: OpenBSD and the original sum 36
    bytes, FreeBSD everything, so either will do.
    """
    return checksum(payload[:HEADER_LENGTH]) == 0 or checksum(payload) == 0


def pseudo_checksum(addresses: bytes, protocol: int, payload: bytes) -> int:
    """Sum of `payload` as most protocols want it, though not CARP; 0 if it is correct.

    `addresses` are source and destination, of either family.  The headers that are
    made up for the purpose differ (RFC 793, 3.1; RFC 8200, 8.1), but not their sums.
    """
    protocol_and_length = bytes((0, protocol)) + len(payload).to_bytes(2, "big")
    return checksum(addresses + protocol_and_length + payload)


def looks_like_vrrp(payload: bytes, source: bytes, destination: bytes) -> bool:
    """Whether an IP payload of protocol 112 is a VRRP advert rather than a CARP one.

    VRRP shares the number, the group and, in version 2, the very first byte.  It
    says how many addresses it carries in the byte where CARP has `authlen`, so its
    length gives it away (RFC 3768, 5.1; RFC 5798, 5.1).  A version 2 advert with
    seven addresses, 44 bytes in IPv4, may be ours with stray bytes behind it: it is
    not called VRRP here, and `ingress` asks again when the digest does not fit.
    """
    if len(payload) < VRRP_V2_HEADER_LENGTH:
        return False
    first, count = payload[0], payload[3]
    addresses_end = VRRP_V2_HEADER_LENGTH + len(source) * count
    if first == 0x21 and count != AUTHLEN:
        return len(payload) in (addresses_end, addresses_end + VRRP_V2_AUTH_LENGTH)
    if first == 0x31 and len(payload) == addresses_end:
        return (
            count != AUTHLEN
            or pseudo_checksum(source + destination, PROTOCOL, payload) == 0
        )
    return False


def is_vrrp_v2_with_seven_addresses(payload: bytes, source: bytes) -> bool:
    """The one shape `looks_like_vrrp` leaves open until the digest was tried."""
    addresses_end = VRRP_V2_HEADER_LENGTH + len(source) * AUTHLEN
    return (
        payload[:1] == b"\x21"
        and payload[3:4] == bytes((AUTHLEN,))
        and len(payload) == addresses_end + VRRP_V2_AUTH_LENGTH
        and checksum(payload) == 0
    )
