"""From an action to the frames that carry it out."""

from collections.abc import Callable

from carppcap import advert as wire
from carppcap.actions import AnnounceAddresses, SendAdvert
from carppcap.addresses import BROADCAST_MAC, multicast_mac, virtual_mac
from carppcap.auth import Authenticator, Key
from carppcap.config import VirtualHostConfig
from carppcap.frames import build_advert, build_gratuitous_arp


class Egress:
    """Signs and frames what one virtual host says.

    `nic_mac` is the address of the interface itself, which gratuitous ARP names;
    set it anew when the interface changes it.  `draw_ip_id` gives a 16-bit number
    for each datagram.
    """

    def __init__(
        self,
        config: VirtualHostConfig,
        nic_mac: bytes,
        draw_ip_id: Callable[[], int],
    ) -> None:
        self.nic_mac = nic_mac
        self._config = config
        self._draw_ip_id = draw_ip_id
        # Without a password a replay can still show what we would have sent.
        key = config.key or Key(b"\0")
        self._authenticator = Authenticator(key, config.vhid, config.vips)

    def frames(self, action: SendAdvert | AnnounceAddresses) -> list[bytes]:
        """The frames of `action`, in the order they have to leave."""
        match action:
            case SendAdvert():
                return [self._advert(action)]
            case AnnounceAddresses():  # pragma: no branch - these are both
                return [
                    build_gratuitous_arp(self.nic_mac, vip) for vip in self._config.vips
                ]

    def _advert(self, action: SendAdvert) -> bytes:
        config = self._config
        advert = wire.Advert(
            vhid=config.vhid,
            advbase=action.advbase,
            advskew=action.advskew,
            counter=action.counter,
            digest=self._authenticator.digest(action.counter),
        )
        return build_advert(
            source_mac=virtual_mac(config.vhid),
            destination_mac=(
                multicast_mac(config.group) if config.multicast else BROADCAST_MAC
            ),
            source=config.source,
            destination=config.group,
            ip_id=self._draw_ip_id(),
            payload=wire.encode(advert),
        )
