"""What can happen to a virtual host.  Each event is a plain fact; none carries time."""

from dataclasses import dataclass, field

from carppcap.addresses import Address, Family
from carppcap.units import NS_PER_MS, NS_PER_S, Interval, advert_interval_ns

STALL_NS = 20 * NS_PER_MS
"""Waking up later than this is no jitter: the process was stopped or starved, and
frames that were dropped meanwhile are a `FramesLost`."""

STEP_DOWN_PAUSE_NS = 3 * NS_PER_S
"""How long SIGUSR2 keeps us from taking the address back (`StepDown`)."""


@dataclass(frozen=True, slots=True)
class Start:
    """The daemon begins."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The daemon wants to leave for good, and gently."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed, nothing else."""


@dataclass(frozen=True, slots=True)
class AdvertReceived:
    """An authentic advert for this vhid (`verified` False: no key to check it with).

    advbase 0..255 s, advskew 0..255 (1/256 s), counter 64 bits, demotion 0..255
    (OpenBSD's and ours; 0 from everyone else).  `link_local` tells whether its digest
    covers link-local addresses.  `mac` is the source of the frame, for the log alone.
    """

    source: Address
    advbase: int
    advskew: int
    counter: int
    verified: bool = True
    demotion: int = 0
    link_local: bool = False
    mac: bytes | None = field(default=None, compare=False)

    @property
    def family(self) -> Family:
        """The family it came in, whose master-down deadline it puts off."""
        return Family.of(self.source)

    @property
    def interval_ns(self) -> Interval:
        """The interval the sender claims, which is also its rank."""
        return advert_interval_ns(self.advbase, self.advskew)


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The interface can carry frames again."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The interface is without carrier, down, gone, or lost our source address."""


@dataclass(frozen=True, slots=True)
class FramesLost:
    """We were held up, and frames were dropped before we could read them."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """An operator asks us to hand over, and to leave it be for `pause_ns`."""

    pause_ns: Interval


@dataclass(frozen=True, slots=True)
class DemotionChanged:
    """How poor a master we would be: 0 for a good one, up to 255."""

    demotion: int


@dataclass(frozen=True, slots=True)
class SequenceContested:
    """A peer took an advert of ours for an old one; the next has a higher number."""


@dataclass(frozen=True, slots=True)
class ReplayRefused:
    """An advert was not obeyed, because it, or its like, had been sent before.

    `interval_ns` is the interval it claims.
    """

    interval_ns: Interval


@dataclass(frozen=True, slots=True)
class SendFailed:
    """An advert could not be sent."""


@dataclass(frozen=True, slots=True)
class SendSucceeded:
    """An advert left this host."""


@dataclass(frozen=True, slots=True)
class AddressesAcquired:
    """The up script ended; `ok` tells whether this host answers for the addresses."""

    ok: bool


@dataclass(frozen=True, slots=True)
class AddressesReleased:
    """The down script ended; `ok` tells whether this host let go of the addresses."""

    ok: bool


@dataclass(frozen=True, slots=True)
class AddressesLost:
    """An address is no longer on its interface, whoever took it away."""


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
    | ReplayRefused
    | SendFailed
    | SendSucceeded
    | AddressesAcquired
    | AddressesReleased
    | AddressesLost
)
