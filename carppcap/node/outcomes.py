"""What a virtual host is told of scripts that ended and of time that was lost."""

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

    `held` are the addresses of this machine, None if they are not known.  A script may
    fail and yet have done its work, or find it done.  Or it succeeds, but for some
    address this machine does not answer (`duplicates`): then another one does.  One
    that succeeds without an address on this machine may have moved it elsewhere, such
    as in a cloud.  `is_stuck` tells that something else could not be released.
    """
    if outcome.job is Job.ACQUIRE:
        is_there = held is not None and held >= vips
        is_done = outcome.succeeded and vips.isdisjoint(duplicates)
        return AddressesAcquired(is_done or is_there)
    is_gone = held is not None and held.isdisjoint(vips)
    return AddressesReleased((outcome.succeeded and not is_stuck) or is_gone)


def stall_news(lost: int, due: Instant | None, now: Instant) -> FramesLost | None:
    """Return the event that follows from `lost` frames, None if it is none.

    Adverts of a live master may be among frames that were lost while this process was
    stopped or starved, which shows in a wake-up at `now` long after `due`.
    """
    if lost > 0 and due is not None and now - due > STALL_NS:
        return FramesLost()
    return None
