"""Compares another master's advert with our rank: do we take over or give way?"""

from carppcap.election.actions import Cause
from carppcap.election.advertiser import Advertiser
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived


def is_too_slow(theirs: AdvertReceived, config: VirtualHostConfig) -> bool:
    """True if the sender's interval is longer than our master-down interval.

    We would take over before such a master sends its next advert, so it counts as dead
    now.  A farewell states the longest interval, 255/255.  So a receiver that does not
    know farewells takes over, too.
    """
    return config.master_down_interval_ns < theirs.interval_ns


def reason_to_take_over(
    theirs: AdvertReceived, ours: Advertiser, config: VirtualHostConfig
) -> Cause | None:
    """Return why a BACKUP takes over from the master it hears, or None."""
    is_slower = ours.interval_ns < theirs.interval_ns
    if config.preempt and is_slower and theirs.demotion >= ours.demotion:
        return Cause.PREEMPTION
    if theirs.demotion > ours.demotion:
        return Cause.DEMOTION
    # If we took over from a less demoted master, its next advert would make us yield,
    # and so on for ever.  A master that leaves sends no next advert.
    may_replace = theirs.demotion >= ours.demotion or theirs.is_farewell
    if may_replace and is_too_slow(theirs, config):
        return Cause.MASTER_TOO_SLOW
    return None


def reason_to_give_way(
    theirs: AdvertReceived, ours: Advertiser, *, is_lost: bool
) -> Cause | None:
    """Return why a MASTER yields to another master it hears, or None.

    `is_lost` is True if both masters have the same interval and the other master wins
    the tie.
    """
    is_preferred = is_lost or theirs.interval_ns < ours.interval_ns
    if is_preferred and theirs.demotion <= ours.demotion:
        return Cause.BETTER_MASTER
    return Cause.DEMOTION if theirs.demotion < ours.demotion else None
