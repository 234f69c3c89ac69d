"""Instants and intervals, in integer nanoseconds.

One step of skew is 1/256 s, which is exactly 3 906 250 ns, and a microsecond of a
capture file is exactly 1000 ns: nothing here is ever rounded, so intervals can be
compared for equality, as the election does (`sc_tv` against `ch_tv` in ip_carp.c).
"""

Instant = int
"""A point in time: nanoseconds since an arbitrary epoch, the same for a whole run."""

Interval = int
"""A length of time in nanoseconds."""

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_SKEW_STEP = NS_PER_S // 256


def advert_interval_ns(advbase: int, advskew: int) -> Interval:
    """How long a sender with these settings waits between two adverts.

    `advbase` is 0..255 seconds, `advskew` 0..255 steps of 1/256 s.
    """
    return advbase * NS_PER_S + advskew * NS_PER_SKEW_STEP


def master_down_interval_ns(advbase: int, advskew: int, dead_ratio: int) -> Interval:
    """How long a backup with these settings listens to silence before it takes over.

    `dead_ratio * advbase + advskew / 256` seconds, as `carp_setrun` of the original
    has it.  With `advbase` 0 that would be one advert interval, and a single late
    advert would be a fail-over; the ratio then multiplies the skew instead.
    """
    if advbase == 0:
        return dead_ratio * advskew * NS_PER_SKEW_STEP
    return dead_ratio * advbase * NS_PER_S + advskew * NS_PER_SKEW_STEP


def format_seconds(duration_ns: int) -> str:
    """Seconds with six decimals, truncated, as every timeline prints them."""
    sign = "-" if duration_ns < 0 else ""
    whole_us = abs(duration_ns) // NS_PER_US
    return f"{sign}{whole_us // 1_000_000}.{whole_us % 1_000_000:06d}"
