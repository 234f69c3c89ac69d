"""Events for a virtual host: how a script ended, and that frames were lost."""

from carppcap.addresses import Address
from carppcap.election.events import (
    STALL_NS,
    AddressesAcquired,
    AddressesReleased,
    FramesLost,
)
from carppcap.election.script_queue import Job, Outcome
from carppcap.units import Instant

AddressesNews = AddressesAcquired | AddressesReleased


def addresses_news(
    outcome: Outcome,
    vips: frozenset[Address],
    held: frozenset[Address] | None,
    *,
    duplicates: frozenset[Address] = frozenset(),
    is_stuck: bool = False,
) -> AddressesNews:
    """Return the event that follows from the end of a script.

    `held` are the addresses of this machine, or None if they are not known.  They count
    more than the exit code: a script may fail although the addresses are set or gone.
    A script may succeed although another host answers for an address (`duplicates`).
    If one succeeds and the addresses are not on this machine, they may be set
    elsewhere, e.g. in a cloud.  `is_stuck` is True if something other than the script
    failed to release them.
    """
    if outcome.job is Job.ACQUIRE:
        is_there = held is not None and held >= vips
        is_done = outcome.succeeded and vips.isdisjoint(duplicates)
        return AddressesAcquired(is_done or is_there)
    is_gone = held is not None and held.isdisjoint(vips)
    return AddressesReleased((outcome.succeeded and not is_stuck) or is_gone)


def stall_news(lost: int, due: Instant | None, now: Instant) -> FramesLost | None:
    """Return the event for `lost` frames; None if adverts are unlikely among them.

    If this process wakes up at `now`, long after `due`, it was stopped or starved.
    Then adverts of a live master may be among the frames that were lost.
    """
    if lost > 0 and due is not None and now - due > STALL_NS:
        return FramesLost()
    return None
