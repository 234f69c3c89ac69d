"""The filter passes every frame that could be accepted, and few others."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from struct import pack

import pcapy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.addresses import Address, kernel_mac
from carppcap.election.config import VirtualHostConfig
from carppcap.filter.bpf import WIDE, Sieve, filter_text
from carppcap.wire.encode import build_announcement
from tests.builders import (
    GROUP,
    HIGHER,
    LOWER,
    OURS,
    VIP,
    advertisement,
    config,
    ethernet,
    ipv4,
    payload,
    vrrp_v2,
)

OURS6, LOWER6 = IPv6Address("fe80::5"), IPv6Address("fe80::4")
GROUP6 = IPv6Address("ff02::12")
VIP6 = IPv6Address("2001:db8::252")

ONLY_IPV4 = config()
ONLY_IPV6 = config(source=None, source6=OURS6, vips=(VIP6,))
BOTH = config(source6=OURS6, vips=(VIP, VIP6))
UNICAST = config(source6=OURS6, vips=(VIP, VIP6), peers=(LOWER, LOWER6))
EVERY_KIND = [ONLY_IPV4, ONLY_IPV6, BOTH, UNICAST]

NARROW = Sieve(narrow=True)
BODY = payload(ONLY_IPV4)


def ipv6(
    body: bytes,
    *,
    hop_limit: int = 255,
    protocol: int = 112,
    source: IPv6Address = LOWER6,
    destination: IPv6Address = GROUP6,
    length: int | None = None,
) -> bytes:
    """Return an IPv6 packet, built without impacket."""
    announced = len(body) if length is None else length
    start = pack("!IHBB", 6 << 28, announced, protocol, hop_limit)
    return start + source.packed + destination.packed + body


def passes(host: VirtualHostConfig, sieve: Sieve, frame: bytes) -> bool:
    """True if libpcap passes `frame`, as the kernel would."""
    program = pcapy.compile(1, 65535, filter_text([host], sieve), 1, 0)
    return bool(program.filter(frame))


def of_ipv4(packet: bytes) -> bytes:
    return ethernet(packet)


def of_ipv6(packet: bytes) -> bytes:
    return ethernet(packet, ethertype=0x86DD)


OF_IPV4 = "ip proto 112"
OF_IPV6 = "ip6 proto 112"


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (ONLY_IPV4, OF_IPV4),
        (ONLY_IPV6, OF_IPV6),
        (BOTH, f"({OF_IPV4}) or ({OF_IPV6})"),
        (config(source=None), OF_IPV4),
        (config(source=None, vips=()), "(ip proto 112) or (ip6 proto 112)"),
    ],
)
def test_the_wide_text(host: VirtualHostConfig, text: str) -> None:
    """It passes frames from our address, too: another host may have it."""
    assert filter_text([host]) == filter_text([host], WIDE) == text


@pytest.mark.parametrize("host", EVERY_KIND)
@pytest.mark.parametrize(
    "sieve", [WIDE, NARROW, Sieve(True, 8, 5, (LOWER, LOWER6, HIGHER))]
)
def test_every_text_is_understood(host: VirtualHostConfig, sieve: Sieve) -> None:
    """libpcap compiles each of them."""
    assert pcapy.compile(1, 65535, filter_text([host], sieve), 1, 0).get_bpf()


SUSPECTS: list[tuple[bytes, bool]] = [
    (ipv4(BODY), True),
    (ipv4(BODY, options=b"\x01" * 4), True),
    (ipv4(BODY, options=b"\x01" * 40), True),
    (ipv4(BODY + bytes(20)), True),
    (ipv4(BODY, fragment=0), True),
    (ipv4(b"\x22" + BODY[1:], destination=OURS), True),
    (ipv4(b"\x23" + BODY[1:], destination=VIP), True),
    (ipv4(b"\x29" + BODY[1:]), True),
    (ipv4(payload(ONLY_IPV4, digest=bytes(20))), True),
    (ipv4(BODY, ttl=254), False),
    (ipv4(BODY, protocol=113), False),
    (ipv4(BODY, source=OURS), False),
    (ipv4(BODY, destination=HIGHER), False),
    (ipv4(BODY, destination=IPv4Address("224.0.0.19")), False),
    (ipv4(BODY, fragment=0x2000), False),
    (ipv4(BODY, fragment=0x0001), False),
    (ipv4(BODY[:35]), False),
    (ipv4(BODY, options=b"\x01" * 40, total_length=95), False),
    (ipv4(b"\x31" + BODY[1:]), False),
    (ipv4(BODY[:1] + b"\x08" + BODY[2:]), False),
    (ipv4(b"\x31" + BODY[1:], options=b"\x21\x07\x00\x07"), False),
    (ipv4(vrrp_v2(1)), False),
    (ipv4(vrrp_v2(1, vrid=8)), False),
]
"""IPv4 packets, and True for those that the narrow filter passes."""


@pytest.mark.parametrize("number", range(len(SUSPECTS)))
@pytest.mark.parametrize("host", [ONLY_IPV4, BOTH])
def test_narrow_in_ipv4(host: VirtualHostConfig, number: int) -> None:
    """It passes the shape of our adverts after any header, and nothing else."""
    packet, expected = SUSPECTS[number]

    assert passes(host, NARROW, of_ipv4(packet)) is expected


SUSPECTS6: list[tuple[bytes, bool]] = [
    (ipv6(BODY), True),
    (ipv6(BODY + bytes(20)), True),
    (ipv6(b"\x22" + BODY[1:], destination=OURS6), True),
    (ipv6(b"\x23" + BODY[1:], destination=VIP6), True),
    (ipv6(BODY, hop_limit=64), False),
    (ipv6(BODY, protocol=58), False),
    (ipv6(BODY, source=OURS6), False),
    (ipv6(BODY, destination=IPv6Address("ff02::1")), False),
    (ipv6(BODY[:35]), False),
    (ipv6(b"\x31" + BODY[1:]), False),
    (ipv6(BODY[:1] + b"\x08" + BODY[2:]), False),
]
"""The same for IPv6."""


@pytest.mark.parametrize("number", range(len(SUSPECTS6)))
@pytest.mark.parametrize("host", [ONLY_IPV6, BOTH])
def test_narrow_in_ipv6(host: VirtualHostConfig, number: int) -> None:
    """It passes the shape of our adverts in IPv6 and nothing else."""
    packet, expected = SUSPECTS6[number]

    assert passes(host, NARROW, of_ipv6(packet)) is expected


def test_narrow_with_a_named_interface() -> None:
    """libpcap does not know `fe80::5%a0`."""
    named = config(source=None, source6=IPv6Address("fe80::5%a0"), vips=(VIP6,))

    assert not passes(named, NARROW, of_ipv6(ipv6(BODY, source=OURS6)))
    assert passes(named, WIDE, of_ipv6(ipv6(BODY, source=OURS6)))


def test_narrow_between_peers() -> None:
    """A host with peers accepts any TTL, and adverts to its own address."""
    near = ipv4(BODY, ttl=61, destination=OURS)
    far = ipv6(BODY, hop_limit=61, destination=OURS6)

    assert passes(UNICAST, NARROW, of_ipv4(near))
    assert passes(UNICAST, NARROW, of_ipv6(far))
    assert not passes(UNICAST, NARROW, of_ipv4(ipv4(BODY, destination=HIGHER)))


def test_one_family_hears_nothing_of_the_other() -> None:
    """A host of one family passes nothing of the other, with either filter."""
    for sieve in (WIDE, NARROW):
        assert not passes(ONLY_IPV4, sieve, of_ipv6(ipv6(BODY)))
        assert not passes(ONLY_IPV6, sieve, of_ipv4(ipv4(BODY)))


def test_without_an_address_of_our_own() -> None:
    """Without a source address only adverts to the group pass."""
    host = config(source=None)

    assert passes(host, NARROW, of_ipv4(ipv4(BODY)))
    assert not passes(host, NARROW, of_ipv4(ipv4(BODY, destination=OURS)))


def test_another_group() -> None:
    """The narrow filter respects --mcastip."""
    elsewhere = IPv4Address("224.0.0.19")
    host = config(group=elsewhere)

    assert passes(host, NARROW, of_ipv4(ipv4(BODY, destination=elsewhere)))
    assert not passes(host, NARROW, of_ipv4(ipv4(BODY, destination=GROUP)))


NIC, OTHER = bytes.fromhex("0200000a0105"), bytes.fromhex("020000000009")


def claim_of(address: Address, mac: bytes) -> bytes:
    """Return the frame in which the host with `mac` announces `address`."""
    return build_announcement(mac, address)


def hears(host: VirtualHostConfig, sieve: Sieve, frame: bytes) -> bool:
    """True if a host with the MAC `NIC` is given `frame`."""
    program = pcapy.compile(1, 65535, filter_text([host], sieve, NIC), 1, 0)
    return bool(program.filter(frame))


@pytest.mark.parametrize(
    ("host", "address", "mac", "is_heard"),
    [
        (ONLY_IPV4, VIP, OTHER, True),
        (ONLY_IPV4, VIP, kernel_mac(7), True),
        (ONLY_IPV4, VIP, NIC, False),
        (ONLY_IPV4, LOWER, OTHER, False),
        (ONLY_IPV4, VIP6, OTHER, False),
        (ONLY_IPV6, VIP6, OTHER, True),
        (ONLY_IPV6, VIP6, NIC, False),
        (ONLY_IPV6, IPv6Address("2001:db8::253"), OTHER, False),
        (ONLY_IPV6, IPv6Address("2001:db9::252"), OTHER, False),
        (ONLY_IPV6, VIP, OTHER, False),
        (BOTH, VIP, OTHER, True),
        (BOTH, VIP6, OTHER, True),
        (config(vmac=True), VIP, OTHER, True),
        (config(vmac=True), VIP, kernel_mac(7), False),
        (config(vmac=True), VIP, NIC, False),
        (config(vips=(LOWER, VIP)), VIP, OTHER, True),
    ],
)
def test_rivals(
    host: VirtualHostConfig, address: Address, mac: bytes, is_heard: bool
) -> None:
    """ARP and advertisements of others pass if they are about an address of ours.

    In a flood none of them passes, nor does any while our own MAC is not known.
    """
    frame = claim_of(address, mac)

    assert hears(host, WIDE, frame) is is_heard
    assert not hears(host, NARROW, frame)
    assert not passes(host, WIDE, frame)


@pytest.mark.parametrize("host", EVERY_KIND)
def test_neighbours_in_general_wake_nobody(host: VirtualHostConfig) -> None:
    """Questions for our addresses, and other ICMPv6, are none of our business."""
    question = bytearray(claim_of(VIP, OTHER))
    question[28:32] = LOWER.packed
    asks6 = ethernet(advertisement(target=VIP6, kind=b"\x87\0"), ethertype=0x86DD)

    assert not hears(host, WIDE, bytes(question))
    assert not hears(host, WIDE, asks6)
    assert hears(host, WIDE, of_ipv6(ipv6(BODY))) is (host is not ONLY_IPV4)


@pytest.mark.parametrize("family", [4, 6])
def test_rivals_of_as_many_addresses_as_there_may_be(family: int) -> None:
    """The kernel takes 4096 instructions."""
    first = int(VIP if family == 4 else VIP6)
    make = IPv4Address if family == 4 else IPv6Address
    host = config(source6=OURS6, vips=tuple(make(first + n) for n in range(255)))

    program = pcapy.compile(1, 65535, filter_text([host], WIDE, NIC), 1, 0)

    assert program.filter(claim_of(host.vips[-1], OTHER))
    assert len(program.get_bpf()) < 4096


@pytest.mark.parametrize("slices", [2, 4, 8])
@pytest.mark.parametrize("family", [4, 6])
def test_turns(slices: int, family: int) -> None:
    """An unknown sender passes in one of the turns, a known one in all."""
    known: tuple[Address, ...] = (LOWER, LOWER6)
    heard = dict.fromkeys(range(256), 0)
    for turn in range(slices):
        sieve = Sieve(True, slices, turn, known)
        program = pcapy.compile(1, 65535, filter_text([BOTH], sieve), 1, 0)
        for last in heard:
            if family == 4:
                source = IPv4Address(f"10.1.1.{last}")
                frame = of_ipv4(ipv4(BODY, source=source))
            else:
                source6 = IPv6Address(f"fe80::{last:x}")
                frame = of_ipv6(ipv6(BODY, source=source6))
            heard[last] += bool(program.filter(frame))

    assert heard.pop(4) == slices
    assert heard.pop(5) == 0
    assert set(heard.values()) == {1}


@given(
    options=st.integers(0, 10).map(lambda words: b"\x01" * (4 * words)),
    trailer=st.binary(max_size=40),
    source=st.ip_addresses(v=4),
    tos_and_more=st.binary(min_size=34, max_size=34),
)
def test_what_may_vary_passes(
    options: bytes, trailer: bytes, source: IPv4Address, tos_and_more: bytes
) -> None:
    """Every advert with the right shape passes."""
    body = b"\x21\x07" + tos_and_more + trailer
    frame = of_ipv4(ipv4(body, options=options, source=source))

    assert passes(ONLY_IPV4, NARROW, frame) is (source != OURS)


def of_vhid(vhid: int) -> bytes:
    return of_ipv4(ipv4(payload(config(vhid=vhid))))


@pytest.mark.parametrize(
    ("vhids", "others"),
    [((7,), (6, 8)), ((1, 2, 3, 9), (4, 8, 10, 255)), (range(1, 256), ())],
)
def test_many_groups(vhids: Iterable[int], others: Iterable[int]) -> None:
    """Those of one kind share a text that the kernel takes, however many they are."""
    configs = [config(vhid=vhid) for vhid in vhids]
    text = filter_text(configs, NARROW)
    program = pcapy.compile(1, 65535, text, 1, 0)

    assert len(program.get_bpf()) < 4096
    assert all(program.filter(of_vhid(vhid)) for vhid in vhids)
    assert not any(program.filter(of_vhid(vhid)) for vhid in others)


def test_groups_of_several_kinds() -> None:
    """A frame that one of them would accept passes."""
    configs = [config(vhid=1), config(vhid=2, peers=(LOWER,)), ONLY_IPV6]
    text = filter_text(configs, NARROW)
    program = pcapy.compile(1, 65535, text, 1, 0)

    assert program.filter(of_vhid(1))
    assert program.filter(of_vhid(2))
    assert not program.filter(of_vhid(ONLY_IPV6.vhid))
    assert filter_text(configs) == f"({OF_IPV4}) or ({OF_IPV6})"
