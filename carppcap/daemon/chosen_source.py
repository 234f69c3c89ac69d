"""Chooses the source address of our IPv6 adverts if none was given."""

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

    A link-local address disappears with its network card, or with the MAC of the card.
    But without a carrier, and while the kernel checks an address for duplicates, the
    old address may still return; then it is kept.
    """
    source = config.source6
    is_there = source is None or source in status.addresses
    if is_there or not status.carrier or is_checking(status, config):
        return config
    return with_chosen(config, status, log) or config


def is_checking(status: LinkStatus, config: VirtualHostConfig) -> bool:
    """True if the kernel still checks an IPv6 address that may become the source.

    Without a carrier the kernel makes no such checks (for duplicates).
    """
    ready = {held.address for held in status.sources}
    return status.carrier and any(
        address.version == 6 and address not in ready and address not in config.vips
        for address in status.addresses
    )
