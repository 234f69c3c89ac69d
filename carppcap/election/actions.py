"""Actions of a virtual host.  Perform those of a step in their order."""

from dataclasses import dataclass
from enum import Enum

from carppcap.addresses import Address, Family


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


@dataclass(frozen=True, slots=True)
class SendAdvert:
    """Sign and send an advert; report `SendSucceeded` or `SendFailed`.

    advbase 0..255 s, advskew 0..255 (1/256 s), counter 64 bits, demotion 0..255.
    A group with addresses of both families has one for each.
    """

    advbase: int
    advskew: int
    counter: int
    demotion: int = 0
    family: Family = Family.IPV4


@dataclass(frozen=True, slots=True)
class SendHint:
    """Tell `destination` which counter its adverts have to exceed.

    The replay guard asks for it after an advert that looks old.
    """

    counter: int
    destination: Address


@dataclass(frozen=True, slots=True)
class AcquireAddresses:
    """Run the up script without waiting for it; report `AddressesAcquired`."""


@dataclass(frozen=True, slots=True)
class ReleaseAddresses:
    """Run the down script without waiting for it; report `AddressesReleased`."""


@dataclass(frozen=True, slots=True)
class AnnounceAddresses:
    """Announce the addresses to the neighbours (gratuitous ARP, unsolicited NA)."""


@dataclass(frozen=True, slots=True)
class FamilySilent:
    """Report that the master is heard, but no longer in `family`."""

    family: Family


@dataclass(frozen=True, slots=True)
class StateChanged:
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
