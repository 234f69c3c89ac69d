"""What a kernel puts on the wire (PROTOCOL 2, 3, 11 and 12)."""

from collections.abc import Callable, Iterator

from carppcap.addresses import (
    CARP_GROUP6,
    Address,
    Family,
    kernel_mac,
    multicast_mac,
)
from carppcap.election.actions import SendAdvert
from carppcap.election.config import VirtualHostConfig
from carppcap.simulation.scenario.parts import Kind
from carppcap.wire import header
from carppcap.wire.auth import Authenticator
from carppcap.wire.encode import build_advert, build_announcement


class BsdEgress:
    """Signs and frames what one vhid of a kernel says.

    A group hears it from the virtual MAC, a peer from `nic_mac`, that of the
    interface.  `neighbour` gives the MAC of a peer, `draw_ip_id` a 16-bit number for
    each datagram.
    """

    def __init__(
        self,
        kind: Kind,
        config: VirtualHostConfig,
        nic_mac: bytes,
        neighbour: Callable[[Address], bytes | None],
        draw_ip_id: Callable[[], int],
    ) -> None:
        assert config.key is not None  # a simulated host has a password
        self._config = config
        self._nic_mac = nic_mac
        self._neighbour = neighbour
        self._draw_ip_id = draw_ip_id
        self._mac = kernel_mac(config.vhid)
        self._authenticator = Authenticator(
            config.key,
            config.vhid,
            config.vips,
            config.link_address,
            link_local=kind is not Kind.OPENBSD,
        )

    def adverts(self, action: SendAdvert) -> Iterator[bytes]:
        """One to the group, or one to each peer of that family that can be reached."""
        config = self._config
        source = config.source_of(action.family)
        assert source is not None  # a simulated host has one of each family
        peers = [peer for peer in config.peers if Family.of(peer) is action.family]
        if not peers:
            group = config.group if action.family is Family.IPV4 else CARP_GROUP6
            yield self._advert(action, self._mac, multicast_mac(group), source, group)
        for peer in peers:
            mac = self._neighbour(peer)
            if mac is not None:
                yield self._advert(action, self._nic_mac, mac, source, peer)

    def announcements(self, families: tuple[Family, ...]) -> Iterator[bytes]:
        """Gratuitous ARP and neighbour advertisements, from the virtual MAC."""
        for vip in self._config.vips:
            if Family.of(vip) in families:
                yield build_announcement(self._mac, vip)

    def _advert(
        self,
        action: SendAdvert,
        source_mac: bytes,
        destination_mac: bytes,
        source: Address,
        destination: Address,
    ) -> bytes:
        advert = header.Advert(
            vhid=self._config.vhid,
            advbase=action.advbase,
            advskew=action.advskew,
            counter=action.counter,
            digest=self._authenticator.digest(action.counter),
            demotion=action.demotion,
        )
        return build_advert(
            source_mac=source_mac,
            destination_mac=destination_mac,
            source=source,
            destination=destination,
            ip_id=self._draw_ip_id(),
            payload=header.encode(advert),
        )
