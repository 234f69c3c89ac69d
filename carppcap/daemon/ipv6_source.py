"""The source address of our IPv6 adverts, where none is configured."""

import select
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv6Address

from carppcap.addresses import CARP_GROUP6, Family
from carppcap.daemon.loop import ENDING_SIGNALS
from carppcap.election.config import VirtualHostConfig
from carppcap.system.clock import now_ns
from carppcap.system.link import LinkMonitor, LinkStatus
from carppcap.system.process import SignalPipe
from carppcap.system.source_address import choose_source
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_MS, NS_PER_S, Interval

SHORT_WAIT_NS = 5 * NS_PER_S
"""A wait for an IPv6 address on an interface that works is short: a link-local one is
checked for duplicates for a second or two (RFC 4862, 5.4)."""


def with_source(
    config: VirtualHostConfig,
    log: Log,
    signals: SignalPipe,
    on_long_wait: Callable[[], object],
) -> VirtualHostConfig | signal.Signals:
    """Return `config` with an IPv6 source, if it needs one and has none.

    It is chosen from the addresses of the interface, as kernels do, once none of them
    is being checked for duplicates, and kept even if the interface is made again and
    gets another one.  As long as there is none, it is waited for, and for the
    interface: `on_long_wait` is called, perhaps several times, if that takes longer
    than `SHORT_WAIT_NS`.  A signal to end is returned.  Raises `LinkError`.
    """
    if Family.IPV6 not in config.families or config.source6 is not None:
        return config
    destination = next(
        (peer for peer in config.peers if peer.version == 6), CARP_GROUP6
    )
    long_at, said = 0, ""
    with closing(LinkMonitor(config.interface)) as monitor:
        while True:
            status, now = monitor.status(), now_ns()
            chosen = choose_source(status.sources, destination, config.vips)
            # The short wait begins with the carrier, which checks need, too.
            long_at = (long_at or now + SHORT_WAIT_NS) if status.carrier else 0
            is_settled = now >= long_at or not _is_checking(status, config)
            if is_settled and isinstance(chosen, IPv6Address):
                log.info(
                    f"Using [{chosen}] as IPv6 source address on {config.interface}"
                )
                return replace(config, source6=chosen)
            if is_settled and (lacking := _lacking(status)) != said:
                log.warning(f"{config.interface} {lacking}")
                said = lacking
            if now >= long_at:
                on_long_wait()
            _wait(monitor, signals, long_at - now)
            for number in signals.read():
                if number in ENDING_SIGNALS:
                    return number
                if number is signal.SIGUSR1:
                    log.info(f"INIT on {config.interface} id {config.vhid}")


def _is_checking(status: LinkStatus, config: VirtualHostConfig) -> bool:
    """True if another IPv6 address may soon be fit, as without a carrier it is not."""
    ready = {held.address for held in status.sources}
    return status.carrier and any(
        address.version == 6 and address not in ready and address not in config.vips
        for address in status.addresses
    )


def _lacking(status: LinkStatus) -> str:
    """Return what is waited for."""
    if not status.exists:
        return "is not there yet: waiting for it"
    if not status.up:
        return "is down: waiting for it"
    return "has no IPv6 address to send from: waiting for one (or give --srcip)"


def _wait(monitor: LinkMonitor, signals: SignalPipe, longest_ns: Interval) -> None:
    """Return when there is news, or after `longest_ns` if that is more than 0."""
    news = select.poll()
    for each in (monitor, signals):
        news.register(each, select.POLLIN)
    news.poll(longest_ns / NS_PER_MS if longest_ns > 0 else None)
    monitor.drain()
