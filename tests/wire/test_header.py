"""The 36 bytes of an advert, their checksum, and what tells them from VRRP."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carppcap.addresses import Address
from carppcap.wire import header as wire
from carppcap.wire.header import Advert
from tests.builders import (
    GROUP,
    GROUP6,
    HIGHER,
    HIGHER6,
    LOWER,
    LOWER6,
    advertisement,
    vrrp_v2,
    vrrp_v3,
)

DIGEST = bytes(range(20))
PLAIN = Advert(
    vhid=42, advbase=1, advskew=100, counter=0x0102030405060708, digest=DIGEST
)
PLAIN_BYTES = bytes.fromhex("212a640700016142") + bytes(range(1, 9)) + DIGEST

BYTE = st.integers(0, 255)
ADVERTS = st.builds(
    Advert,
    vhid=BYTE,
    advbase=BYTE,
    advskew=BYTE,
    counter=st.integers(0, 2**64 - 1),
    digest=st.binary(min_size=20, max_size=20),
    demotion=BYTE,
    authlen=BYTE,
    version=st.integers(0, 15),
    type=st.integers(0, 15),
)


def slow_checksum(data: bytes) -> int:
    """Return the checksum as RFC 1071 describes it: add words, fold, complement."""
    total = 0
    for index in range(0, len(data), 2):
        total += int.from_bytes(data[index : index + 2].ljust(2, b"\0"), "big")
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_encode_lays_out_the_header() -> None:
    """Each field in its place, the checksum over these bytes alone."""
    encoded = wire.encode(PLAIN)

    assert encoded[:6] + encoded[8:] == PLAIN_BYTES[:6] + PLAIN_BYTES[8:]
    assert slow_checksum(encoded) == 0
    assert int.from_bytes(encoded[6:8], "big") == slow_checksum(
        encoded[:6] + b"\0\0" + encoded[8:]
    )


@pytest.mark.parametrize(
    ("changes", "offset", "value"),
    [
        ({"version": 3}, 0, 0x31),
        ({"type": 2}, 0, 0x22),
        ({"vhid": 255}, 1, 255),
        ({"advskew": 240}, 2, 240),
        ({"authlen": 9}, 3, 9),
        ({"demotion": 32}, 4, 32),
        ({"advbase": 0}, 5, 0),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else "",
)
def test_every_byte_has_one_field(
    changes: dict[str, int], offset: int, value: int
) -> None:
    """Changing one field changes its own byte, and the checksum with it."""
    changed, plain = wire.encode(replace(PLAIN, **changes)), wire.encode(PLAIN)  # type: ignore[arg-type]

    differing = {i for i in range(36) if changed[i] != plain[i]}
    assert changed[offset] == value
    assert offset in differing
    assert differing <= {offset, 6, 7}


@given(ADVERTS, st.binary(max_size=12))
def test_round_trip(advert: Advert, trailing: bytes) -> None:
    """What was encoded is decoded, whatever stands behind it."""
    encoded = wire.encode(advert)

    assert len(encoded) == wire.HEADER_LENGTH == 36
    assert wire.has_valid_checksum(encoded)
    assert wire.decode(encoded + trailing) == advert


@given(st.binary(max_size=80))
def test_any_bytes_decode(payload: bytes) -> None:
    """36 bytes or more decode as an advert, valid or not; fewer do not."""
    decoded = wire.decode(payload)

    assert (decoded is None) == (len(payload) < 36)
    if decoded is not None:
        assert wire.encode(decoded)[8:36] == payload[8:36]


@given(st.binary(max_size=90))
@example(b"")
@example(b"\0\0")
@example(b"\xff\xff")
@example(b"\xff\xff\0")
@example(b"\x80")
def test_checksum_is_that_of_the_rfc(data: bytes) -> None:
    """The quick sum agrees with the slow one, odd lengths and zeros too."""
    assert wire.checksum(data) == slow_checksum(data)
    assert wire.checksum(bytearray(data)) == slow_checksum(data)


@given(ADVERTS, st.integers(0, 287))
def test_one_wrong_bit_is_seen(advert: Advert, bit: int) -> None:
    """No single bit can change without the checksum telling."""
    damaged = bytearray(wire.encode(advert))
    damaged[bit // 8] ^= 1 << bit % 8

    assert not wire.has_valid_checksum(bytes(damaged))


def test_checksum_over_header_or_over_all() -> None:
    """OpenBSD and ucarp sum the header, FreeBSD the whole payload."""
    header = wire.encode(PLAIN)
    bare = header[:6] + b"\0\0" + header[8:] + b"\xab\xcd"
    over_all = bare[:6] + slow_checksum(bare).to_bytes(2, "big") + bare[8:]

    assert wire.has_valid_checksum(header + b"\xab\xcd")
    assert wire.has_valid_checksum(over_all)
    assert slow_checksum(over_all[:36]) != 0


def looks_like_vrrp(
    payload: bytes, source: Address = LOWER, destination: Address = GROUP
) -> bool:
    return wire.looks_like_vrrp(payload, source.packed, destination.packed)


def is_vrrp_v2_with_seven(payload: bytes, source: Address = LOWER) -> bool:
    return wire.is_vrrp_v2_with_seven_addresses(payload, source.packed)


@pytest.mark.parametrize("count", [n for n in range(1, 21) if n != 7])
def test_vrrp_version_2(count: int) -> None:
    """With the authentication field, as routers send it, and without."""
    assert looks_like_vrrp(vrrp_v2(count))
    assert looks_like_vrrp(vrrp_v2(count, auth=b"secret\0\0"))
    assert looks_like_vrrp(vrrp_v2(count, auth=None))
    assert not is_vrrp_v2_with_seven(vrrp_v2(count))


@pytest.mark.parametrize("count", [n for n in range(1, 21) if n != 7])
@pytest.mark.parametrize("auth_type", [3, 4, 254, 255])
@pytest.mark.parametrize("length", [1, 8, 16, 20, 24, 28, 36])
def test_vrrp_version_2_with_authentication_of_a_vendor(
    count: int, auth_type: int, length: int
) -> None:
    """Cisco's MD5 is type 254 and longer than the field of the RFC."""
    assert looks_like_vrrp(vrrp_v2(count, auth=bytes(length), auth_type=auth_type))


