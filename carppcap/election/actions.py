"""Actions: what a virtual host asks its caller to do.  Carry them out in order."""

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
    """Why a virtual host changed its state: words for log, metrics and timeline."""

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
    """Sign an advert and send it; then pass `SendSucceeded` or `SendFailed`.

    advbase 0..255 s, advskew 0..255 (1/256 s), counter 64 bits, demotion 0..255.  A
    group with both IPv4 and IPv6 addresses asks for one advert in each family, each
    with its own counter.
    """

    advbase: int
    advskew: int
    counter: int
    demotion: int = 0
    family: Family = Family.IPV4


class SendSolicitation(NamedTuple):
    """Send a solicitation: ask the master of the group for an advert in `family`.

    counter has 64 bits.
    """

    counter: int
    family: Family = Family.IPV4


class SendHint(NamedTuple):
    """Send a hint: tell `destination` that its next counter must exceed `counter`.

    A hint follows an advert from `destination` that the replay guard takes for an old
    one.
    """

    counter: int
    destination: Address


class AcquireAddresses(Plain):
    """Start the up script; pass `AddressesAcquired` when it has ended."""


class ReleaseAddresses(Plain):
    """Start the down script; pass `AddressesReleased` when it has ended."""


class AnnounceAddresses(Plain):
    """Announce the addresses to the neighbours (gratuitous ARP, unsolicited NA)."""


class FamilySilent(NamedTuple):
    """Report that the master's adverts are still heard, but no longer in `family`."""

    family: Family


class RivalAnswered(NamedTuple):
    """Report that the host with the MAC `mac` claims `address`, of which we are master.

    An announcement of our own follows.
    """

    address: Address
    mac: bytes


class StateChanged(NamedTuple):
    """Report, e.g. in the log, that the state has changed from `old` to `new`."""

    old: State
    new: State
    cause: Cause


Action = (
    SendAdvert
    | SendSolicitation
    | SendHint
    | AcquireAddresses
    | ReleaseAddresses
    | AnnounceAddresses
    | FamilySilent
    | RivalAnswered
    | StateChanged
)
