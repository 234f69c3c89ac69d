"""Announcements of both families, read and built, and the frames of adverts."""

from dataclasses import replace
from ipaddress import IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address
from carppcap.wire import decode as frames
from carppcap.wire import encode as frames_built
from carppcap.wire.decode import Announcement, Claim, Datagram, Defect, LinkType
from tests.builders import (
    GROUP,
    GROUP6,
    LOWER,
    LOWER6,
    NIC_MAC,
    VIP,
    VIP6,
    advertisement,
    ethernet,
)
from tests.wire.test_decode import (
    ADVERTISEMENT,
    ARP_BODY,
    BODY,
    EXPECTED,
    EXPECTED6,
    PLAIN,
    PRIORITY_TAG,
    TAG,
    ethernet6,
    sll,
    sll2,
)

ANNOUNCEMENT = ethernet(ARP_BODY, ethertype=0x0806)


@pytest.mark.parametrize(
    ("raw", "link_type"),
    [
        pytest.param(ANNOUNCEMENT, LinkType.ETHERNET, id="request"),
        pytest.param(ANNOUNCEMENT + bytes(18), LinkType.ETHERNET, id="padded"),
        pytest.param(
            ethernet(ARP_BODY, tags=PRIORITY_TAG, ethertype=0x0806),
            LinkType.ETHERNET,
            id="priority-tag",
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
    """A packet whose sender and target address are the same announces it."""
    assert frames.decode_announcement(raw, link_type) == Announcement(VIP, NIC_MAC)


SOURCE_ADDRESS = b"\1\1" + bytes(6)  # an option of no interest
PADDING = b"\x0e\3" + bytes(22)


@pytest.mark.parametrize(
    ("raw", "link_type"),
    [
        pytest.param(ethernet6(ADVERTISEMENT), LinkType.ETHERNET, id="usual"),
        pytest.param(ethernet6(ADVERTISEMENT) + bytes(9), LinkType.ETHERNET, id="pad"),
        pytest.param(
            ethernet6(ADVERTISEMENT, PRIORITY_TAG), LinkType.ETHERNET, id="tagged"
        ),
        pytest.param(sll(ADVERTISEMENT, 0x86DD), LinkType.LINUX_SLL, id="sll"),
        pytest.param(sll2(ADVERTISEMENT, 0x86DD), LinkType.LINUX_SLL2, id="sll2"),
        pytest.param(ADVERTISEMENT, LinkType.RAW, id="raw"),
        pytest.param(ADVERTISEMENT, LinkType.IPV6, id="ipv6"),
        pytest.param(
            ethernet6(advertisement(flags=0xA0)), LinkType.ETHERNET, id="router"
        ),
        pytest.param(
            ethernet6(advertisement(source=LOWER6)), LinkType.ETHERNET, id="by-another"
        ),
        pytest.param(
            ethernet6(
                advertisement(options=SOURCE_ADDRESS + PADDING + b"\2\1" + NIC_MAC)
            ),
            LinkType.ETHERNET,
            id="other-options",
        ),
    ],
)
def test_decode_neighbour_advertisement(raw: bytes, link_type: LinkType) -> None:
    """An unsolicited advertisement to all nodes announces its target."""
    assert frames.decode_announcement(raw, link_type) == Announcement(VIP6, NIC_MAC)


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(advertisement(flags=0x60), id="an-answer"),
        pytest.param(advertisement(destination=LOWER6), id="to-one"),
        pytest.param(advertisement(hop_limit=254), id="from-afar"),
        pytest.param(advertisement(kind=b"\x87\0"), id="a-question"),
        pytest.param(advertisement(kind=b"\x88\1"), id="code"),
        pytest.param(advertisement(sum_wrong_by=1), id="sum"),
        pytest.param(advertisement(next_header=112), id="protocol"),
        pytest.param(advertisement(options=b""), id="no-option"),
        pytest.param(advertisement(options=SOURCE_ADDRESS), id="no-such-option"),
        pytest.param(advertisement(options=b"\2\2" + bytes(14)), id="long-address"),
        pytest.param(advertisement(options=b"\2\1" + bytes(5)), id="short-option"),
        pytest.param(
            advertisement(options=bytes(8) + b"\2\1" + NIC_MAC), id="option-of-0"
        ),
        pytest.param(
            advertisement(options=b"\1\4" + bytes(6) + b"\2\1" + NIC_MAC),
            id="option-too-long",
        ),
        pytest.param(advertisement(target=IPv6Address("::")), id="unspecified"),
        pytest.param(advertisement(target=GROUP6, source=LOWER6), id="a-group"),
        pytest.param(advertisement(payload_length=23), id="length-23"),
        pytest.param(advertisement(payload_length=33), id="length-33"),
        pytest.param(b"\x50" + ADVERTISEMENT[1:], id="version-5"),
    ],
)
def test_not_a_neighbour_advertisement(packet: bytes) -> None:
    """Answers, other messages, and what a kernel would not believe either."""
    assert frames.decode_announcement(ethernet6(packet), LinkType.ETHERNET) is None
    assert frames.decode_announcement(packet, LinkType.IPV6) is None


def test_neighbour_advertisement_cut_at_every_byte() -> None:
    """A truncated advertisement is no announcement."""
    whole = ethernet6(ADVERTISEMENT)

    for length in range(len(whole)):
        assert frames.decode_announcement(whole[:length], LinkType.ETHERNET) is None


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
            id="unspecified",
        ),
        pytest.param(
            ethernet(ARP_BODY, tags=TAG, ethertype=0x0806),
            LinkType.ETHERNET,
            id="of-a-vlan",
        ),
        pytest.param(ethernet6(ADVERTISEMENT, TAG), LinkType.ETHERNET, id="vlan-6"),
        pytest.param(ANNOUNCEMENT[:-1], LinkType.ETHERNET, id="short"),
        pytest.param(ANNOUNCEMENT[:13], LinkType.ETHERNET, id="no-header"),
        pytest.param(PLAIN, LinkType.ETHERNET, id="an-advert"),
        pytest.param(ARP_BODY, LinkType.RAW, id="raw"),
        pytest.param(ethernet6(PLAIN[14:]), LinkType.ETHERNET, id="ipv4-as-ipv6"),
        pytest.param(ADVERTISEMENT, LinkType.IPV4, id="ipv6-as-ipv4"),
    ],
)
def test_not_an_announcement(raw: bytes, link_type: LinkType) -> None:
    """Ordinary questions, other hardware and fragments of ARP."""
    assert frames.decode_announcement(raw, link_type) is None


