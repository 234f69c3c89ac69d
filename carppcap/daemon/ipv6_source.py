"""The source address of our IPv6 adverts, where none is configured."""

import select
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv6Address

from carppcap.addresses import CARP_GROUP6, Family
from carppcap.election.config import VirtualHostConfig
from carppcap.errors import LinkError
from carppcap.system.clock import now_ns
from carppcap.system.link import LinkMonitor, LinkStatus
from carppcap.system.source_address import choose_source
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_MS, NS_PER_S

SOURCE_TIMEOUT_NS = 5 * NS_PER_S
"""How long to wait for an IPv6 address on an interface that has just come up: a
link-local one is checked for duplicates for a second or two (RFC 4862, 5.4)."""


def with_source(config: VirtualHostConfig, log: Log) -> VirtualHostConfig:
    """Return `config` with an IPv6 source, if it needs one and has none.

    It is chosen from the addresses of the interface, as kernels do, once none of them
    is being checked for duplicates, and kept even if the interface is made again and
    gets another one.  Raises `LinkError` if the
    interface has none within `SOURCE_TIMEOUT_NS`.
    """
    if Family.IPV6 not in config.families or config.source6 is not None:
        return config
    destination = next(
        (peer for peer in config.peers if peer.version == 6), CARP_GROUP6
    )
    give_up_at = now_ns() + SOURCE_TIMEOUT_NS
    news = select.poll()
    with closing(LinkMonitor(config.interface)) as monitor:
        news.register(monitor, select.POLLIN)
        while True:
            status = monitor.status()
            chosen = choose_source(status.sources, destination, config.vips)
            remaining_ns = give_up_at - now_ns()
            is_final = remaining_ns <= 0 or not _is_checking(status, config)
            if isinstance(chosen, IPv6Address) and is_final:
                log.info(
                    f"Using [{chosen}] as IPv6 source address on {config.interface}"
                )
                return replace(config, source6=chosen)
            if remaining_ns <= 0:
                raise LinkError(
                    "{interface} has no IPv6 address to send from (allowed: one on the "
                    "interface, or --srcip)",
                    interface=config.interface,
                )
            news.poll(remaining_ns / NS_PER_MS)
            monitor.drain()


def _is_checking(status: LinkStatus, config: VirtualHostConfig) -> bool:
    """True if another IPv6 address may soon be fit, as without a carrier it is not."""
    ready = {held.address for held in status.sources}
    return status.carrier and any(
        address.version == 6 and address not in ready and address not in config.vips
        for address in status.addresses
    )
