"""Gratuitous ARP, read and built, and the frames of adverts."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap import frames, frames_built
from carppcap.frames import Announcement, Datagram, LinkType
from tests.builders import GROUP, LOWER, NIC_MAC, VIP, ethernet
from tests.test_frames import ARP_BODY, BODY, EXPECTED, PLAIN, TAG, sll, sll2

ANNOUNCEMENT = ethernet(ARP_BODY, ethertype=0x0806)


@pytest.mark.parametrize(
    ("raw", "link_type"),
    [
        pytest.param(ANNOUNCEMENT, LinkType.ETHERNET, id="request"),
        pytest.param(ANNOUNCEMENT + bytes(18), LinkType.ETHERNET, id="padded"),
        pytest.param(
            ethernet(ARP_BODY, tags=TAG, ethertype=0x0806),
            LinkType.ETHERNET,
            id="tagged",
        ),
        pytest.param(
            ANNOUNCEMENT[:21] + b"\2" + ANNOUNCEMENT[22:], LinkType.ETHERNET, id="reply"
        ),
        pytest.param(
            ANNOUNCEMENT[:32] + bytes(6) + ANNOUNCEMENT[38:],
            LinkType.ETHERNET,
            id="kernel-without-target",
        ),
        pytest.param(sll(ARP_BODY, 0x0806), LinkType.LINUX_SLL, id="sll"),
        pytest.param(sll2(ARP_BODY, 0x0806), LinkType.LINUX_SLL2, id="sll2"),
    ],
)
def test_decode_announcement(raw: bytes, link_type: LinkType) -> None:
    """Sender and target address are one: somebody says where it lives now."""
    assert frames.decode_announcement(raw, link_type) == Announcement(VIP, NIC_MAC)


def arp_with(offset: int, value: bytes) -> bytes:
    body = ARP_BODY[:offset] + value + ARP_BODY[offset + len(value) :]
    return ethernet(body, ethertype=0x0806)


@pytest.mark.parametrize(
    ("raw", "link_type"),
    [
        pytest.param(arp_with(0, b"\0\6"), LinkType.ETHERNET, id="hardware"),
        pytest.param(arp_with(2, b"\x86\xdd"), LinkType.ETHERNET, id="protocol"),
        pytest.param(arp_with(4, b"\7"), LinkType.ETHERNET, id="hardware-length"),
        pytest.param(arp_with(5, b"\5"), LinkType.ETHERNET, id="protocol-length"),
        pytest.param(arp_with(24, LOWER.packed), LinkType.ETHERNET, id="a-question"),
        pytest.param(
            arp_with(24, bytes(4))[:28] + bytes(4) + arp_with(24, bytes(4))[32:],
            LinkType.ETHERNET,
            id="nobody",
        ),
        pytest.param(ANNOUNCEMENT[:-1], LinkType.ETHERNET, id="short"),
        pytest.param(ANNOUNCEMENT[:13], LinkType.ETHERNET, id="no-header"),
        pytest.param(PLAIN, LinkType.ETHERNET, id="an-advert"),
        pytest.param(ARP_BODY, LinkType.RAW, id="raw"),
    ],
)
def test_not_an_announcement(raw: bytes, link_type: LinkType) -> None:
    """Ordinary questions, other hardware and fragments of ARP."""
    assert frames.decode_announcement(raw, link_type) is None


def test_build_advert() -> None:
    """Byte for byte what the original puts on the wire."""
    built = frames_built.build_advert(
        source_mac=bytes.fromhex("00005e000007"),
        destination_mac=bytes.fromhex("01005e000012"),
        source=LOWER,
        destination=GROUP,
        ip_id=0xABCD,
        payload=BODY,
    )

    assert (
        built
        == bytes.fromhex(
            "01005e000012 00005e000007 0800 "
            "45100038 abcd4000 ff70 e460 0a010104 e0000012"
        )
        + BODY
    )
    decoded = frames.decode(built, LinkType.ETHERNET)
    assert decoded == replace(EXPECTED, source_mac=bytes.fromhex("00005e000007"))


def test_build_gratuitous_arp() -> None:
    """A broadcast request, our own hardware address in both places."""
    built = frames_built.build_announcement(NIC_MAC, VIP)

    assert built == bytes.fromhex(
        "ffffffffffff 0200000a0105 0806 "
        "0001080006040001 0200000a0105 0a0101fc 0200000a0105 0a0101fc"
    )


@given(
    st.integers(0, 0xFFFF),
    st.ip_addresses(v=4),
    st.ip_addresses(v=4),
    st.binary(max_size=64),
    st.binary(min_size=6, max_size=6),
)
def test_what_is_built_can_be_read(
    ip_id: int,
    source: IPv4Address,
    destination: IPv4Address,
    body: bytes,
    mac: bytes,
) -> None:
    """Every frame we build decodes to what was asked for, its sums good."""
    built = frames_built.build_advert(
        source_mac=mac,
        destination_mac=mac,
        source=source,
        destination=destination,
        ip_id=ip_id,
        payload=body,
    )

    assert frames.decode(built, LinkType.ETHERNET) == Datagram(
        source, destination, 255, True, body, mac
    )
    assert built[18:20] == ip_id.to_bytes(2, "big")


@given(st.binary(min_size=6, max_size=6), st.ip_addresses(v=4))
def test_what_is_announced_can_be_read(mac: bytes, address: IPv4Address) -> None:
    """But for 0.0.0.0, which announces nobody."""
    built = frames_built.build_announcement(mac, address)

    assert frames.decode_announcement(built, LinkType.ETHERNET) == (
        Announcement(address, mac) if int(address) else None
    )
