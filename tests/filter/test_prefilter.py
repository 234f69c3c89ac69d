"""The prefilter rejects no frame that the node would accept."""

from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.election.config import VirtualHostConfig
from carppcap.filter.prefilter import ForgeryTest
from carppcap.node.ingress import Ingress
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.decode import LinkType, decode
from tests.builders import LOWER, PASSWORD, VIP, config, ethernet, ipv4, payload
from tests.filter.test_bpf import LOWER6, OURS6, VIP6, ipv6

HOST = config(source6=OURS6, vips=(VIP, VIP6, IPv6Address("fe80::fc")))
PEER = config(source=LOWER, source6=LOWER6, vips=HOST.vips)
BODY = payload(PEER)
FORGED = payload(PEER, digest=bytes(20))
HINT = b"\x22" + FORGED[1:]
REAL_MAC = bytes.fromhex("02f100d00001")


def v4(body: bytes, **changes: bytes) -> bytes:
    return ethernet(ipv4(body, **changes))  # type: ignore[arg-type]


def v6(body: bytes, protocol: int = 112) -> bytes:
    return ethernet(ipv6(body, protocol=protocol), ethertype=0x86DD)


@pytest.mark.parametrize(
    ("frame", "is_forged"),
    [
        (v4(BODY), False),
        (v6(BODY), False),
        (v4(FORGED), True),
        (v6(FORGED), True),
        (v4(FORGED + bytes(10)), True),
        (v4(FORGED).replace(bytes.fromhex("00005e000107"), REAL_MAC), True),
        (v4(payload(PEER, password=b"hate")), True),
        (v4(FORGED, options=bytes(4)), False),
        (v6(FORGED, protocol=0), False),
        (v4(HINT), False),
        (v4(payload(PEER, vhid=8)), False),
        (v4(FORGED)[:68], True),
        (v4(FORGED)[:35], False),
        (ethernet(ipv4(FORGED), ethertype=0x8100), False),
        (b"", False),
    ],
)
def test_a_frame(frame: bytes, is_forged: bool) -> None:
    """A usual advert of our group is forged if its digest is wrong."""
    assert ForgeryTest([HOST]).is_forged(frame) is is_forged


def test_a_second_password() -> None:
    """What is signed with it is not forged."""
    host = config(key=Key(b"new"), second_key=Key(PASSWORD))
    body = payload(config(source=LOWER))

    assert not ForgeryTest([host]).is_forged(v4(body))
    assert ForgeryTest([config(key=Key(b"new"))]).is_forged(v4(body))


def test_without_a_password() -> None:
    """No frame is forged where digests are not checked."""
    assert not ForgeryTest([config(key=None)]).is_forged(v4(FORGED))


@pytest.mark.parametrize("mac", [REAL_MAC, bytes.fromhex("02f100d00002")])
def test_openbsd_with_a_mac_set_by_hand(mac: bytes) -> None:
    """OpenBSD signs such a MAC, and sends from it."""
    signer = Authenticator(Key(PASSWORD), PEER.vhid, PEER.vips, mac)
    frame = v4(payload(PEER, digest=signer.digest(1)))
    test = ForgeryTest([HOST])

    assert not test.is_forged(frame.replace(bytes.fromhex("00005e000107"), mac))
    assert test.is_forged(frame)


HOSTS = [HOST, config(), config(vips=(VIP6,), source=None, source6=OURS6)]


@given(
    host=st.sampled_from(HOSTS),
    body=st.sampled_from((BODY, FORGED, HINT)),
    family=st.sampled_from((4, 6)),
    place=st.integers(0, 89),
    value=st.integers(0, 255),
)
def test_what_is_forged_is_never_accepted(
    host: VirtualHostConfig, body: bytes, family: int, place: int, value: int
) -> None:
    """Whatever byte of the frame is changed."""
    frame = bytearray(v4(body) if family == 4 else v6(body))
    frame[min(place, len(frame) - 1)] = value
    verdict = Ingress([host]).check(decode(bytes(frame), LinkType.ETHERNET))

    if isinstance(verdict, tuple):
        assert not ForgeryTest([host]).is_forged(bytes(frame))


def test_many_groups() -> None:
    """Each vhid has its own addresses; an unknown one is judged elsewhere."""
    one, other = config(vhid=1), config(vhid=2, vips=(LOWER,))
    test = ForgeryTest([one, other])

    assert not test.is_forged(v4(payload(one)))
    assert not test.is_forged(v4(payload(other)))
    assert test.is_forged(v4(payload(config(vhid=2))))
    assert not test.is_forged(v4(payload(config(vhid=3))))
