"""Makes the events that say how a script ended, and that frames were lost."""

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
    """Return the event that tells a virtual host how its script ended.

    `held` are the addresses that this machine has, or None if they are not known.  If
    they show that the addresses are taken or released, the event is a success, even if
    the script failed.  Otherwise the exit code decides, because a script may set the
    addresses elsewhere, e.g. in a cloud.  There are two exceptions.  Taking the
    addresses has failed if another host answers for one of them (`duplicates`).
    Releasing them has failed if carppcap itself could not remove its interface
    (`is_stuck`), whatever the script did.
    """
    if outcome.job is Job.ACQUIRE:
        is_there = held is not None and held >= vips
        is_done = outcome.succeeded and vips.isdisjoint(duplicates)
        return AddressesAcquired(is_done or is_there)
    is_gone = held is not None and held.isdisjoint(vips)
    return AddressesReleased((outcome.succeeded and not is_stuck) or is_gone)


def stall_news(lost: int, due: Instant | None, now: Instant) -> FramesLost | None:
    """Return `FramesLost` if adverts may be among the lost frames, otherwise None.

    `lost` is the number of frames that were lost.  The process wanted to wake up at
    `due` and did so at `now`.  If that is more than `STALL_NS` later, it was stopped or
    got no CPU time, and adverts of a live master may have been lost.
    """
    if lost > 0 and due is not None and now - due > STALL_NS:
        return FramesLost()
    return None
