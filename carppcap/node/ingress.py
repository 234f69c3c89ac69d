"""Checks whether a datagram is an authentic advert for one of our groups.

These are the checks, in the order of ucarp's `packethandler` and of
`carp_proto_input_c`.  Most have the name of the counter in the BSD kernels:

    1. own address            OWN          our own frame came back
    2. VRRP by its shape      VRRP         another protocol with the same number
    3. length                 BADLEN
    4. TTL 255                BADTTL       it did not come from this segment
    5. version 2              BADVER
    6. vhid                   BADVHID      another group
    7. destination            WRONG_GROUP
    8. checksums              BADSUM
    9. digest                 BADAUTH      other password, other addresses, or forged

A frame with a VLAN tag is ignored before these checks and not counted: it is for the
interface of that VLAN, which may have a group of its own.

The last check, whether the advert was sent before, is made by `groups.Group`.  It
rejects an advert as OWN (by its counter), REPLAY, TAMPERED or STALE.

The fields type and authlen are not checked.  No implementation checks them, so a peer
may well send other values.  But a frame of type 2 to one of our own addresses is a
hint: a peer's message that our counters look old.  A frame of type 3 to a virtual
address is a solicitation: a peer asks the master for an advert.  Both must pass the
same checks, except for that of the destination.  Their digests cover their types.

An advert in a broadcast frame may be for a single host, which has solicited it (see
`egress`).  If we are that host, we take it.  All other hosts ignore it.

A group takes adverts only in the families in which it has virtual addresses.  An advert
in the other family is BADVHID, even if its digest is right.  FreeBSD does the same
(`carp_find_ifa`).  An OpenBSD host sends such adverts over IPv6 if its interface has a
link-local address.

If a group has peers in a family (`VirtualHostConfig.peers`), it takes adverts that are
sent to our address.  It also takes those that are sent to the multicast group, because
a peer may not be configured for unicast yet, and FreeBSD compares no destinations
either.  Adverts of a peer may be routed, so their TTL is not checked.  All other
adverts must have TTL 255.  FreeBSD does the same.  OpenBSD requires 255 of all adverts,
and we send 255.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from carppcap.addresses import Address, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.wire import header
from carppcap.wire.auth import Verifier
from carppcap.wire.decode import TTL, UNTAGGED, Datagram, Defect
from carppcap.wire.header import Advert


class RejectReason(Enum):
    """Why a frame or an advert did not reach a virtual host."""

    OWN = "own"
    VRRP = "vrrp"
    BADLEN = "badlen"
    BADTTL = "badttl"
    BADVER = "badver"
    BADVHID = "badvhid"
    WRONG_GROUP = "wrong_group"
    BADSUM = "badsum"
    BADAUTH = "badauth"
    REPLAY = "replay"
    TAMPERED = "tampered"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an authentic advert was not passed to its virtual host.

    `vhid` is None if it is an advert of our own.
    """

    reason: RejectReason
    source: Address
    vhid: int | None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A frame of protocol 112 that was not passed to a virtual host, and why.

    `datagram` is None if the frame contains no complete IP datagram.  `advert` is None
    if the CARP header was not decoded.  If the reason is BADAUTH,
    `digest_expected` is the digest that our password gives; otherwise it is None.
    """

    reason: RejectReason
    datagram: Datagram | None = None
    advert: Advert | None = None
    digest_expected: bytes | None = None

    @property
    def source(self) -> Address | None:
        """The sender's address, or None if it could not be read."""
        return None if self.datagram is None else self.datagram.source

    @property
    def vhid(self) -> int | None:
        """The vhid in the advert, or None if it could not be read."""
        return None if self.advert is None else self.advert.vhid


@dataclass(frozen=True, slots=True)
class HintReceived:
    """A peer has heard our counters up to `counter`; our next one must exceed it.

    Used in log lines only: `source`, and `second_password` as in `AdvertReceived`.
    """

    counter: int
    source: Address | None = field(default=None, compare=False)
    second_password: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class SolicitationReceived:
    """The peer with the address `source` asks for an advert.

    `counter` shows whether it did so before (see `replay_guard`).  Used in log lines
    only: `second_password` as in `AdvertReceived`.
    """

    counter: int
    source: Address
    second_password: bool = field(default=False, compare=False)


Message = AdvertReceived | HintReceived | SolicitationReceived
"""An authentic message of a peer."""

Entrant = tuple[int, Message]
"""The vhid of a group, and an authentic event for that group."""


