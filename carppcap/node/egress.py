"""Makes the frames of an action: signs, addresses and encodes them."""

from collections.abc import Callable, Iterator
from typing import assert_never

from carppcap.addresses import (
    BROADCAST_MAC,
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

Sending = SendAdvert | SendHint | AnnounceAddresses
"""An action that is carried out by sending frames."""


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
        self._hint_signer = Authenticator(*self._signed, type=header.TYPE_HINT)

    def readdress(self, config: VirtualHostConfig) -> None:
        """Send from the sources of `config`, otherwise the same, from now on."""
        self._config = config

    def heed(self, heard: AdvertReceived) -> bool:
        """Sign link-local addresses from now on if the sender of `heard` signs them.

        Return True if that is a change.  FreeBSD and NetBSD accept only digests that
        cover link-local addresses.  OpenBSD accepts only digests that do not.  An
        advert whose digest was not verified changes nothing.
        """
        if not heard.verified or heard.link_local is self._signer.link_local:
            return False
        self._signer = Authenticator(*self._signed, link_local=heard.link_local)
        return True

    def frames(self, action: Sending) -> list[bytes]:
        """Return the frames of `action` in the order in which they must be sent.

        The list is empty for an advert or a hint if we have no source address in its
        family.
        """
        match action:
            case SendAdvert():
                return list(self._datagrams(self._advert(action), action.family))
            case SendHint():
                host = action.destination
                return list(self._datagrams(self._hint(action), Family.of(host), host))
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

    def _hint(self, action: SendHint) -> header.Advert:
        return header.Advert(
            vhid=self._config.vhid,
            advbase=self._config.advbase,
            advskew=self._config.advskew,
            counter=action.counter,
            digest=self._hint_signer.digest(action.counter),
            type=header.TYPE_HINT,
        )

    def _datagrams(
        self, advert: header.Advert, family: Family, host: Address | None = None
    ) -> Iterator[bytes]:
        """Yield the frames of `advert`: to the whole group, or to `host` only."""
        source = self._config.source_of(family)
        if source is None:
            return
        payload = header.encode(advert)
        for source_mac, destination_mac, destination in self._ways(family, host):
            yield build_advert(
                source_mac=source_mac,
                destination_mac=destination_mac,
                source=source,
                destination=destination,
                ip_id=self._draw_ip_id(),
                payload=payload,
            )

    def _ways(
        self, family: Family, host: Address | None
    ) -> Iterator[tuple[bytes, bytes, Address]]:
        """Yield source MAC, destination MAC and destination address for each frame.

        If no peer of `family` is configured, a frame goes to the MAC of the multicast
        group, as BSD kernels send it.  Its destination address is `host`, or that of
        the group if `host` is None.  The MAC of `host` is not known; other hosts that
        receive the frame find its digest wrong.  If peers are configured, each of them
        gets a frame, or only `host` if it is one of them.
        """
        config = self._config
        peers = [peer for peer in config.peers if Family.of(peer) is family]
        if not peers:
            group = config.group_of(family)
            mac = multicast_mac(group) if config.multicast else BROADCAST_MAC
            yield self._multicast_source_mac, mac, host or group
        for peer in peers:
            if host is not None and peer.packed != host.packed:
                continue
            # A frame to a single host has our own MAC as its source, since a switch
            # must not learn the virtual MAC from it.
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
