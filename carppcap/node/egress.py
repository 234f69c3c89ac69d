"""From an action to the frames that carry it out, signed and addressed."""

from collections.abc import Callable, Iterator
from typing import assert_never

from carppcap.addresses import (
    BROADCAST_MAC,
    CARP_GROUP6,
    Address,
    Family,
    kernel_mac,
    multicast_mac,
    virtual_mac,
)
from carppcap.election.actions import AnnounceAddresses, SendAdvert, SendHint
from carppcap.election.config import SourceMac, VirtualHostConfig
from carppcap.election.events import AdvertReceived
from carppcap.wire import header
from carppcap.wire.auth import Authenticator, Key
from carppcap.wire.encode import build_advert, build_announcement


def nobody(peer: Address) -> bytes | None:
    """Return None: no MAC address is known."""
    return None


class Egress:
    """Builds the frames of one virtual host.

    `nic_mac` is the MAC address of the interface, which announcements name unless the
    virtual MAC moves along (`VirtualHostConfig.vmac`).  Set it when the interface
    changes it, and `is_router` when this host begins or ceases to forward IPv6.
    `draw_ip_id` gives a 16-bit number for each datagram; IPv6 does not use it.
    `mac_of` gives the MAC address for a frame to a peer, that of the peer or of a
    router; while it gives None, nothing is sent to the peer.
    """

    def __init__(
        self,
        config: VirtualHostConfig,
        nic_mac: bytes,
        draw_ip_id: Callable[[], int],
        mac_of: Callable[[Address], bytes | None] = nobody,
        *,
        link_local: bool = False,
    ) -> None:
        self.nic_mac = nic_mac
        self.is_router = False
        self._config = config
        self._draw_ip_id = draw_ip_id
        self._mac_of = mac_of
        # Without a password a replay can still write what we would have sent.
        self._key = config.key or Key(b"\0")
        self._signs_link_local = link_local
        self._authenticator = self._signer()

    def heed(self, heard: AdvertReceived) -> None:
        """From now on sign as the sender of this advert does.

        OpenBSD does not sign link-local addresses: it has some by itself which we do
        not have.  FreeBSD and NetBSD accept only digests that cover them.
        """
        if heard.verified and heard.link_local is not self._signs_link_local:
            self._signs_link_local = heard.link_local
            self._authenticator = self._signer()

    def _signer(self) -> Authenticator:
        config = self._config
        return Authenticator(
            self._key,
            config.vhid,
            config.vips,
            config.link_address,
            link_local=self._signs_link_local,
        )

    def frames(self, action: SendAdvert | SendHint | AnnounceAddresses) -> list[bytes]:
        """Return the frames of `action`, in the order in which they have to leave.

        Empty for an advert in a family in which we have no source address.
        """
        match action:
            case SendAdvert():
                return list(self._adverts(action))
            case SendHint():
                return list(self._hints(action))
            case AnnounceAddresses():
                mac, router = self._announced_mac, self.is_router
                return [
                    build_announcement(mac, vip, router=router)
                    for vip in self._config.vips
                ]
            case _:
                assert_never(action)

    @property
    def _announced_mac(self) -> bytes:
        return kernel_mac(self._config.vhid) if self._config.vmac else self.nic_mac

    def _adverts(self, action: SendAdvert) -> Iterator[bytes]:
        config = self._config
        source = config.source_of(action.family)
        if source is None:
            return
        advert = header.Advert(
            vhid=config.vhid,
            advbase=action.advbase,
            advskew=action.advskew,
            counter=action.counter,
            digest=self._authenticator.digest(action.counter),
            demotion=action.demotion,
        )
        payload = header.encode(advert)
        for source_mac, destination_mac, destination in self._ways(action.family):
            yield self._frame(source_mac, destination_mac, source, destination, payload)

    def _hints(self, action: SendHint) -> Iterator[bytes]:
        """A datagram to one host, in a frame to the group: its MAC is not known.

        All others that take it for an advert find a wrong digest.
        """
        config, destination = self._config, action.destination
        family = Family.of(destination)
        source = config.source_of(family)
        if source is None:
            return
        signer = Authenticator(
            self._key,
            config.vhid,
            config.vips,
            config.link_address,
            type=header.TYPE_HINT,
        )
        hint = header.Advert(
            vhid=config.vhid,
            advbase=config.advbase,
            advskew=config.advskew,
            counter=action.counter,
            digest=signer.digest(action.counter),
            type=header.TYPE_HINT,
        )
        payload = header.encode(hint)
        for source_mac, destination_mac, to in self._ways(family):
            if to.is_multicast or to.packed == destination.packed:
                yield self._frame(
                    source_mac, destination_mac, source, destination, payload
                )

    def _frame(
        self,
        source_mac: bytes,
        destination_mac: bytes,
        source: Address,
        destination: Address,
        payload: bytes,
    ) -> bytes:
        return build_advert(
            source_mac=source_mac,
            destination_mac=destination_mac,
            source=source,
            destination=destination,
            ip_id=self._draw_ip_id(),
            payload=payload,
        )

    def _ways(self, family: Family) -> Iterator[tuple[bytes, bytes, Address]]:
        """Source MAC, destination MAC and destination: the group, or every peer.

        A family without a peer uses its group, as kernels do.
        """
        config = self._config
        peers = [peer for peer in config.peers if Family.of(peer) is family]
        if not peers:
            group: Address = config.group if family is Family.IPV4 else CARP_GROUP6
            mac = multicast_mac(group) if config.multicast else BROADCAST_MAC
            yield self._multicast_source_mac, mac, group
        for peer in peers:
            # A frame to one host must not teach switches where the virtual MAC is.
            peer_mac = self._mac_of(peer)
            if peer_mac is not None:
                yield self.nic_mac, peer_mac, peer

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
