"""How long this host may keep an address after an advert: the dead man's switch.

With `--own-addresses` an address has a lifetime, and the kernel removes the address
when the lifetime ends.  A daemon that is killed, stopped or hung does not refresh it.
Every advert permits this host to keep the addresses for a while longer:

    0                  window_ns          kept_ns              the peers' takeover
    |--- refreshing ---|--- a lifetime ---|------ at least GRACE_NS ------|

A peer with our advbase and dead ratio takes over `dead_ratio * advbase` seconds after
our last advert, whatever its skew.  Kernels have lifetimes of whole seconds only, and
are late: 0.31 s were measured with lifetimes from one second to three, and more beyond.
"""

from dataclasses import dataclass

from carppcap.election.config import VirtualHostConfig
from carppcap.units import NS_PER_MS, NS_PER_S, Instant, Interval

GRACE_NS = 350 * NS_PER_MS
"""How long before a peer takes over the last lifetime ends."""

STALL_ALLOWED_NS = 500 * NS_PER_MS
"""How late an advert may be without loss of an address."""

LIFETIME_MAX_S = 3
"""Kernels end longer lifetimes later: their timers are coarser the longer they run."""

LATENESS_NS = 50 * NS_PER_MS
"""How late the keeper may wake up for the last refresh."""

REFRESH_NS = NS_PER_S
"""The longest time between two refreshes of an address that may be kept."""


WINDOW_MIN_NS = 100 * NS_PER_MS
"""A refresh this long after its advert is in time, whatever the lifetime."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """The lifetimes of one virtual host's addresses.

    Addresses are removed `kept_ns` after the last advert.  `lifetime_s` is what the
    kernel is told at each refresh; there is none later than `window_ns` after an
    advert.  If nothing but the lifetime ends it, an address may be on this host until
    `overlap_ns` after a peer with our settings took it over; 0 is never.
    """

    kept_ns: Interval
    lifetime_s: int
    window_ns: Interval
    overlap_ns: Interval

    def next_refresh(self, advert: Instant, now: Instant) -> Instant | None:
        """Return when to refresh again after a refresh at `now`; None if not at all.

        `advert` is the instant of the last advert that we sent.
        """
        last = advert + self.window_ns - LATENESS_NS
        return min(now + REFRESH_NS, last) if now < last else None


def tenure(config: VirtualHostConfig) -> Tenure:
    """Return the lifetimes for the addresses of `config`.

    An interval too long for its dead ratio, or one below a second, leaves an overlap:
    an address has to outlive the time until the next advert, and half a second more.
    """
    # A peer without skew is the first to take over.
    taken_over_ns = config.dead_ratio * config.advbase * NS_PER_S
    if config.advbase == 0:
        taken_over_ns = config.master_down_interval_ns
    needed_ns = config.interval_ns + STALL_ALLOWED_NS
    kept_ns = max(taken_over_ns - GRACE_NS, needed_ns)
    lifetime_s = min(max((kept_ns - 1) // NS_PER_S, 1), LIFETIME_MAX_S)
    lifetime_ns = lifetime_s * NS_PER_S
    window_ns = max(kept_ns - lifetime_ns, WINDOW_MIN_NS)
    return Tenure(
        kept_ns=kept_ns,
        lifetime_s=lifetime_s,
        window_ns=window_ns,
        overlap_ns=max(window_ns + lifetime_ns + GRACE_NS - taken_over_ns, 0),
    )
