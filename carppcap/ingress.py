"""From a datagram to an event: is it an advert of our group, and authentic?

The checks, in this order, each with its own name (the names are the counters of the
BSD kernels; the order is the original's `packethandler`, `carp_proto_input_c`):

    1. own address            OWN          our own frame came back
    2. VRRP by its shape      VRRP         another protocol with the same number
    3. length                 BADLEN
    4. TTL 255                BADTTL       it did not come from this segment
    5. version 2              BADVER
    6. vhid                   BADVHID      another group
    7. destination            WRONG_GROUP
    8. checksums              BADSUM
    9. digest                 BADAUTH      other password, other addresses, or forged

Type and authlen are not checked: nobody does, and strictness here would be an outage
next to a peer that is not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address

from carppcap import advert as wire
from carppcap.advert import Advert
from carppcap.auth import Authenticator, same_digest
from carppcap.config import VirtualHostConfig
from carppcap.events import AdvertReceived
from carppcap.frames import TTL, Datagram, Defect


class RejectReason(Enum):
    """Why a frame was not an advert for us."""

    OWN = "own"
    VRRP = "vrrp"
    BADLEN = "badlen"
    BADTTL = "badttl"
    BADVER = "badver"
    BADVHID = "badvhid"
    WRONG_GROUP = "wrong_group"
    BADSUM = "badsum"
    BADAUTH = "badauth"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A frame of protocol 112 that moves nothing.  Count it, perhaps log it.

    `advert` is there once the frame was long enough to be one; `digest_expected`
    only for BADAUTH.
    """

    reason: RejectReason
    datagram: Datagram | None = None
    advert: Advert | None = None
    digest_expected: bytes | None = None

    @property
    def source(self) -> IPv4Address | None:
        """Who sent it, where that could be read."""
        return None if self.datagram is None else self.datagram.source

    @property
    def vhid(self) -> int | None:
        """The group it claims, where that could be read."""
        return None if self.advert is None else self.advert.vhid


@dataclass(frozen=True, slots=True)
class Accepted:
    """An advert for the host with this vhid."""

    vhid: int
    event: AdvertReceived


class Ingress:
    """The doorkeeper of one link, for all virtual hosts on it."""

    def __init__(self, hosts: Iterable[VirtualHostConfig]) -> None:
        self._hosts = {host.vhid: host for host in hosts}
        self._own_sources = {host.source for host in self._hosts.values()}
        self._authenticators = {
            host.vhid: Authenticator(host.key, host.vhid, host.vips)
            for host in self._hosts.values()
            if host.key is not None
        }

    def judge(self, datagram: Datagram | Defect) -> Accepted | Rejection | None:
        """An advert of ours, a reason why not, or None: not our protocol at all."""
        if datagram is Defect.FOREIGN:
            return None
        if isinstance(datagram, Defect):
            return Rejection(RejectReason.BADLEN)
        if datagram.source in self._own_sources:
            return Rejection(RejectReason.OWN, datagram)
        if wire.looks_like_vrrp(
            datagram.payload, datagram.source.packed, datagram.destination.packed
        ):
            return Rejection(RejectReason.VRRP, datagram)
        advert = wire.decode(datagram.payload)
        if advert is None:
            return Rejection(RejectReason.BADLEN, datagram)
        reason = self._fault(datagram, advert)
        if reason is not None:
            return Rejection(reason, datagram, advert)
        return self._authenticate(datagram, advert)

    def _fault(self, datagram: Datagram, advert: Advert) -> RejectReason | None:
        if datagram.ttl != TTL:
            return RejectReason.BADTTL
        if advert.version != wire.VERSION:
            return RejectReason.BADVER
        host = self._hosts.get(advert.vhid)
        if host is None:
            return RejectReason.BADVHID
        if datagram.destination != host.group:
            return RejectReason.WRONG_GROUP
        if not datagram.header_ok or not wire.has_valid_checksum(datagram.payload):
            return RejectReason.BADSUM
        return None

    def _authenticate(self, datagram: Datagram, advert: Advert) -> Accepted | Rejection:
        authenticator = self._authenticators.get(advert.vhid)
        if authenticator is not None:
            expected = authenticator.digest(advert.counter)
            if not same_digest(expected, advert.digest):
                if wire.is_vrrp_v2_with_seven_addresses(datagram.payload):
                    return Rejection(RejectReason.VRRP, datagram)
                return Rejection(RejectReason.BADAUTH, datagram, advert, expected)
        event = AdvertReceived(
            source=datagram.source,
            advbase=advert.advbase,
            advskew=advert.advskew,
            counter=advert.counter,
            verified=authenticator is not None,
        )
        return Accepted(advert.vhid, event)
