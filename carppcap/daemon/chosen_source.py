"""The address of an interface that our IPv6 adverts come from, if none was given."""

from dataclasses import replace
from ipaddress import IPv6Address

from carppcap.addresses import CARP_GROUP6
from carppcap.election.config import VirtualHostConfig
from carppcap.system.link import LinkStatus
from carppcap.system.source_address import choose_source
from carppcap.system.syslog import Log


def with_chosen(
    config: VirtualHostConfig, status: LinkStatus, log: Log
) -> VirtualHostConfig | None:
    """Return `config` with the best source for adverts to the group or a peer.

    None if the interface has no address to send from.
    """
    peers = (peer for peer in config.peers if peer.version == 6)
    chosen = choose_source(status.sources, next(peers, CARP_GROUP6), config.vips)
    if not isinstance(chosen, IPv6Address):
        return None
    log.info(f"Using [{chosen}] as IPv6 source address on {config.interface}")
    return replace(config, source6=chosen)


def with_another(
    config: VirtualHostConfig, status: LinkStatus, log: Log
) -> VirtualHostConfig:
    """Return `config` with another source if the one that was chosen has gone for good.

    A link-local address goes with the card, or with its MAC.  As long as there is no
    carrier, and while an address is being checked, the old one may return.
    """
    source = config.source6
    is_there = source is None or source in status.addresses
    if is_there or not status.carrier or is_checking(status, config):
        return config
    return with_chosen(config, status, log) or config


def is_checking(status: LinkStatus, config: VirtualHostConfig) -> bool:
    """True if another IPv6 address may soon be fit, as without a carrier it is not."""
    ready = {held.address for held in status.sources}
    return status.carrier and any(
        address.version == 6 and address not in ready and address not in config.vips
        for address in status.addresses
    )
