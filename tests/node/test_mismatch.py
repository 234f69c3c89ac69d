"""The flag that differs between us and the sender of an advert."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from carppcap.addresses import Address
from carppcap.election.config import VirtualHostConfig
from carppcap.node.mismatch import (
    Mismatch,
    find_mismatch,
    is_signed_for_ours,
    plausible_vhid,
)
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.decode import Announcement, Datagram
from carppcap.wire.header import Advert, decode
from tests.builders import (
    GROUP,
    GROUP6,
    LOWER,
    LOWER6,
    VIP,
    VIP6,
    config,
    payload,
    vrrp_v2,
    vrrp_v3,
)

MAC, OTHER_MAC = bytes.fromhex("00005e00012a"), bytes.fromhex("020000000001")
OTHER_VIP6, LINK_LOCAL = IPv6Address("fd00:1::9"), IPv6Address("fe80::9")
NINE, TEN = IPv4Address("10.1.1.9"), IPv4Address("10.1.1.10")


def advert(vhid: int = 7, password: bytes = b"love", vips: object = (VIP,)) -> Advert:
    sent = decode(payload(config(vhid=vhid, vips=vips), 5, password=password))
    assert sent is not None
    return sent


def signed_for_all(*vips: Address, link_address: bytes = b"") -> Advert:
    """Return an advert of a kernel that signs link-local addresses, or its MAC."""
    signer = Authenticator(Key(b"love"), 7, vips, link_address, link_local=True)
    return Advert(7, 1, 0, 5, signer.digest(5))


ALONE = [Announcement(NINE, OTHER_MAC), Announcement(VIP, MAC)]
TOGETHER = [
    Announcement(VIP, MAC),
    Announcement(TEN, OTHER_MAC),
    Announcement(NINE, MAC),
]


@pytest.mark.parametrize(
    ("host", "sent", "announced", "expected"),
    [
        pytest.param(config(), advert(), ALONE, (Mismatch.NONE, ()), id="none"),
        pytest.param(config(), advert(8), ALONE, (Mismatch.VHID, ()), id="vhid"),
        pytest.param(
            config(vips=(TEN,)),
            advert(),
            ALONE,
            (Mismatch.ADDRESS, (VIP,)),
            id="address",
        ),
        pytest.param(
            config(vips=()),
            advert(),
            ALONE,
            (Mismatch.ADDRESS, (VIP,)),
            id="no address",
        ),
        pytest.param(
            config(),
            advert(vips=(NINE, VIP)),
            TOGETHER,
            (Mismatch.ADDRESS, (NINE, VIP)),
            id="several addresses",
        ),
        pytest.param(
            config(),
            advert(vips=(VIP6, NINE, VIP)),
            [*TOGETHER, Announcement(VIP6, MAC)],
            (Mismatch.ADDRESS, (NINE, VIP, VIP6)),
            id="both families",
        ),
        pytest.param(
            config(vips=(VIP6,)),
            advert(vips=(OTHER_VIP6,)),
            [Announcement(VIP6, OTHER_MAC), Announcement(OTHER_VIP6, MAC)],
            (Mismatch.ADDRESS, (OTHER_VIP6,)),
            id="IPv6 address",
        ),
        pytest.param(
            config(vips=(VIP6,)),
            advert(vips=(VIP6, LINK_LOCAL)),
            [],
            (Mismatch.NONE, ()),
            id="a link-local address is not signed",
        ),
        pytest.param(
            config(vips=(VIP, LINK_LOCAL)),
            signed_for_all(VIP, LINK_LOCAL),
            [],
            (Mismatch.NONE, ()),
            id="nor missed where it is",
        ),
        pytest.param(
            config(link_address=MAC),
            signed_for_all(VIP, link_address=MAC),
            [],
            (Mismatch.NONE, ()),
            id="a MAC set by hand",
        ),
        pytest.param(
            config(),
            advert(password=b"hate"),
            ALONE,
            (Mismatch.PASSWORD, ()),
            id="password",
        ),
        pytest.param(
            config(vips=(TEN,)),
            advert(password=b"hate"),
            ALONE,
            (Mismatch.UNKNOWN, ()),
            id="password and address",
        ),
        pytest.param(
            config(vips=(TEN,)),
            advert(),
            [],
            (Mismatch.UNKNOWN, ()),
            id="no candidates",
        ),
        pytest.param(
            config(key=None), advert(), ALONE, (Mismatch.UNKNOWN, ()), id="no key"
        ),
    ],
)
def test_find_mismatch(
    host: VirtualHostConfig,
    sent: Advert,
    announced: list[Announcement],
    expected: tuple[Mismatch, tuple[Address, ...]],
) -> None:
    """The flag is named with which the digest of the advert comes out."""
    assert find_mismatch(host, sent, announced) == expected


def test_is_signed_for_ours_with_another_vhid() -> None:
    """True only with our password and our addresses."""
    assert is_signed_for_ours(config(), advert(8))
    assert not is_signed_for_ours(config(), advert(8, b"hate"))
    assert not is_signed_for_ours(config(), advert(8, vips=(NINE,)))
    assert not is_signed_for_ours(config(key=None), advert(8))


BODY = payload(config(), 5)


@pytest.mark.parametrize(
    ("datagram", "expected"),
    [
        pytest.param(Datagram(LOWER, GROUP, 255, True, BODY), 7, id="advert"),
        pytest.param(
            Datagram(LOWER, GROUP, 255, True, payload(config(), 5, password=b"x")),
            7,
            id="any password",
        ),
        pytest.param(Datagram(LOWER, NINE, 255, True, BODY), 7, id="any group"),
        pytest.param(Datagram(LOWER, GROUP, 254, True, BODY), None, id="ttl"),
        pytest.param(Datagram(LOWER, GROUP, 255, False, BODY), None, id="IP sum"),
        pytest.param(
            Datagram(LOWER, GROUP, 255, True, BODY[:-1] + b"?"), None, id="sum"
        ),
        pytest.param(Datagram(LOWER, GROUP, 255, True, BODY[:35]), None, id="length"),
        pytest.param(
            Datagram(LOWER, GROUP, 255, True, payload(config(), 5, version=3)),
            None,
            id="version",
        ),
        pytest.param(
            Datagram(LOWER, GROUP, 255, True, payload(config(), 5, vhid=0)),
            None,
            id="vhid 0",
        ),
        pytest.param(
            Datagram(LOWER, GROUP, 255, True, vrrp_v2(1)), None, id="VRRP 2, short"
        ),
        pytest.param(Datagram(LOWER, GROUP, 255, True, vrrp_v2(8)), None, id="VRRP 2"),
        pytest.param(
            Datagram(LOWER, GROUP, 255, True, vrrp_v2(7)), None, id="VRRP 2, like ours"
        ),
        pytest.param(Datagram(LOWER, GROUP, 255, True, vrrp_v3(8)), None, id="VRRP 3"),
        pytest.param(Datagram(LOWER6, GROUP6, 255, True, BODY), 7, id="IPv6"),
        pytest.param(
            Datagram(
                LOWER6,
                GROUP6,
                255,
                True,
                vrrp_v3(8, source=LOWER6, destination=GROUP6),
            ),
            None,
            id="VRRP 3 over IPv6",
        ),
    ],
)
def test_plausible_vhid(datagram: Datagram, expected: int | None) -> None:
    """It is None unless all checks but that of the digest are passed."""
    assert plausible_vhid(datagram) == expected


def test_a_key_of_20_bytes() -> None:
    """Kernels can have one; a password has 19 bytes at most."""
    host = config(key=Key(b"k" * 20))
    signer = Authenticator(Key(b"k" * 20), 8, (VIP,))

    sent = Advert(8, 1, 0, 5, signer.digest(5))

    assert find_mismatch(host, sent, []) == (Mismatch.VHID, ())