@pytest.mark.parametrize("auth_type", [0, 1, 2])
def test_the_types_of_the_rfc_have_its_length(auth_type: int) -> None:
    """Anything else is no VRRP, and a length that does not fit."""
    assert not looks_like_vrrp(vrrp_v2(1, auth=bytes(24), auth_type=auth_type))


def test_vrrp_version_2_with_seven_addresses_stays_open() -> None:
    """44 bytes that begin as an advert does: the digest has to decide."""
    seven = vrrp_v2(7)
    of_cisco = vrrp_v2(7, auth=bytes(24), auth_type=254)

    assert not looks_like_vrrp(seven)
    assert not looks_like_vrrp(of_cisco)
    assert is_vrrp_v2_with_seven(seven)
    assert is_vrrp_v2_with_seven(of_cisco)
    assert is_vrrp_v2_with_seven(vrrp_v2(7, auth=b"secret\0\0"))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x31" + vrrp_v2(7)[1:], id="version"),
        pytest.param(vrrp_v2(6) + b"\0\0\0\0", id="count"),
        pytest.param(vrrp_v2(7)[:-4], id="short"),
        pytest.param(vrrp_v2(7) + b"\0\0", id="long"),
        pytest.param(vrrp_v2(7)[:-1] + b"\1", id="checksum"),
        pytest.param(wire.encode(PLAIN) + bytes(7), id="advert-with-seven-more"),
        pytest.param(wire.encode(PLAIN)[:-1] + bytes(9), id="advert-damaged"),
    ],
)
def test_not_vrrp_version_2_with_seven_addresses(payload: bytes) -> None:
    """Version, count, length and checksum all have to fit."""
    assert not is_vrrp_v2_with_seven(payload)


@pytest.mark.parametrize("count", range(1, 21))
def test_vrrp_version_3(count: int) -> None:
    """Seven addresses make 36 bytes: there the pseudo-header decides."""
    assert looks_like_vrrp(vrrp_v3(count))


def test_vrrp_version_3_may_be_summed_as_version_2_was() -> None:
    """Some routers leave the pseudo-header out; the length tells enough."""
    three = vrrp_v3(3)

    assert looks_like_vrrp(three[:6] + b"\0\0" + three[8:])


def test_vrrp_version_3_with_seven_addresses_needs_its_checksum() -> None:
    """Otherwise it is an advert of another version, and has to be said so."""
    seven = vrrp_v3(7)

    assert not looks_like_vrrp(seven[:-1] + b"\xff")
    assert not wire.looks_like_vrrp(seven, HIGHER.packed, GROUP.packed)
    assert not wire.looks_like_vrrp(seven, LOWER.packed, HIGHER.packed)
    assert not looks_like_vrrp(wire.encode(replace(PLAIN, version=3)))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(vrrp_v2(1)[:7], id="seven-bytes"),
        pytest.param(vrrp_v2(1)[:-1], id="short"),
        pytest.param(vrrp_v2(1) + b"\0", id="long"),
        pytest.param(vrrp_v3(1) + b"\0", id="version-3-long"),
        pytest.param(vrrp_v3(1)[:-1], id="version-3-short"),
        pytest.param(b"\x41" + vrrp_v2(1)[1:], id="version-4"),
        pytest.param(b"\x22" + vrrp_v2(1)[1:], id="type-2"),
        pytest.param(wire.encode(PLAIN), id="advert"),
        pytest.param(wire.encode(PLAIN) + bytes(8), id="advert-trailing"),
        pytest.param(wire.encode(PLAIN)[:-4], id="advert-cut"),
        pytest.param(wire.encode(replace(PLAIN, type=2)), id="advert-type-2"),
        pytest.param(wire.encode(replace(PLAIN, version=3)), id="advert-version-3"),
        *(
            pytest.param(
                wire.encode(replace(PLAIN, authlen=n)), id=f"advert-authlen-{n}"
            )
            for n in (0, 6, 8, 9, 255)
        ),
    ],
)
def test_not_vrrp(payload: bytes) -> None:
    """Neither another length than that of VRRP, nor an advert that ucarp accepts."""
    assert not looks_like_vrrp(payload)


