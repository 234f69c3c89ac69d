"""Chooses the source address of our IPv6 adverts if none is configured."""

import signal
from collections.abc import Callable
from contextlib import closing

from carppcap.addresses import Family
from carppcap.daemon.chosen_source import is_checking, with_chosen
from carppcap.daemon.loop import ENDING_SIGNALS
from carppcap.election.config import VirtualHostConfig
from carppcap.system import supervision
from carppcap.system.clock import now_ns
from carppcap.system.link import LinkMonitor, LinkStatus
from carppcap.system.process import SignalPipe
from carppcap.system.syslog import Log
from carppcap.system.waiting import readable
from carppcap.units import NS_PER_S, earliest

SHORT_WAIT_NS = 5 * NS_PER_S
"""How long we normally wait for an IPv6 address after the interface has a carrier.  The
kernel checks a link-local address for duplicates for a second or two (RFC 4862,
5.4)."""


def with_source(
    config: VirtualHostConfig,
    log: Log,
    signals: SignalPipe,
    on_long_wait: Callable[[], object],
) -> VirtualHostConfig | signal.Signals:
    """Return `config` with an IPv6 source, if it needs one and has none.

    It is chosen from the addresses of the interface, as kernels do, once none of them
    is being checked for duplicates.  As long as there is none, it is waited for, and
    for the interface: `on_long_wait` is called, perhaps several times, if that takes
    longer than `SHORT_WAIT_NS`.  A signal to end is returned.  Raises `LinkError`.
    """
    if Family.IPV6 not in config.families or config.source6 is not None:
        return config
    long_at, said = 0, ""
    with closing(LinkMonitor(config.interface)) as monitor:
        while True:
            status, now = monitor.status(), now_ns()
            # The short wait begins with the carrier, which checks need, too.
            long_at = (long_at or now + SHORT_WAIT_NS) if status.carrier else 0
            is_settled = now >= long_at or not is_checking(status, config)
            if is_settled and (chosen := with_chosen(config, status, log)):
                return chosen
            if is_settled and (lacking := _lacking(status)) != said:
                log.warning(f"{config.interface} {lacking}")
                supervision.tell(STATUS=f"{config.interface} {lacking}")
                said = lacking
            if now >= long_at:
                on_long_wait()
            until = earliest(long_at if long_at > now else None, supervision.feed(now))
            readable((monitor, signals), until)
            monitor.drain()
            for number in signals.read():
                if number in ENDING_SIGNALS:
                    return number
                if number is signal.SIGUSR1:
                    log.info(f"INIT on {config.interface} id {config.vhid}")


def _lacking(status: LinkStatus) -> str:
    """Return why there is no IPv6 source yet, in words for the log."""
    if not status.exists:
        return "is not there yet: waiting for it"
    if not status.up:
        return "is down: waiting for it"
    return "has no IPv6 address to send from: waiting for one (or give --srcip)"
