"""Actions: all that a virtual host can ask for.  Perform them in their order."""

from enum import Enum
from typing import NamedTuple

from carppcap.addresses import Address, Family
from carppcap.election.plain import Plain


class State(Enum):
    """The states of a virtual host, as in RFC 3768, 6.4."""

    INIT = "INIT"
    BACKUP = "BACKUP"
    MASTER = "MASTER"


class Cause(Enum):
    """Why a state changed.  Logs, metrics and timelines use these words."""

    STARTUP = "startup"
    MASTER_DOWN = "master_down"
    PREEMPTION = "preemption"
    MASTER_TOO_SLOW = "master_too_slow"
    BETTER_MASTER = "better_master"
    LINK_DOWN = "link_down"
    STEP_DOWN = "step_down"
    ADDRESS_FAILED = "address_failed"
    DEMOTION = "demotion"
    SHUTDOWN = "shutdown"


class SendAdvert(NamedTuple):
    """Sign and send an advert; report `SendSucceeded` or `SendFailed`.

    advbase 0..255 s, advskew 0..255 (1/256 s), counter 64 bits, demotion 0..255.
    A group with addresses of both families has an action for each family.
    """

    advbase: int
    advskew: int
    counter: int
    demotion: int = 0
    family: Family = Family.IPV4


class SendHint(NamedTuple):
    """Send a hint: tell `destination` which counter its adverts have to exceed.

    The replay guard asks for this after an advert that looks old.
    """

    counter: int
    destination: Address


class AcquireAddresses(Plain):
    """Run the up script without waiting for it; report `AddressesAcquired`."""


class ReleaseAddresses(Plain):
    """Run the down script without waiting for it; report `AddressesReleased`."""


class AnnounceAddresses(Plain):
    """Announce the addresses to the neighbours (gratuitous ARP, unsolicited NA)."""


class FamilySilent(NamedTuple):
    """Report that the master is heard, but no longer in `family`."""

    family: Family


class StateChanged(NamedTuple):
    """Report a change of state that has happened: log it, count it, notify."""

    old: State
    new: State
    cause: Cause


Action = (
    SendAdvert
    | SendHint
    | AcquireAddresses
    | ReleaseAddresses
    | AnnounceAddresses
    | FamilySilent
    | StateChanged
)
