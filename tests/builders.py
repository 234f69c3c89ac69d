"""Values that many tests start from."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from struct import pack
from typing import Any

from carppcap.addresses import Address, multicast_mac
from carppcap.election.actions import Action, StateChanged
from carppcap.election.config import VirtualHostConfig
from carppcap.election.fsm import VirtualHost
from carppcap.election.situations import Listening, Paused
from carppcap.node.counter import CounterSequence
from carppcap.node.timeline import format_action
from carppcap.units import NS_PER_S, Instant
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.encode import build_advert
from carppcap.wire.header import Advert, checksum, encode

OURS = IPv4Address("10.1.1.5")
LOWER = IPv4Address("10.1.1.4")
HIGHER = IPv4Address("10.1.1.6")
VIP = IPv4Address("10.1.1.252")
GROUP = IPv4Address("224.0.0.18")
OURS6 = IPv6Address("fd00:1::5")
LOWER6 = IPv6Address("fd00:1::4")
HIGHER6 = IPv6Address("fd00:1::6")
VIP6 = IPv6Address("fd00:1::252")
GROUP6 = IPv6Address("ff02::12")
PASSWORD = b"love"
NIC_MAC = bytes.fromhex("0200000a0105")

_DEFAULT = VirtualHostConfig(
    interface="eth0", vhid=7, source=OURS, vips=(VIP,), key=Key(PASSWORD)
)


def config(**changes: Any) -> VirtualHostConfig:
    """vhid 7 on eth0, 10.1.1.5 sharing 10.1.1.252, one advert a second."""
    return replace(_DEFAULT, **changes)


def ns(seconds: float) -> int:
    """Nanoseconds; exact, as long as the seconds are whole multiples of 1/256."""
    return round(Fraction(seconds) * NS_PER_S)


def counters() -> Callable[[Instant], int]:
    """A generator of counters that anybody can predict: 1, 2, 3 and so on."""
    numbers = count(1)
    return lambda _: next(numbers)


def numbers() -> CounterSequence:
    """Counters that anybody can predict, of a host whose clock is not set."""
    return CounterSequence(0, 0, lambda: 0)


def due(host: VirtualHost) -> Instant | None:
    """When a BACKUP takes over, and when a MASTER sends its next advert."""
    match host.situation:
        case Listening(master_down_at) | Paused(_, Listening(master_down_at)):
            return master_down_at
        case situation:
            return situation.deadline


def words(actions: list[Action] | tuple[Action, ...]) -> list[str]:
    """Actions as a reader says them, the change of a state among them."""
    return [
        f"{action.old.value} -> {action.new.value} {action.cause.value}"
        if isinstance(action, StateChanged)
        else format_action(action)
        for action in actions
    ]


def payload(
    host: VirtualHostConfig,
    counter: int = 1,
    *,
    password: bytes = PASSWORD,
    **changes: Any,
) -> bytes:
    """The 36 bytes that `host` would send, but for `changes` to its fields."""
    signer = Authenticator(Key(password), host.vhid, host.vips)
    advert = Advert(
        vhid=host.vhid,
        advbase=host.advbase,
        advskew=host.advskew,
        counter=counter,
        digest=signer.digest(counter),
    )
    return encode(replace(advert, **changes))


def frame(
    body: bytes, source: Address = LOWER, destination: Address | None = None
) -> bytes:
    """An Ethernet frame around `body`, as the original builds it, in either family."""
    group: Address = GROUP if source.version == 4 else GROUP6
    destination = destination or group
    return build_advert(
        source_mac=bytes.fromhex("00005e000007"),
        destination_mac=multicast_mac(group),
        source=source,
        destination=destination,
        ip_id=0x4242,
        payload=body,
    )


def ipv4(
    body: bytes,
    *,
    options: bytes = b"",
    ttl: int = 255,
    protocol: int = 112,
    source: IPv4Address = LOWER,
    destination: IPv4Address = GROUP,
    fragment: int = 0x4000,
    total_length: int | None = None,
) -> bytes:
    """An IPv4 packet written by hand, independent of the code under test."""
    words_in_header = 5 + len(options) // 4
    total = 4 * words_in_header + len(body) if total_length is None else total_length
    start = pack(
        "!BBHHHBB", 0x40 | words_in_header, 0x10, total, 1, fragment, ttl, protocol
    )
    addresses = source.packed + destination.packed + options
    header_sum = checksum(start + b"\0\0" + addresses)
    return start + header_sum.to_bytes(2, "big") + addresses + body


def ipv6(
    body: bytes,
    *,
    extensions: bytes = b"",
    hop_limit: int = 255,
    next_header: int = 112,
    source: IPv6Address = LOWER6,
    destination: IPv6Address = GROUP6,
    payload_length: int | None = None,
) -> bytes:
    """An IPv6 packet written by hand, independent of the code under test.

    `next_header` is that of the first header, be it `extensions` or `body`.
    """
    content = extensions + body
    length = len(content) if payload_length is None else payload_length
    start = pack("!IHBB", 6 << 28, length, next_header, hop_limit)
    return start + source.packed + destination.packed + content


def ethernet(packet: bytes, *, tags: bytes = b"", ethertype: int = 0x0800) -> bytes:
    """An Ethernet frame written by hand; `tags` are whole 802.1Q tags."""
    macs = bytes.fromhex("01005e000012") + bytes.fromhex("00005e000107")
    return macs + tags + ethertype.to_bytes(2, "big") + packet


def advertisement(
    *,
    target: IPv6Address = VIP6,
    options: bytes = b"\2\1" + NIC_MAC,
    kind: bytes = b"\x88\0",
    flags: int = 0x20,
    sum_wrong_by: int = 0,
    **changes: Any,
) -> bytes:
    """A neighbour advertisement written by hand (RFC 4861, 4.4); `changes` for `ipv6`.

    It comes unasked from the address it is about.
    """
    rest = bytes((flags, 0, 0, 0)) + target.packed + options
    fields: dict[str, Any] = {"source": target, "destination": IPv6Address("ff02::1")}
    fields |= {"next_header": 58} | changes
    pseudo = fields["source"].packed + fields["destination"].packed
    pseudo += pack("!IxxxB", 4 + len(rest), 58)
    right = checksum(pseudo + kind + b"\0\0" + rest)
    message = kind + pack("!H", right ^ sum_wrong_by) + rest
    return ipv6(message, **fields)


def vrrp_v2(
    addresses: int,
    *,
    vrid: int = 7,
    auth: bytes | None = bytes(8),
    auth_type: int | None = None,
) -> bytes:
    """A VRRP version 2 advert (RFC 3768, 5.1); `auth` None leaves the field out."""
    listed = b"".join(bytes((10, 1, 1, last)) for last in range(1, addresses + 1))
    if auth_type is None:
        auth_type = 0 if auth in (None, bytes(8)) else 1
    head = bytes((0x21, vrid, 100, addresses, auth_type, 1))
    rest = listed + (auth or b"")
    return head + checksum(head + b"\0\0" + rest).to_bytes(2, "big") + rest


def vrrp_v3(
    addresses: int,
    *,
    vrid: int = 7,
    source: Address = LOWER,
    destination: Address = GROUP,
) -> bytes:
    """A VRRP version 3 advert over either family (RFC 5798, 5.1 and 5.2.8)."""
    network = source.packed[:-1]
    listed = b"".join(network + bytes((last,)) for last in range(1, addresses + 1))
    head = bytes((0x31, vrid, 100, addresses, 0, 100))
    length = 8 + len(listed)
    pseudo = source.packed + destination.packed
    if source.version == 4:
        pseudo += pack("!BBH", 0, 112, length)
    else:
        pseudo += pack("!IxxxB", length, 112)  # RFC 8200, 8.1
    return head + checksum(pseudo + head + b"\0\0" + listed).to_bytes(2, "big") + listed
