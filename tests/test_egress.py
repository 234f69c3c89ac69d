"""From actions to frames: signed, numbered, addressed."""

from ipaddress import IPv4Address
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.actions import AnnounceAddresses, SendAdvert
from carppcap.auth import Authenticator, Key
from carppcap.config import VirtualHostConfig
from carppcap.egress import Egress
from carppcap.events import AdvertReceived
from carppcap.frames import Announcement, LinkType, decode, decode_announcement
from carppcap.ingress import Accepted, Ingress
from tests.builders import HIGHER, LOWER, NIC_MAC, OURS, VIP, config


def egress(host: VirtualHostConfig) -> Egress:
    return Egress(host, NIC_MAC, count(0x1001).__next__)


def test_advert_as_the_original_sends_it() -> None:
    """Every byte of the frame, the digest apart, which has vectors of its own."""
    digest = Authenticator(Key(b"love"), 7, [VIP]).digest(0x1122334455667788)

    (frame,) = egress(config()).frames(SendAdvert(1, 100, 0x1122334455667788))

    head, body = frame[:34], frame[34:]
    assert head == bytes.fromhex(
        "01005e000012 00005e000007 0800 45100038 10014000 ff70 802c 0a010105 e0000012"
    )
    assert body[:6].hex() == "210764070001"
    assert body[8:] == bytes.fromhex("1122334455667788") + digest


@pytest.mark.parametrize(
    ("changes", "destination_mac", "destination"),
    [
        pytest.param({}, "01005e000012", "e0000012", id="default"),
        pytest.param({"multicast": False}, "ffffffffffff", "e0000012", id="nomcast"),
        pytest.param(
            {"group": IPv4Address("239.129.1.2")},
            "01005e010102",
            "ef810102",
            id="group",
        ),
    ],
)
def test_destination(
    changes: dict[str, Any], destination_mac: str, destination: str
) -> None:
    """With --nomcast only Ethernet broadcasts; the IP destination stays the group."""
    (frame,) = egress(config(**changes)).frames(SendAdvert(1, 0, 1))

    assert frame[:6].hex() == destination_mac
    assert frame[30:34].hex() == destination


def test_each_datagram_draws_an_ip_id() -> None:
    """One number for each advert, none for an announcement."""
    out = egress(config())
    ids = []
    for _ in range(3):
        (frame,) = out.frames(SendAdvert(1, 0, 1))
        out.frames(AnnounceAddresses())
        ids.append(int.from_bytes(frame[18:20], "big"))

    assert ids == [0x1001, 0x1002, 0x1003]


def test_announcement_names_the_interface() -> None:
    """One gratuitous ARP for each address, in their order, from the interface."""
    out = egress(config(vips=(VIP, LOWER, HIGHER)))

    announced = [
        decode_announcement(frame, LinkType.ETHERNET)
        for frame in out.frames(AnnounceAddresses())
    ]

    assert announced == [Announcement(vip, NIC_MAC) for vip in (VIP, LOWER, HIGHER)]


def test_the_interface_may_change_its_address() -> None:
    """The next announcement has the new one."""
    out = egress(config())
    out.nic_mac = bytes.fromhex("020000000099")

    (frame,) = out.frames(AnnounceAddresses())

    assert frame[6:12] == out.nic_mac
    assert decode_announcement(frame, LinkType.ETHERNET) == Announcement(
        VIP, out.nic_mac
    )


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**64 - 1),
    st.integers(1, 255),
)
def test_a_peer_reads_what_we_say(
    advbase: int, advskew: int, counter: int, vhid: int
) -> None:
    """Through the whole codec and the digest, farewells included."""
    (frame,) = egress(config(vhid=vhid)).frames(SendAdvert(advbase, advskew, counter))
    peer = Ingress([config(vhid=vhid, source=LOWER)])

    assert peer.judge(decode(frame, LinkType.ETHERNET)) == Accepted(
        vhid, AdvertReceived(OURS, advbase, advskew, counter)
    )


def test_without_a_password_the_shape_is_still_right() -> None:
    """A replay shows what would have been sent, which nobody can verify."""
    (frame,) = egress(config(key=None)).frames(SendAdvert(1, 0, 5))
    readers = {
        key: Ingress([config(source=LOWER, key=key)]) for key in (None, Key(b"love"))
    }
    datagram = decode(frame, LinkType.ETHERNET)
    accepted = [isinstance(r.judge(datagram), Accepted) for r in readers.values()]

    assert accepted == [True, False]