ASKING = arp_with(24, LOWER.packed)
REPLY = arp_with(6, b"\0\2" + NIC_MAC + VIP.packed + b"\2" * 6 + LOWER.packed)
TO_ONE = advertisement(destination=LOWER6)
SOLICITED = advertisement(flags=0x60, destination=LOWER6)


@pytest.mark.parametrize(
    ("raw", "address", "to_all"),
    [
        pytest.param(ANNOUNCEMENT, VIP, True, id="gratuitous"),
        pytest.param(ASKING, VIP, False, id="asks-for-another"),
        pytest.param(REPLY, VIP, False, id="replies"),
        pytest.param(ethernet6(ADVERTISEMENT), VIP6, True, id="unsolicited"),
        pytest.param(ethernet6(TO_ONE), VIP6, False, id="to-one-host"),
        pytest.param(ethernet6(SOLICITED), VIP6, False, id="solicited"),
    ],
)
def test_decode_claim(raw: bytes, address: Address, to_all: bool) -> None:
    """The sender of any ARP packet and of any advertisement claims the address."""
    claim = Claim(Announcement(address, NIC_MAC), to_all)

    assert frames.decode_claim(raw, LinkType.ETHERNET) == claim
    assert frames.decode_announcement(raw, LinkType.ETHERNET) == (
        claim.announcement if to_all else None
    )
    for length in range(len(raw)):
        assert frames.decode_claim(raw[:length], LinkType.ETHERNET) is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(arp_with(14, bytes(4)), id="probe"),
        pytest.param(ethernet(ARP_BODY, tags=TAG, ethertype=0x0806), id="of-a-vlan"),
        pytest.param(ethernet6(TO_ONE, TAG), id="advertisement-of-a-vlan"),
        pytest.param(ethernet6(advertisement(options=b"")), id="without-a-mac"),
        pytest.param(PLAIN, id="an-advert"),
    ],
)
def test_no_claim(raw: bytes) -> None:
    """A probe asks whether an address is free, and VLANs are not ours."""
    assert frames.decode_claim(raw, LinkType.ETHERNET) is None


