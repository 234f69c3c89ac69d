"""How another master's advert compares with us: reasons to take over or give way."""

from carppcap.election.actions import Cause
from carppcap.election.advertiser import Advertiser
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived


def is_too_slow(theirs: AdvertReceived, config: VirtualHostConfig) -> bool:
    """True if the sender's interval is longer than our master-down interval.

    Such a master would time out before its next advert, so it counts as dead now.  A
    farewell states the longest interval, and so it works even on a receiver that knows
    nothing of farewells.
    """
    return config.master_down_interval_ns < theirs.interval_ns


def reason_to_take_over(
    theirs: AdvertReceived, ours: Advertiser, config: VirtualHostConfig
) -> Cause | None:
    """Return why a BACKUP replaces the master that it hears; None to stay BACKUP."""
    is_slower = ours.interval_ns < theirs.interval_ns
    if config.preempt and is_slower and theirs.demotion >= ours.demotion:
        return Cause.PREEMPTION
    if theirs.demotion > ours.demotion:
        return Cause.DEMOTION
    # If we took over from a less demoted master, its next advert would make us yield
    # again, for ever.  A master that leaves sends no next advert.
    may_replace = theirs.demotion >= ours.demotion or theirs.is_farewell
    if may_replace and is_too_slow(theirs, config):
        return Cause.MASTER_TOO_SLOW
    return None


def reason_to_give_way(
    theirs: AdvertReceived, ours: Advertiser, *, is_lost: bool
) -> Cause | None:
    """Return why a MASTER yields to the other master that it hears; None to stay.

    `is_lost` is True if both have the same interval and the other wins the tie.
    """
    is_preferred = is_lost or theirs.interval_ns < ours.interval_ns
    if is_preferred and theirs.demotion <= ours.demotion:
        return Cause.BETTER_MASTER
    return Cause.DEMOTION if theirs.demotion < ours.demotion else None
