"""Events: all that can happen to a virtual host.  No event carries its instant."""

from dataclasses import dataclass, field

from carppcap.addresses import Address, Family
from carppcap.election.plain import Plain
from carppcap.units import NS_PER_MS, NS_PER_S, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

STALL_NS = 20 * NS_PER_MS
"""A process that wakes up this late was stopped or starved.  If frames were dropped
meanwhile, `FramesLost` is passed."""

STEP_DOWN_PAUSE_NS = 3 * NS_PER_S
"""Length of the pause after SIGUSR2, before we listen for a master again."""


class Start(Plain):
    """The daemon begins."""


class Stop(Plain):
    """The daemon is told to end: release the addresses and say farewell."""


class Tick(Plain):
    """Time has passed."""


@dataclass(frozen=True, slots=True)
class AdvertReceived:
    """An authentic advert for this vhid.

    advbase 0..255 s, advskew 0..255 (1/256 s), counter 64 bits, demotion 0..255 (only
    OpenBSD and carppcap send one that is not 0).  `verified` is False if there is no
    key to check the digest with.  `link_local` is True if the digest covers link-local
    addresses.  Two fields are used in log lines only: `mac`, the source MAC of the
    frame, and `second_password`, True if the advert was signed with `second_key` (see
    `VirtualHostConfig`).
    """

    source: Address
    advbase: int
    advskew: int
    counter: int
    verified: bool = True
    demotion: int = 0
    link_local: bool = False
    mac: bytes | None = field(default=None, compare=False)
    second_password: bool = field(default=False, compare=False)

    @property
    def family(self) -> Family:
        """The family in which the advert was received."""
        return Family.of(self.source)

    @property
    def is_farewell(self) -> bool:
        """True if this is a farewell: its sender leaves."""
        return self.advbase == self.advskew == BOW_OUT

    @property
    def interval_ns(self) -> Interval:
        """The interval that the advert states, which is also its sender's rank."""
        return advert_interval_ns(self.advbase, self.advskew)


class LinkUp(Plain):
    """The interface can carry frames again."""


class LinkDown(Plain):
    """The interface is without carrier, down, gone, or lost our source address."""


class FramesLost(Plain):
    """Frames were dropped before we could read them."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """The operator asks us to hand over, and to pause for `pause_ns`."""

    pause_ns: Interval


@dataclass(frozen=True, slots=True)
class DemotionChanged:
    """Our demotion has changed: 0 for a good master, up to 255."""

    demotion: int


class SequenceContested(Plain):
    """A peer took our last advert for an old one; our next counter is higher."""


class FormChanged(Plain):
    """We sign adverts in another form from now on: the form that a peer uses."""


@dataclass(frozen=True, slots=True)
class ReplayRefused:
    """The replay guard refused an advert; `interval_ns` is the interval it states."""

    interval_ns: Interval


@dataclass(frozen=True, slots=True)
class TwinReceived:
    """`advert` repeats an advert that was received just before in the other family."""

    advert: AdvertReceived


class SendFailed(Plain):
    """An advert could not be sent."""


class SendSucceeded(Plain):
    """An advert left this host."""


@dataclass(frozen=True, slots=True)
class AddressesAcquired:
    """The up script ended; `ok` is True if this host answers for the addresses."""

    ok: bool


@dataclass(frozen=True, slots=True)
class AddressesReleased:
    """The down script ended; `ok` is True if this host let go of the addresses."""

    ok: bool


class AddressesLost(Plain):
    """An address was removed from its interface by another program."""


class MacChanged(Plain):
    """The MAC of the interface changed (a bond, say): neighbours must learn it."""


Event = (
    Start
    | Stop
    | Tick
    | AdvertReceived
    | LinkUp
    | LinkDown
    | FramesLost
    | StepDown
    | DemotionChanged
    | SequenceContested
    | FormChanged
    | ReplayRefused
    | TwinReceived
    | SendFailed
    | SendSucceeded
    | AddressesAcquired
    | AddressesReleased
    | AddressesLost
    | MacChanged
)
