"""How another master's advert compares with us: reasons to take over or give way."""

from carppcap.election.actions import Cause
from carppcap.election.advertiser import Advertiser
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AdvertReceived


def is_too_slow(theirs: AdvertReceived, config: VirtualHostConfig) -> bool:
    """True if this master is bound to time out, so that it counts as down already.

    This is how a farewell works on receivers that know nothing of farewells.
    """
    return config.master_down_interval_ns < theirs.interval_ns


def reason_to_take_over(
    theirs: AdvertReceived, ours: Advertiser, config: VirtualHostConfig
) -> Cause | None:
    """Return why a BACKUP that hears this master replaces it, None if it does not."""
    is_slower = ours.interval_ns < theirs.interval_ns
    if config.preempt and is_slower and theirs.demotion >= ours.demotion:
        return Cause.PREEMPTION
    if theirs.demotion > ours.demotion:
        return Cause.DEMOTION
    # To one that is less demoted we would yield again at its next advert, and hosts
    # that answer a claim by a claim would never come to an end; unless it leaves.
    may_replace = theirs.demotion >= ours.demotion or theirs.is_farewell
    if may_replace and is_too_slow(theirs, config):
        return Cause.MASTER_TOO_SLOW
    return None


def reason_to_give_way(
    theirs: AdvertReceived, ours: Advertiser, *, is_lost: bool
) -> Cause | None:
    """Return why a MASTER that hears this one yields to it, None if it does not."""
    is_preferred = is_lost or theirs.interval_ns < ours.interval_ns
    if is_preferred and theirs.demotion <= ours.demotion:
        return Cause.BETTER_MASTER
    return Cause.DEMOTION if theirs.demotion < ours.demotion else None
