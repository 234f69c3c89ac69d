"""The frames that actions become: their addresses, digests and numbers."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import BROADCAST_MAC, Address, Family, multicast_mac
from carppcap.election.actions import (
    AnnounceAddresses,
    SendAdvert,
    SendHint,
    SendSolicitation,
    State,
)
from carppcap.election.config import SourceMac, VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.egress import Egress
from carppcap.node.groups import GroupEvent, Step
from carppcap.node.ingress import (
    HintReceived,
    Ingress,
    Rejection,
    SolicitationReceived,
)
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.decode import (
    Announcement,
    Datagram,
    LinkType,
    decode,
    decode_announcement,
)
from tests.builders import (
    GROUP,
    GROUP6,
    HIGHER,
    LOWER,
    LOWER6,
    NIC_MAC,
    OURS,
    OURS6,
    VIP,
    VIP6,
    config,
    ns,
)

BOTH = config(source6=OURS6, vips=(VIP, VIP6))
VIRTUAL_MAC, KERNEL_MAC = "00005e000007", "00005e000107"
PEER_MAC, ROUTER_MAC = bytes.fromhex("020000000004"), bytes.fromhex("0200000000fe")
AFAR = IPv4Address("192.0.2.7")


def egress(host: VirtualHostConfig) -> Egress:
    return Egress(host, NIC_MAC, count(0x1001).__next__)


def step(event: GroupEvent, second: int = 0, *, refused: bool = False) -> Step:
    """Return a step with a message that was received at `second`."""
    at = ns(second)
    return Step(at, "eth0", 7, event, (), State.BACKUP, None, refused=refused)


def test_an_advert_has_the_bytes_that_ucarp_sends() -> None:
    """Compare every byte except the digest, which tests/wire/test_auth.py compares."""
    digest = Authenticator(Key(b"love"), 7, [VIP]).digest(0x1122334455667788)

    (frame,) = egress(config()).frames(SendAdvert(1, 100, 0x1122334455667788), 0)

    head, body = frame[:34], frame[34:]
    assert head == bytes.fromhex(
        "01005e000012 00005e000007 0800 45100038 10014000 ff70 802c 0a010105 e0000012"
    )
    assert body[:6].hex() == "210764070001"
    assert body[8:] == bytes.fromhex("1122334455667788") + digest


def test_an_advert_over_ipv6() -> None:
    """It goes to the IPv6 group; its digest covers the addresses of both families."""
    digest = Authenticator(Key(b"love"), 7, [VIP6, VIP]).digest(5)

    (frame,) = egress(BOTH).frames(
        SendAdvert(1, 100, 5, demotion=33, family=Family.IPV6), 0
    )

    assert frame[:54] == bytes.fromhex(
        "333300000012 00005e000007 86dd 60000000 0024 70 ff"
        "fd000001000000000000000000000005 ff020000000000000000000000000012"
    )
    assert frame[54:60].hex() == "210764072101"
    assert frame[62:] == (5).to_bytes(8, "big") + digest


def test_adverts_of_both_families_have_the_same_payload() -> None:
    """Nothing in the 36 bytes of an advert depends on its family."""
    over_ipv4, over_ipv6 = (
        egress(BOTH).frames(SendAdvert(1, 0, 5, family=family), 0)[0]
        for family in Family
    )

    assert over_ipv4[34:] == over_ipv6[54:]
    assert over_ipv4[34:].hex().startswith("210700070001")


@pytest.mark.parametrize("family", Family)
def test_no_advert_without_an_address_to_send_it_from(family: Family) -> None:
    """No advert leaves in the family without a source address, one in the other."""
    without = {
        Family.IPV4: replace(BOTH, source=None),
        Family.IPV6: replace(BOTH, source6=None),
    }
    out = egress(without[family])

    counts = [len(out.frames(SendAdvert(1, 0, 5, family=each), 0)) for each in Family]

    assert counts == [each is not family for each in Family]


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize(
    ("source_mac", "expected"),
    [
        (SourceMac.VIRTUAL, VIRTUAL_MAC),
        (SourceMac.BSD, KERNEL_MAC),
        (SourceMac.REAL, NIC_MAC.hex()),
    ],
)
def test_source_mac(source_mac: SourceMac, family: Family, expected: str) -> None:
    """--source-mac applies to adverts of both families, and not to announcements."""
    out = egress(replace(BOTH, source_mac=source_mac))

    (frame,) = out.frames(SendAdvert(1, 0, 5, family=family), 0)

    assert frame[6:12].hex() == expected
    assert {raw[6:12] for raw in out.frames(AnnounceAddresses(), 0)} == {NIC_MAC}


@pytest.mark.parametrize("source_mac", SourceMac)
def test_each_peer_gets_a_frame_of_its_own(source_mac: SourceMac) -> None:
    """It goes from the MAC of our interface to that of the peer or of a router."""
    next_hops = {LOWER: PEER_MAC, AFAR: ROUTER_MAC, LOWER6: PEER_MAC}
    host = replace(BOTH, peers=(LOWER, HIGHER, LOWER6, AFAR), source_mac=source_mac)
    out = Egress(host, NIC_MAC, count(0x1001).__next__, next_hops.get)
    frames = {
        family: out.frames(SendAdvert(1, 0, 5, family=family), 0) for family in Family
    }

    to_peer, to_afar = frames[Family.IPV4]  # HIGHER is not resolved yet
    (to_peer6,) = frames[Family.IPV6]

    datagrams = [decode(raw, LinkType.ETHERNET) for raw in (to_peer, to_afar, to_peer6)]
    assert to_peer[:12] == to_peer6[:12] == PEER_MAC + NIC_MAC
    assert to_afar[:12] == ROUTER_MAC + NIC_MAC
    assert [(d.destination, d.ttl) for d in datagrams if isinstance(d, Datagram)] == [
        (LOWER, 255),
        (AFAR, 255),
        (LOWER6, 255),
    ]
    assert to_peer[34:] == to_afar[34:] == to_peer6[54:]
    assert [to_peer[18:20].hex(), to_afar[18:20].hex()] == ["1001", "1002"]


def test_a_family_without_peers_uses_its_group() -> None:
    """With peers in IPv4 alone, adverts over IPv6 go to the group."""
    host = replace(BOTH, peers=(LOWER,))
    out = Egress(host, NIC_MAC, lambda: 1, lambda _: PEER_MAC)
    sent = [out.frames(SendAdvert(1, 0, 5, family=family), 0) for family in Family]

    assert [[raw[:12].hex() for raw in frames] for frames in sent] == [
        [PEER_MAC.hex() + NIC_MAC.hex()],
        ["333300000012" + VIRTUAL_MAC],
    ]


def test_the_mac_of_a_peer_is_asked_for_each_time() -> None:
    """It may be known later, or change.  While it is unknown, the peer gets nothing."""
    known: list[bytes | None] = [None, PEER_MAC, ROUTER_MAC]
    out = Egress(config(peers=(LOWER,)), NIC_MAC, lambda: 1, lambda _: known.pop(0))
    sent = [out.frames(SendAdvert(1, 0, 5), 0) for _ in range(3)]

    assert [[raw[:6] for raw in frames] for frames in sent] == [
        [], [PEER_MAC], [ROUTER_MAC]
    ]  # fmt: skip
    assert egress(config(peers=(LOWER,))).frames(SendAdvert(1, 0, 5), 0) == []


def test_a_mac_that_was_set_by_hand_is_signed() -> None:
    """The digest covers --lladdr, but no link-local address, as on OpenBSD."""
    link_address = bytes.fromhex("020102030405")
    vips = (VIP6, IPv6Address("fe80::1"))
    host = config(source6=OURS6, vips=vips, link_address=link_address)
    signer = Authenticator(Key(b"love"), 7, [VIP6], link_address)

    (frame,) = egress(host).frames(SendAdvert(1, 0, 5, family=Family.IPV6), 0)

    assert frame[-20:] == signer.digest(5)


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
def test_destination_of_an_advert(
    changes: dict[str, Any], destination_mac: str, destination: str
) -> None:
    """--nomcast changes the destination MAC to broadcast, and leaves the IP address."""
    (frame,) = egress(config(**changes)).frames(SendAdvert(1, 0, 1), 0)

    assert frame[:6].hex() == destination_mac
    assert frame[30:34].hex() == destination


def test_each_datagram_draws_an_ip_id() -> None:
    """An advert draws one number; announcements draw none."""
    out = egress(replace(BOTH, vips=(VIP,)))
    ids = []
    for _ in range(3):
        (frame,) = out.frames(SendAdvert(1, 0, 1), 0)
        out.frames(AnnounceAddresses(), 0)
        ids.append(int.from_bytes(frame[18:20], "big"))

    assert ids == [0x1001, 0x1002, 0x1003]


def test_another_source() -> None:
    """The next advert comes from it."""
    egress = Egress(config(), NIC_MAC, lambda: 1)
    advert = SendAdvert(1, 0, 5)
    [sent] = egress.frames(advert, 0)
    egress.readdress(config(source=HIGHER))
    [sent_later] = egress.frames(advert, 0)

    before = decode(sent, LinkType.ETHERNET)
    after = decode(sent_later, LinkType.ETHERNET)
    assert isinstance(before, Datagram)
    assert isinstance(after, Datagram)
    assert (before.source, after.source) == (OURS, HIGHER)
    assert before.payload == after.payload


def test_announcements_name_the_mac_of_the_interface() -> None:
    """There is one for each virtual address, in their order."""
    out = egress(config(vips=(VIP, LOWER6, HIGHER)))

    announced = [
        decode_announcement(frame, LinkType.ETHERNET)
        for frame in out.frames(AnnounceAddresses(), 0)
    ]

    assert announced == [Announcement(vip, NIC_MAC) for vip in (VIP, LOWER6, HIGHER)]


def test_announcements_of_a_virtual_mac_that_moves() -> None:
    """With --vmac they name the virtual MAC and come from it, unlike adverts."""
    mac = bytes.fromhex(KERNEL_MAC)
    out = egress(replace(BOTH, vmac=True))
    frames = out.frames(AnnounceAddresses(), 0)
    announced = [decode_announcement(raw, LinkType.ETHERNET) for raw in frames]
    (advert,) = out.frames(SendAdvert(1, 0, 5), 0)

    assert {raw[6:12] for raw in frames} == {mac}
    assert announced == [Announcement(vip, mac) for vip in (VIP, VIP6)]
    assert advert[6:12].hex() == VIRTUAL_MAC


def test_announcements_over_ipv6_tell_whether_we_are_a_router() -> None:
    """The router flag of IPv6 is as `is_router` says; IPv4 has no such flag."""
    out = egress(config(vips=(VIP, VIP6)))
    before = out.frames(AnnounceAddresses(), 0)
    out.is_router = True
    after = out.frames(AnnounceAddresses(), 0)

    assert after[0] == before[0]
    assert [frame[58] for frame in (before[1], after[1])] == [0x20, 0xA0]


def test_link_local_addresses_are_signed_as_the_last_verified_sender_does() -> None:
    """The digest of FreeBSD covers them, and that of OpenBSD does not."""
    host = config(vips=(VIP6, IPv6Address("fe80::252")), source6=OURS6)
    out = egress(host)
    without = Authenticator(Key(b"love"), 7, host.vips).digest(5)
    with_them = Authenticator(Key(b"love"), 7, host.vips, link_local=True).digest(5)

    def signed(heard: AdvertReceived) -> bytes:
        before = out.frames(SendAdvert(1, 0, 5, 0, Family.IPV6), 0)[0][-20:]
        is_new = out.heed(step(heard))
        (frame,) = out.frames(SendAdvert(1, 0, 5, 0, Family.IPV6), 0)
        assert is_new is (frame[-20:] != before)
        return frame[-20:]

    freebsd = AdvertReceived(LOWER6, 1, 0, 9, link_local=True)
    openbsd = AdvertReceived(LOWER6, 1, 0, 9)
    nobody = AdvertReceived(LOWER6, 1, 0, 9, verified=False)
    said = [openbsd, freebsd, freebsd, nobody, openbsd]
    assert list(map(signed, said)) == [
        without, with_them, with_them, with_them, without,
    ]  # fmt: skip


def test_the_interface_may_change_its_mac() -> None:
    """The next announcement has the new one."""
    out = egress(config())
    out.nic_mac = bytes.fromhex("020000000099")

    (frame,) = out.frames(AnnounceAddresses(), 0)

    assert frame[6:12] == out.nic_mac
    assert decode_announcement(frame, LinkType.ETHERNET) == Announcement(
        VIP, out.nic_mac
    )


ACTIONS = st.builds(
    SendAdvert,
    advbase=st.integers(0, 255),
    advskew=st.integers(0, 255),
    counter=st.integers(0, 2**64 - 1),
    demotion=st.integers(0, 255),
    family=st.sampled_from(Family),
)


@given(ACTIONS, st.integers(1, 255), st.booleans())
def test_a_peer_accepts_our_adverts(
    action: SendAdvert, vhid: int, is_unicast: bool
) -> None:
    """Whatever the action, a peer decodes the frame to the same values."""
    host = replace(BOTH, vhid=vhid, peers=(LOWER, LOWER6) if is_unicast else ())
    out = Egress(host, NIC_MAC, lambda: 1, lambda _: PEER_MAC)
    peer = replace(BOTH, vhid=vhid, source=LOWER, source6=LOWER6)
    theirs = Ingress([replace(peer, peers=(OURS, OURS6) if is_unicast else ())])

    (frame,) = out.frames(action, 0)

    source = host.source_of(action.family)
    assert source is not None
    assert theirs.check(decode(frame, LinkType.ETHERNET)) == (
        vhid,
        AdvertReceived(
            source,
            action.advbase,
            action.advskew,
            action.counter,
            demotion=action.demotion,
        ),
    )


@pytest.mark.parametrize(("to", "group"), [(LOWER, GROUP), (LOWER6, GROUP6)], ids=str)
def test_a_hint(to: Address, group: Address) -> None:
    """It is an advert of type 2 to one host, in a broadcast frame."""
    (frame,) = egress(BOTH).frames(SendHint(77, to), 0)
    datagram = decode(frame, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    peer = Ingress([replace(BOTH, source=LOWER, source6=LOWER6)])
    other = Ingress([replace(BOTH, source=HIGHER, source6=None)])

    assert (frame[:6], datagram.destination, datagram.ttl) == (BROADCAST_MAC, to, 255)
    assert datagram.payload[:2].hex() == "2207"
    assert peer.check(datagram) == (7, HintReceived(77))
    assert other.check(datagram) is None
    for judged in (
        peer.check(replace(datagram, destination=group)),
        peer.check(replace(datagram, payload=b"\x21" + datagram.payload[1:])),
    ):
        assert isinstance(judged, Rejection)


def test_a_hint_to_a_peer() -> None:
    """It is sent as adverts to that peer are; a host that is no peer gets none."""
    host = config(peers=(LOWER,))
    out = Egress(host, NIC_MAC, lambda: 1, lambda _: PEER_MAC)

    (frame,) = out.frames(SendHint(77, LOWER), 0)
    assert frame[:12] == PEER_MAC + NIC_MAC
    assert out.frames(SendHint(77, HIGHER), 0) == []


def test_the_second_password_never_signs() -> None:
    """Neither adverts nor hints nor solicitations."""
    hosts = config(), config(second_key=Key(b"other"))

    for action in (SendAdvert(1, 0, 5), SendHint(5, LOWER), SendSolicitation(5)):
        one, other = (egress(host).frames(action, 0) for host in hosts)
        assert one == other


def test_no_hint_without_an_address_to_send_it_from() -> None:
    """There is none in a family in which we have no source address."""
    assert egress(config()).frames(SendHint(77, LOWER6), 0) == []


def test_without_a_password_adverts_have_a_digest_that_no_host_accepts() -> None:
    """A replay without --pass can still write the adverts that it would have sent."""
    (frame,) = egress(config(key=None)).frames(SendAdvert(1, 0, 5), 0)
    readers = {
        key: Ingress([config(source=LOWER, key=key)]) for key in (None, Key(b"love"))
    }
    datagram = decode(frame, LinkType.ETHERNET)
    accepted = [isinstance(r.check(datagram), tuple) for r in readers.values()]

    assert accepted == [True, False]


# Solicitations, and adverts for hosts that need a copy.


@pytest.mark.parametrize(
    ("family", "source", "vip"),
    [(Family.IPV4, OURS, VIP), (Family.IPV6, OURS6, VIP6)],
    ids=str,
)
def test_a_solicitation(family: Family, source: Address, vip: Address) -> None:
    """It is an advert of type 3 to the virtual address, in a broadcast frame.

    Its source MAC is our own, also if we send adverts from the virtual one.
    """
    out = egress(BOTH)
    (frame,) = out.frames(SendSolicitation(77, family), 0)
    datagram = decode(frame, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    peer = Ingress([replace(BOTH, source=LOWER, source6=LOWER6)])

    assert (frame[:6], frame[6:12]) == (BROADCAST_MAC, NIC_MAC)
    assert (datagram.destination, datagram.ttl) == (vip, 255)
    assert datagram.payload[:2].hex() == "2307"
    assert peer.check(datagram) == (7, SolicitationReceived(77, source))


def test_no_solicitation_without_an_address_to_send_it_from() -> None:
    """There is none in a family in which we have no source address."""
    out = egress(config(vips=(VIP, VIP6)))

    assert out.frames(SendSolicitation(77, Family.IPV6), 0) == []


def goals(out: Egress, second: float = 0) -> list[tuple[bytes, bytes, Address]]:
    """Return destination MAC, source MAC and destination of each frame of an advert."""
    found = []
    for frame in out.frames(SendAdvert(1, 0, 5), ns(second)):
        datagram = decode(frame, LinkType.ETHERNET)
        assert isinstance(datagram, Datagram)
        found.append((frame[:6], frame[6:12], datagram.destination))
    return found


@pytest.mark.parametrize(
    ("event", "refused", "is_copied"),
    [
        (SolicitationReceived(9, LOWER), False, True),
        (AdvertReceived(LOWER, 1, 0, 9, to_us=True), False, True),
        (SolicitationReceived(9, LOWER), True, False),
        (AdvertReceived(LOWER, 1, 0, 9, to_us=True), True, False),
        (AdvertReceived(LOWER, 1, 0, 9, to_us=True, verified=False), False, False),
        (AdvertReceived(LOWER, 1, 0, 9), False, False),
        (SolicitationReceived(9, LOWER6), False, False),
        (HintReceived(9, LOWER), False, False),
    ],
    ids=str,
)
def test_who_gets_copies(event: GroupEvent, refused: bool, is_copied: bool) -> None:
    """A host that has solicited an advert, or that sends its own adverts to us."""
    out = egress(config(source6=OURS6))
    out.heed(step(event, refused=refused))

    to_all, *copies = goals(out)
    assert to_all == (multicast_mac(GROUP), bytes.fromhex(VIRTUAL_MAC), GROUP)
    assert copies == [(BROADCAST_MAC, NIC_MAC, LOWER)] * is_copied


def test_a_copy_differs_in_its_addresses_only() -> None:
    """So that whoever hears both sees that they are one advert."""
    out = egress(config())
    out.heed(step(SolicitationReceived(9, LOWER)))
    advert, copy = out.frames(SendAdvert(1, 0, 5), 0)

    assert copy[34:] == advert[34:]


def test_copies_are_sent_for_a_minute() -> None:
    """It begins again with each message of the asker."""
    out = egress(config())
    out.heed(step(SolicitationReceived(9, LOWER), 10))
    assert [len(goals(out, second)) for second in (10, 69.9, 70)] == [2, 2, 1]

    out.heed(step(SolicitationReceived(10, LOWER), 80))
    out.heed(step(AdvertReceived(LOWER, 1, 0, 9, to_us=True), 100))
    assert [len(goals(out, second)) for second in (159.9, 160)] == [2, 1]


def test_at_most_sixteen_hosts_get_copies() -> None:
    """Another one displaces the one that was not heard for the longest time."""
    out = egress(config())
    hosts = [LOWER + 10 + number for number in range(17)]
    for second, host in enumerate((*hosts[:16], hosts[0], hosts[16])):
        out.heed(step(SolicitationReceived(second, host), second))

    copied = [goal for _, _, goal in goals(out, 20)][1:]
    assert copied == [*hosts[2:16], hosts[0], hosts[16]]


def test_unicast_peers_get_no_copies() -> None:
    """They get each advert by unicast anyway."""
    out = Egress(config(peers=(LOWER,)), NIC_MAC, lambda: 1, lambda _: PEER_MAC)
    out.heed(step(SolicitationReceived(9, HIGHER)))

    assert goals(out) == [(PEER_MAC, NIC_MAC, LOWER)]