class Ingress:
    """Checks the datagrams that arrive on one interface, for all groups on it."""

    def __init__(self, hosts: Iterable[VirtualHostConfig]) -> None:
        self._hosts = {host.vhid: _Door(host) for host in hosts}
        self._own_sources = self._sources()

    def readdress(self, host: VirtualHostConfig) -> None:
        """Take another `host` with other sources in place of the one with its vhid."""
        self._hosts[host.vhid] = _Door(host)
        self._own_sources = self._sources()

    def _sources(self) -> set[bytes]:
        # Compared as bytes: an address may come with the name of its interface.
        return {
            source.packed
            for door in self._hosts.values()
            for source in (door.config.source, door.config.source6)
            if source is not None
        }

    def check(self, datagram: Datagram | Defect) -> Entrant | Rejection | None:
        """Return the event for one of our groups, or why the datagram is rejected.

        Return None for another protocol or VLAN, and for an advert to another host.
        Without a key, also return None for any message that is no advert.
        """
        if datagram is Defect.FOREIGN:
            return None
        if isinstance(datagram, Defect):
            return Rejection(RejectReason.BADLEN)
        if datagram.vlan != UNTAGGED:
            return None
        if datagram.source.packed in self._own_sources:
            return Rejection(RejectReason.OWN, datagram)
        return self.examine(datagram)

    def examine(self, datagram: Datagram) -> Entrant | Rejection | None:
        """Check a datagram as `check` does, but accept our own source address."""
        source = datagram.source.packed
        if header.looks_like_vrrp(
            datagram.payload, source, datagram.destination.packed
        ):
            return Rejection(RejectReason.VRRP, datagram)
        advert = header.decode(datagram.payload)
        if advert is None:
            return Rejection(RejectReason.BADLEN, datagram)
        door = self._hosts.get(advert.vhid)
        type_ = self._type(datagram, advert, door)
        if type_ is None:
            return None
        reason = _fault(datagram, advert, door, type_)
        if reason is not None:
            return Rejection(reason, datagram, advert)
        assert door is not None  # or it would have been BADVHID
        return door.authenticate(datagram, advert, type_)

    def _type(
        self, datagram: Datagram, advert: Advert, door: "_Door | None"
    ) -> int | None:
        """Return as which type to read a message, or None if it is for another host."""
        destination = datagram.destination.packed
        if advert.type == header.TYPE_HINT and destination in self._own_sources:
            return header.TYPE_HINT
        solicited = () if door is None else door.solicited
        if advert.type == header.TYPE_SOLICITATION and destination in solicited:
            return header.TYPE_SOLICITATION
        if _is_to_one_host(datagram) and destination not in self._own_sources:
            return None
        return header.TYPE_ADVERT


class _Door:
    """The conditions that a datagram for one virtual host must meet."""

    def __init__(self, config: VirtualHostConfig) -> None:
        self.config = config
        self.peers = {peer.packed for peer in config.peers}
        self.destinations = {
            family.value: _destinations(config, family) for family in config.families
        }
        """By IP version, the destination addresses that adverts for us may have."""
        solicited = map(config.solicited, config.families)
        self.solicited = {vip.packed for vip in solicited if vip is not None}
        """The destination addresses of solicitations."""
        self._verifiers: dict[int, Verifier] = {}
        if config.key is not None:
            signed = config.key, config.vhid, config.vips, config.link_address
            self._verifiers = {
                each: Verifier(*signed, second_key=config.second_key, type=each)
                for each in header.TYPES
            }

    def authenticate(
        self, datagram: Datagram, advert: Advert, type_: int
    ) -> Entrant | Rejection | None:
        """Check the digest of a message of type `type_`; return its event or rejection.

        Without a key every advert counts as authentic, and the result for any other
        message is None.
        """
        verifier = self._verifiers.get(type_)
        form = None
        if verifier is not None:
            form = verifier.find(advert.counter, advert.digest, datagram.source_mac)
        if form is None and header.is_vrrp_v2_with_seven_addresses(
            datagram.payload, datagram.source.packed
        ):
            return Rejection(RejectReason.VRRP, datagram)
        if verifier is not None and form is None:
            expected = verifier.usual.digest(advert.counter)
            return Rejection(RejectReason.BADAUTH, datagram, advert, expected)
        is_second = form is not None and form.key is self.config.second_key
        if type_ != header.TYPE_ADVERT and verifier is None:
            return None
        source, counter = datagram.source, advert.counter
        if type_ == header.TYPE_HINT:
            return advert.vhid, HintReceived(counter, source, is_second)
        if type_ == header.TYPE_SOLICITATION:
            return advert.vhid, SolicitationReceived(counter, source, is_second)
        event = AdvertReceived(
            source=source,
            advbase=advert.advbase,
            advskew=advert.advskew,
            counter=counter,
            verified=verifier is not None,
            demotion=advert.demotion,
            link_local=form is not None and form.link_local,
            to_us=_is_to_one_host(datagram),
            mac=datagram.source_mac,
            second_password=is_second,
        )
        return advert.vhid, event


def _destinations(config: VirtualHostConfig, family: Family) -> set[bytes]:
    """Return the destination addresses that adverts of `family` for us may have."""
    own = config.source_of(family)
    has_peers = any(Family.of(peer) is family for peer in config.peers)
    group = config.group_of(family)
    return {group.packed} | ({own.packed} if has_peers and own is not None else set())


def _is_to_one_host(datagram: Datagram) -> bool:
    """True if a broadcast frame is addressed to a single host: see `egress`."""
    return datagram.is_broadcast and not datagram.destination.is_multicast


def _fault(
    datagram: Datagram, advert: Advert, door: _Door | None, type_: int
) -> RejectReason | None:
    """Return why a message of type `type_` is rejected, or None.

    Do not check its digest.
    """
    if datagram.ttl != TTL and not (door and datagram.source.packed in door.peers):
        return RejectReason.BADTTL
    if advert.version != header.VERSION:
        return RejectReason.BADVER
    if door is None or datagram.source.version not in door.destinations:
        return RejectReason.BADVHID
    destinations = door.destinations[datagram.source.version]
    is_ours = type_ != header.TYPE_ADVERT or _is_to_one_host(datagram)
    if not is_ours and datagram.destination.packed not in destinations:
        return RejectReason.WRONG_GROUP
    if not datagram.header_ok or not header.has_valid_checksum(datagram.payload):
        return RejectReason.BADSUM
    return None