@pytest.mark.parametrize("count", range(1, 21))
def test_vrrp_version_3_over_ipv6(count: int) -> None:
    """Addresses of 16 bytes, and a sum that covers those of the packet too."""
    body = vrrp_v3(count, source=LOWER6, destination=GROUP6)
    damaged = body[:-1] + bytes((body[-1] ^ 1,))

    assert looks_like_vrrp(body, LOWER6, GROUP6)
    assert not looks_like_vrrp(body[:-4], LOWER6, GROUP6)
    assert looks_like_vrrp(damaged, LOWER6, GROUP6) == (count != 7)
    assert looks_like_vrrp(body, HIGHER6, GROUP6) == (count != 7)
    assert wire.pseudo_checksum(LOWER6.packed + GROUP6.packed, 112, body) == 0
    assert wire.pseudo_checksum(HIGHER6.packed + GROUP6.packed, 112, body) != 0


@pytest.mark.parametrize("count", range(1, 21))
@pytest.mark.parametrize("auth", [b"", bytes(8)])
def test_vrrp_version_2_over_ipv6(count: int, auth: bytes) -> None:
    """No standard has it, but it is not an advert either."""
    head, listed = bytes((0x21, 7, 100, count, 0, 1)), bytes(16 * count) + auth
    total = wire.checksum(head + b"\0\0" + listed)
    body = head + total.to_bytes(2, "big") + listed

    assert looks_like_vrrp(body, LOWER6, GROUP6) == (count != 7)
    assert is_vrrp_v2_with_seven(body, LOWER6) == (count == 7 and auth != b"")
    assert not is_vrrp_v2_with_seven(body)


def test_the_sum_with_a_pseudo_header() -> None:
    """Of an odd length too; a neighbour advertisement has one that is known good."""
    packet = advertisement()
    addresses, message = packet[8:40], packet[40:]

    assert wire.pseudo_checksum(addresses, 58, message) == 0
    assert wire.pseudo_checksum(addresses, 58, message + b"\0") != 0
    assert wire.pseudo_checksum(addresses, 112, message) != 0


ROUTERS_V2 = st.builds(
    vrrp_v2,
    st.integers(1, 255),
    vrid=st.integers(1, 255),
    auth=st.none() | st.binary(min_size=8, max_size=8),
    auth_type=st.integers(0, 2),
) | st.builds(
    vrrp_v2,
    st.integers(1, 255),
    vrid=st.integers(1, 255),
    auth=st.none() | st.binary(max_size=64),
    auth_type=st.integers(3, 255),
)
"""All that RFC 3768 and its vendors have, also long after the limit of a frame."""


@given(ROUTERS_V2)
def test_a_router_is_always_taken_for_vrrp(payload: bytes) -> None:
    """Whatever its authentication; but 36 bytes with seven addresses are an advert."""
    is_open = is_vrrp_v2_with_seven(payload)

    assert looks_like_vrrp(payload) or is_open or payload[3] == len(payload) - 29 == 7
    assert is_open <= (payload[3] == 7)


@given(ADVERTS.map(lambda advert: replace(advert, version=2)))
def test_an_advert_with_another_authlen_may_be_one(advert: Advert) -> None:
    """No implementation sends such, but they would all obey it, and so do we."""
    payload = wire.encode(advert)
    is_like_vendor = advert.type == 1 and 0 < advert.authlen < 7 and advert.demotion > 2

    if not is_like_vendor and (advert.type, advert.authlen) not in ((1, 5), (1, 7)):
        assert not looks_like_vrrp(payload)
    assert not is_vrrp_v2_with_seven(payload)


@given(
    ADVERTS.map(lambda advert: replace(advert, version=2, authlen=7)),
    st.binary(max_size=40),
)
def test_an_advert_is_never_taken_for_vrrp(advert: Advert, trailing: bytes) -> None:
    """With the usual authlen, no trailing bytes make an advert VRRP."""
    assert not looks_like_vrrp(wire.encode(advert) + trailing)
    assert not looks_like_vrrp(wire.encode(advert) + trailing, LOWER6, GROUP6)


@given(st.binary(max_size=100))
def test_any_bytes_may_be_asked(payload: bytes) -> None:
    """Any bytes are accepted, and at most one of the two checks says VRRP."""
    assert not (looks_like_vrrp(payload) and is_vrrp_v2_with_seven(payload))
