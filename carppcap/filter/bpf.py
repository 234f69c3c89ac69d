"""The kernel's capture filter, in the language of pcap-filter(7).

The wide filter passes all frames of IP protocol 112.  The log can then name senders
with a wrong vhid or TTL, and senders that use our address.  (ucarp's filter drops every
frame from the address of its own host.)

It also passes what other hosts say about our virtual addresses: ARP packets and
neighbour advertisements (`RivalHeard`).

During a flood the filter is narrow: the kernel then makes those checks of `ingress`
that need no password.  The narrow filter passes every frame that `ingress` would
accept.  It passes no ARP and no neighbour advertisements, which prove nothing.

Checks of IPv4 adverts take the length of the IP header into account.  Checks of IPv6
adverts expect no extension headers before the advert.  libpcap expects none either when
it compares the protocol.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from carppcap.addresses import Address, Family, kernel_mac
from carppcap.election.config import VirtualHostConfig
from carppcap.wire.decode import NEIGHBOUR_ADVERTISEMENT, TTL
from carppcap.wire.header import HEADER_LENGTH, PROTOCOL, VERSION

_TARGET = 48
"""The offset of the target in an IPv6 packet with a neighbour advertisement."""


class Sieve(NamedTuple):
    """Tells which frames of protocol 112 the filter drops: by default none.

    With `narrow` it drops adverts that `ingress` would reject even with a right digest.
    `slices` is a power of 2, 1..256.  If it is greater than 1, the filter passes only
    frames from the addresses in `known`, and from addresses whose last byte modulo
    `slices` equals `turn`.
    """

    narrow: bool = False
    slices: int = 1
    turn: int = 0
    known: tuple[Address, ...] = ()


WIDE = Sieve()


_OURS = "our vhid"
"""Stands for the test of the vhid, until it is known which groups share a text."""

_LENGTH_IN_IPV4 = "((ip[0] & 0xf) << 2)"
_VHID = {Family.IPV4: f"ip[{_LENGTH_IN_IPV4} + 1]", Family.IPV6: "ip6[41]"}


def filter_text(
    configs: Sequence[VirtualHostConfig], sieve: Sieve = WIDE, nic_mac: bytes = b""
) -> str:
    """Return the text of the filter for the virtual hosts on one interface.

    The filter passes only the address families in which one of them sends adverts, and
    of these what `sieve` does not drop.  `nic_mac` is the MAC of the interface; without
    it no rivals are heard.
    """
    # Groups that differ in their vhid only share a part, as 255 of them would exceed
    # the longest filter that the kernel takes.
    vhids: dict[tuple[Family, str], set[int]] = {}
    for config in configs:
        for family in config.families or tuple(Family):
            terms = " and ".join(_terms(config, family, sieve))
            vhids.setdefault((family, terms), set()).add(config.vhid)
    parts = [
        terms.replace(_OURS, _one_of(sorted(ours), _VHID[family]))
        for (family, terms), ours in vhids.items()
    ]
    if nic_mac and not sieve.narrow:
        families = {family: None for config in configs for family in config.families}
        parts += [_rivals(configs, family, nic_mac) for family in families]
    return parts[0] if len(parts) == 1 else " or ".join(f"({part})" for part in parts)


def _one_of(numbers: Sequence[int], field: str) -> str:
    """Return the filter term that is true if `field` is one of these numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    terms = [
        f"{field} = {run[0]}"
        if len(run) == 1
        else f"({field} >= {run[0]} and {field} <= {run[-1]})"
        for run in runs
    ]
    return terms[0] if len(terms) == 1 else f"({' or '.join(terms)})"


def _terms(config: VirtualHostConfig, family: Family, sieve: Sieve) -> Iterator[str]:
    protocol = "ip" if family is Family.IPV4 else "ip6"
    source = config.source_of(family)
    yield f"{protocol} proto {PROTOCOL}"
    if sieve.narrow:
        if source is not None:
            yield f"not src host {_plain(source)}"
        if family is Family.IPV4:
            yield from _shape_in_ipv4(config)
        else:
            yield from _shape_in_ipv6(config)
    if sieve.slices > 1:
        yield _sample(family, sieve)


def _rivals(
    configs: Iterable[VirtualHostConfig], family: Family, nic_mac: bytes
) -> str:
    """Return the term for frames in which another host claims one of our addresses.

    Our own host answers for them, too, so frames from our own MACs are left out.
    """
    macs = [nic_mac, *(kernel_mac(each.vhid) for each in configs if each.vmac)]
    every = {vip: None for config in configs for vip in config.vips}
    vips = [vip for vip in every if Family.of(vip) is family]
    if family is Family.IPV4:
        claims = [f"arp src host {vip}" for vip in vips]
    else:
        claims = [f"({_is_target(vip)})" for vip in vips]
    terms = [f"not ether src host {mac.hex(':')}" for mac in macs]
    if family is Family.IPV6:
        terms.append(f"icmp6 and ip6[40] = {NEIGHBOUR_ADVERTISEMENT}")
    return " and ".join((*terms, f"({' or '.join(claims)})"))


def _is_target(vip: Address) -> str:
    """Return the term for a neighbour advertisement whose target is `vip`."""
    words = (vip.packed[at : at + 4].hex() for at in range(0, 16, 4))
    return " and ".join(
        f"ip6[{_TARGET + 4 * number}:4] = 0x{word}" for number, word in enumerate(words)
    )


def _shape_in_ipv4(config: VirtualHostConfig) -> Iterator[str]:
    yield "ip[6:2] & 0x3fff = 0"  # no fragment
    yield f"ip[2:2] - {_LENGTH_IN_IPV4} >= {HEADER_LENGTH}"
    yield f"ip[{_LENGTH_IN_IPV4}] >> 4 = {VERSION}"
    yield _OURS
    if not config.peers:  # A unicast peer may be behind a router.
        yield f"ip[8] = {TTL}"
    yield _destination(config, Family.IPV4)


def _shape_in_ipv6(config: VirtualHostConfig) -> Iterator[str]:
    yield f"ip6[4:2] >= {HEADER_LENGTH}"
    yield f"ip6[40] >> 4 = {VERSION}"
    yield _OURS
    if not config.peers:
        yield f"ip6[7] = {TTL}"
    yield _destination(config, Family.IPV6)


def _destination(config: VirtualHostConfig, family: Family) -> str:
    """Return the term for frames to the group, to us, or to the address solicited."""
    addresses = (
        config.group_of(family),
        config.source_of(family),
        config.solicited(family),
    )
    hosts = [f"dst host {_plain(each)}" for each in addresses if each is not None]
    return hosts[0] if len(hosts) == 1 else f"({' or '.join(hosts)})"


def _sample(family: Family, sieve: Sieve) -> str:
    last_byte = "ip[15]" if family is Family.IPV4 else "ip6[23]"
    passed = [f"{last_byte} & {sieve.slices - 1} = {sieve.turn}"]
    passed += [
        f"src host {_plain(address)}"
        for address in sieve.known
        if Family.of(address) is family
    ]
    return f"({' or '.join(passed)})"


def _plain(address: Address) -> str:
    """Return `address` as text, without the zone of a link-local address (`%eth0`)."""
    return str(address).partition("%")[0]