def test_build_advert() -> None:
    """The frames equal those of ucarp byte for byte."""
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


def test_build_advert_ipv6() -> None:
    """The header is that of OpenBSD and NetBSD: class 0, hop limit 255."""
    built = frames_built.build_advert(
        source_mac=bytes.fromhex("00005e000107"),
        destination_mac=bytes.fromhex("333300000012"),
        source=LOWER6,
        destination=GROUP6,
        ip_id=0xABCD,
        payload=BODY,
    )

    assert (
        built
        == bytes.fromhex(
            "333300000012 00005e000107 86dd 60000000 0024 70 ff"
            "fd000001000000000000000000000004 ff020000000000000000000000000012"
        )
        + BODY
    )
    assert frames.decode(built, LinkType.ETHERNET) == EXPECTED6


def test_build_neighbour_advertisement() -> None:
    """It goes to all nodes, from the address itself, with the override flag."""
    built = frames_built.build_announcement(NIC_MAC, VIP6)

    assert built == bytes.fromhex("333300000001") + NIC_MAC + bytes.fromhex(
        "86dd"
    ) + advertisement(flags=0x20)


def test_a_router_says_so() -> None:
    """A router sets its flag: otherwise hosts would drop it as default router."""
    built = frames_built.build_announcement(NIC_MAC, VIP6, router=True)

    assert built[54:] == advertisement(flags=0xA0)[40:]


def test_the_name_of_the_interface_stays_here() -> None:
    """The zone of a link-local address (%eth0) is left out of the frame."""
    scoped, bare = IPv6Address("fe80::1%eth0"), IPv6Address("fe80::1")
    built = frames_built.build_announcement(NIC_MAC, scoped)
    fields = {"source_mac": NIC_MAC, "destination_mac": NIC_MAC, "payload": BODY}
    advert = frames_built.build_advert(
        source=scoped, destination=scoped, ip_id=0, **fields
    )
    datagram = frames.decode(advert, LinkType.ETHERNET)

    assert built == frames_built.build_announcement(NIC_MAC, bare)
    assert isinstance(datagram, Datagram)
    assert (datagram.source, datagram.destination) == (bare, bare)


def test_build_gratuitous_arp() -> None:
    """A broadcast request, our own hardware address in both places."""
    built = frames_built.build_announcement(NIC_MAC, VIP)

    assert built == bytes.fromhex(
        "ffffffffffff 0200000a0105 0806 "
        "0001080006040001 0200000a0105 0a0101fc 0200000a0105 0a0101fc"
    )


SIX_BYTES = st.binary(min_size=6, max_size=6)


@given(
    ip_id=st.integers(0, 0xFFFF),
    ends=st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4))
    | st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
    body=st.binary(max_size=64),
    mac=SIX_BYTES,
)
def test_what_is_built_can_be_read(
    ip_id: int, ends: tuple[Address, Address], body: bytes, mac: bytes
) -> None:
    """Every frame we build decodes to what was asked for, its sums good."""
    source, destination = ends
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
    assert source.version == 6 or built[18:20] == ip_id.to_bytes(2, "big")


@given(SIX_BYTES, st.ip_addresses())
def test_what_is_announced_can_be_read(mac: bytes, address: Address) -> None:
    """All but 0.0.0.0 and the groups of IPv6, which are no announcements."""
    built = frames_built.build_announcement(mac, address)
    is_group = address.version == 6 and address.is_multicast

    assert frames.decode_announcement(built, LinkType.ETHERNET) == (
        None if is_group or address.is_unspecified else Announcement(address, mac)
    )
    assert frames.decode(built, LinkType.ETHERNET) is Defect.FOREIGN
