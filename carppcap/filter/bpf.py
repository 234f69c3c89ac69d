"""What the kernel is to hand us, in the language of pcap-filter(7).

Wide, the filter takes all of protocol 112, as the original does: whoever sends us
adverts with a wrong vhid or TTL gets named in the log.  While a flood lasts it is
narrow: the checks of `ingress` that need no password are then made by the kernel, and
what fails them never reaches us.  Nothing that `ingress` would accept is held back by
these checks; they are the same ones, and where they differ the filter is the looser.

The checks of IPv4 find the payload by the header's length; those of IPv6 take it to
follow the fixed header, as libpcap does when it looks for the protocol.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from carppcap.addresses import CARP_GROUP6, Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.wire.decode import PROTOCOL_CARP, TTL
from carppcap.wire.header import HEADER_LENGTH, VERSION


@dataclass(frozen=True, slots=True)
class Sieve:
    """How much is to be held back; by default nothing.

    A `narrow` one lets pass only what could be accepted.  With `slices` (a power of 2,
    1..256) other than 1, of those whose address is not in `known` only one in that many
    is heard, by the last bits of the address: those of slice number `turn`.
    """

    narrow: bool = False
    slices: int = 1
    turn: int = 0
    known: tuple[Address, ...] = ()


WIDE = Sieve()


def filter_text(config: VirtualHostConfig, sieve: Sieve = WIDE) -> str:
    """The filter of the host with this `config`; never one of our own frames.

    It listens in the families that the host advertises in.
    """
    parts = [
        " and ".join(_terms(config, family, sieve))
        for family in config.families or tuple(Family)
    ]
    return parts[0] if len(parts) == 1 else " or ".join(f"({part})" for part in parts)


def _terms(config: VirtualHostConfig, family: Family, sieve: Sieve) -> Iterator[str]:
    protocol = "ip" if family is Family.IPV4 else "ip6"
    source = config.source_of(family)
    yield f"{protocol} proto {PROTOCOL_CARP}"
    if source is not None:
        yield f"not src host {_plain(source)}"
    if sieve.narrow:
        if family is Family.IPV4:
            yield from _shape_in_ipv4(config)
        else:
            yield from _shape_in_ipv6(config)
    if sieve.slices > 1:
        yield _sample(family, sieve)


def _shape_in_ipv4(config: VirtualHostConfig) -> Iterator[str]:
    header_length = "((ip[0] & 0xf) << 2)"
    yield "ip[6:2] & 0x3fff = 0"  # no fragment
    yield f"ip[2:2] - {header_length} >= {HEADER_LENGTH}"
    yield f"ip[{header_length}] >> 4 = {VERSION}"
    yield f"ip[{header_length} + 1] = {config.vhid}"
    if not config.peers:  # who is told his peers may be routers away from them
        yield f"ip[8] = {TTL}"
    yield _destination(config.group, config.source)


def _shape_in_ipv6(config: VirtualHostConfig) -> Iterator[str]:
    yield f"ip6[4:2] >= {HEADER_LENGTH}"
    yield f"ip6[40] >> 4 = {VERSION}"
    yield f"ip6[41] = {config.vhid}"
    if not config.peers:
        yield f"ip6[7] = {TTL}"
    yield _destination(CARP_GROUP6, config.source6)


def _destination(group: Address, own: Address | None) -> str:
    """Adverts to the group, and whatever peers tell us alone."""
    if own is None:
        return f"dst host {group}"
    return f"(dst host {group} or dst host {_plain(own)})"


def _sample(family: Family, sieve: Sieve) -> str:
    last_byte = "ip[15]" if family is Family.IPV4 else "ip6[23]"
    heard = [f"{last_byte} & {sieve.slices - 1} = {sieve.turn}"]
    heard += [
        f"src host {_plain(address)}"
        for address in sieve.known
        if Family.of(address) is family
    ]
    return f"({' or '.join(heard)})"


def _plain(address: Address) -> str:
    """Without the interface that a link-local address may name."""
    return str(address).partition("%")[0]
