"""Instants and intervals, in integer nanoseconds.

One step of skew, 1/256 s, is exactly 3 906 250 ns, and one microsecond in a capture
file is exactly 1000 ns.  So nothing is rounded, and the election can test intervals for
equality, as BSD kernels test `sc_tv` and `ch_tv` (ip_carp.c).
"""

Instant = int
"""A point in time: nanoseconds since an epoch that is arbitrary, but fixed in a run."""

Interval = int
"""A length of time in nanoseconds."""

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
NS_PER_SKEW_STEP = NS_PER_S // 256


def advert_interval_ns(advbase: int, advskew: int) -> Interval:
    """Return the time between two adverts of a host with these settings.

    `advbase` is 0..255 seconds, and `advskew` is 0..255 steps of 1/256 s.
    """
    return advbase * NS_PER_S + advskew * NS_PER_SKEW_STEP


def master_down_interval_ns(advbase: int, advskew: int, dead_ratio: int) -> Interval:
    """Return the time without adverts after which a backup takes over.

    It is `dead_ratio * advbase + advskew / 256` seconds, as in ucarp's `carp_setrun`.
    For an `advbase` of 0, this would be a single advert interval, and one late advert
    would cause a fail-over.  In that case it is `dead_ratio * advskew / 256` seconds.
    """
    if advbase == 0:
        return dead_ratio * advskew * NS_PER_SKEW_STEP
    return dead_ratio * advbase * NS_PER_S + advskew * NS_PER_SKEW_STEP


def format_seconds(duration_ns: int) -> str:
    """Return `duration_ns` as text in seconds, cut off after six decimals."""
    sign = "-" if duration_ns < 0 else ""
    whole_us = abs(duration_ns) // NS_PER_US
    return f"{sign}{whole_us // 1_000_000}.{whole_us % 1_000_000:06d}"


def earliest(*instants: Instant | None) -> Instant | None:
    """Return the earliest of `instants`, or None if all of them are None (never)."""
    return min((each for each in instants if each is not None), default=None)
