"""Makes the frames of an action: signs, addresses and encodes them.

Frames for a single host go to its IP address, but to the broadcast MAC, as its own MAC
may not be known here.  These are:
 * a solicitation, whose destination is a virtual address: a host that hears no adverts
   does not know who has that address;
 * a hint;
 * a second copy of each advert, for a minute, to each host that has solicited one, or
   that sends its own adverts to us in that way.  It may not hear the multicast group.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import assert_never

from carppcap.addresses import (
    BROADCAST_MAC,
    Address,
    Family,
    kernel_mac,
    multicast_mac,
    virtual_mac,
)
from carppcap.election.actions import (
    AnnounceAddresses,
    SendAdvert,
    SendHint,
    SendSolicitation,
)
from carppcap.election.config import SourceMac, VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.node.bounded_table import BoundedTable
from carppcap.node.groups import Step
from carppcap.node.ingress import SolicitationReceived
from carppcap.units import NS_PER_S, Instant, Interval
from carppcap.wire import header
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.encode import build_advert, build_announcement

Sending = SendAdvert | SendSolicitation | SendHint | AnnounceAddresses
"""An action that is carried out by sending frames."""

ASKER_NS: Interval = 60 * NS_PER_S
"""How long a host that has solicited an advert gets a copy of each."""

ASKERS_MAX = 16
"""The most hosts that get copies.  A new one displaces the one heard longest ago."""


_Way = tuple[bytes, bytes, Address]
"""Source MAC, destination MAC and destination address of a frame."""


class Egress:
    """Makes the frames of one virtual host.

    `nic_mac` is the MAC of the interface; set it again when that changes.
    Announcements carry `nic_mac`, unless the addresses have a virtual MAC
    (`VirtualHostConfig.vmac`).  Set `is_router` to True if this host forwards IPv6.
    `draw_ip_id` returns the 16-bit identification of an IPv4 datagram.  `mac_of`
    returns the MAC to which frames for a peer are sent: that of the peer or of a
    router.  While it returns None, nothing is sent to that peer.  `link_local` is True
    if digests cover link-local addresses, until `heed` changes that.
    """

    def __init__(
        self,
        config: VirtualHostConfig,
        nic_mac: bytes,
        draw_ip_id: Callable[[], int],
        mac_of: Callable[[Address], bytes | None] = lambda _: None,
        *,
        link_local: bool = False,
    ) -> None:
        self.nic_mac = nic_mac
        self.is_router = False
        self._config = config
        self._draw_ip_id = draw_ip_id
        self._mac_of = mac_of
        # A replay without a password still writes frames, with a digest of no value.
        key = config.key or Key(b"\0")
        self._signed = key, config.vhid, config.vips, config.link_address
        self._signer = Authenticator(*self._signed, link_local=link_local)
        self._asked_at: BoundedTable[Address, Instant] = BoundedTable(ASKERS_MAX)

    def readdress(self, config: VirtualHostConfig) -> None:
        """Send from the sources of `config`, otherwise the same, from now on."""
        self._config = config

    def heed(self, step: Step) -> bool:
        """Learn from the message in `step` which hosts need copies of our adverts.

        Learn also from an advert whether to sign link-local addresses; return True if
        that is a change.  FreeBSD and NetBSD accept only digests that cover link-local
        addresses.  OpenBSD accepts only digests that do not.  An advert whose digest
        was not verified changes nothing, and neither does a refused message.
        """
        if step.refused:
            return False
        match step.event:
            case SolicitationReceived(source=source):
                self._asked_at.put(source, step.at)
            case AdvertReceived(verified=True) as heard:
                if heard.to_us:
                    self._asked_at.put(heard.source, step.at)
                if heard.link_local is not self._signer.link_local:
                    local = heard.link_local
                    self._signer = Authenticator(*self._signed, link_local=local)
                    return True
        return False

    def frames(self, action: Sending, now: Instant) -> list[bytes]:
        """Return the frames of `action` in the order in which they must be sent.

        The list is empty if we have no source address in its family.
        """
        match action:
            case SendAdvert(family=family):
                return self._datagrams(
                    self._advert(action), family, self._ways(family, now)
                )
            case SendSolicitation(counter, family):
                vip = self._config.solicited(family)
                assert vip is not None  # or `Advertiser.solicit` would have left it out
                message = self._message(counter, header.TYPE_SOLICITATION)
                return self._datagrams(message, family, [self._way_to_one_host(vip)])
            case SendHint(counter, host):
                message = self._message(counter, header.TYPE_HINT)
                family = Family.of(host)
                return self._datagrams(message, family, self._ways_of_hint(host))
            case AnnounceAddresses():
                mac, router = self._announced_mac, self.is_router
                vips = self._config.vips
                return [build_announcement(mac, vip, router=router) for vip in vips]
            case _:
                assert_never(action)

    @property
    def _announced_mac(self) -> bytes:
        return kernel_mac(self._config.vhid) if self._config.vmac else self.nic_mac

    def _advert(self, action: SendAdvert) -> header.Advert:
        return header.Advert(
            vhid=self._config.vhid,
            advbase=action.advbase,
            advskew=action.advskew,
            counter=action.counter,
            digest=self._signer.digest(action.counter),
            demotion=action.demotion,
        )

    def _message(self, counter: int, type_: int) -> header.Advert:
        """Return a message that is no advert; only its type and counter matter."""
        return header.Advert(
            vhid=self._config.vhid,
            advbase=self._config.advbase,
            advskew=self._config.advskew,
            counter=counter,
            digest=Authenticator(*self._signed, type=type_).digest(counter),
            type=type_,
        )

    def _datagrams(
        self, message: header.Advert, family: Family, ways: Iterable[_Way]
    ) -> list[bytes]:
        """Return the frames of `message`: one for each way that it has to take."""
        source = self._config.source_of(family)
        if source is None:
            return []
        payload = header.encode(message)
        return [
            build_advert(
                source_mac=source_mac,
                destination_mac=destination_mac,
                source=source,
                destination=destination,
                ip_id=self._draw_ip_id(),
                payload=payload,
            )
            for source_mac, destination_mac, destination in ways
        ]

    def _ways(self, family: Family, now: Instant) -> Iterator[_Way]:
        """Yield the ways of an advert: to each configured peer or to the whole group.

        In the second case it also goes to each host that needs a copy.  The MAC of a
        group is the one to which BSD kernels send.
        """
        config = self._config
        peers = self._peers(family)
        if peers:
            yield from self._ways_to_peers(peers)
            return
        group = config.group_of(family)
        mac = multicast_mac(group) if config.multicast else BROADCAST_MAC
        yield self._multicast_source_mac, mac, group
        for host, asked_at in self._asked_at.items():
            if Family.of(host) is family and now - asked_at < ASKER_NS:
                yield self._way_to_one_host(host)

    def _ways_of_hint(self, host: Address) -> Iterable[_Way]:
        peers = self._peers(Family.of(host))
        if not peers:
            return [self._way_to_one_host(host)]
        return self._ways_to_peers(p for p in peers if p.packed == host.packed)

    def _peers(self, family: Family) -> list[Address]:
        return [peer for peer in self._config.peers if Family.of(peer) is family]

    def _ways_to_peers(self, peers: Iterable[Address]) -> Iterator[_Way]:
        for peer in peers:
            peer_mac = self._mac_of(peer)
            if peer_mac is not None:
                yield self.nic_mac, peer_mac, peer

    def _way_to_one_host(self, host: Address) -> _Way:
        """Return the way in a broadcast frame.

        A frame to a single host has our own MAC as its source, since a switch must not
        learn the virtual MAC from a host that is no master.
        """
        return self.nic_mac, BROADCAST_MAC, host

    @property
    def _multicast_source_mac(self) -> bytes:
        match self._config.source_mac:
            case SourceMac.VIRTUAL:
                return virtual_mac(self._config.vhid)
            case SourceMac.BSD:
                return kernel_mac(self._config.vhid)
            case SourceMac.REAL:
                return self.nic_mac
            case _:
                assert_never(self._config.source_mac)
