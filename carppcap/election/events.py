"""Events: all that can happen to a virtual host.  They do not contain their instant."""

from dataclasses import dataclass, field

from carppcap.addresses import Address, Family
from carppcap.election.plain import Plain
from carppcap.units import NS_PER_MS, NS_PER_S, Interval, advert_interval_ns
from carppcap.wire.header import BOW_OUT

STALL_NS = 20 * NS_PER_MS
"""A process that wakes up more than this time late was stopped or got no CPU time.  If
frames were dropped in that time, the virtual host gets `FramesLost`."""

STEP_DOWN_PAUSE_NS = 3 * NS_PER_S
"""The length of the pause after SIGUSR2; after it we listen for a master again."""


class Start(Plain):
    """The daemon has started: enter the election."""


class Stop(Plain):
    """The daemon has to end: release the addresses, then send the farewell."""


class Tick(Plain):
    """Time has passed: a deadline may have arrived."""


@dataclass(frozen=True, slots=True)
class AdvertReceived:
    """An authentic advert for this vhid.

    advbase 0..255 s, advskew 0..255 (1/256 s), counter 64 bits, demotion 0..255 (only
    OpenBSD and carppcap send one that is not 0).  `verified` is False if there is no
    key to check the digest with.  `link_local` is True if the digest covers link-local
    addresses.  `to_us` is True if it was sent to our own address in a broadcast frame,
    as after a solicitation.  Two fields are used in log lines only: `mac`, the source
    MAC of the frame, and `second_password`, True if the advert was signed with
    `second_key` (see `VirtualHostConfig`).
    """

    source: Address
    advbase: int
    advskew: int
    counter: int
    verified: bool = True
    demotion: int = 0
    link_local: bool = False
    to_us: bool = False
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
        """The interval that the advert states.  A shorter interval is a better rank."""
        return advert_interval_ns(self.advbase, self.advskew)


class LinkUp(Plain):
    """The interface can carry frames again."""


class LinkDown(Plain):
    """The interface is down, was removed, or lost its carrier or our source address."""


class FramesLost(Plain):
    """The kernel dropped frames before we read them; they may have been adverts."""


@dataclass(frozen=True, slots=True)
class StepDown:
    """The operator asks this host to become BACKUP, and to pause for `pause_ns`."""

    pause_ns: Interval


@dataclass(frozen=True, slots=True)
class DemotionChanged:
    """Our demotion has changed to `demotion`: 0 (best) to 255 (worst)."""

    demotion: int


class SequenceContested(Plain):
    """A peer took our advert for an old one; our next counter is now high enough."""


class Solicited(Plain):
    """A peer asks for an advert, because it has heard no master for too long.

    It may also have become master just now, and look for another master.
    """


class FormChanged(Plain):
    """Our digests cover link-local addresses from now on, or no longer do.

    They follow the digests of a peer.
    """


@dataclass(frozen=True, slots=True)
class ReplayRefused:
    """The replay guard refused an advert that may come from a genuine master.

    `interval_ns` is the interval that the advert states.
    """

    interval_ns: Interval


@dataclass(frozen=True, slots=True)
class TwinReceived:
    """`advert` is the same advert that was received just before in the other family."""

    advert: AdvertReceived


class SendFailed(Plain):
    """An advert could not be sent."""


class SendSucceeded(Plain):
    """An advert was sent."""


@dataclass(frozen=True, slots=True)
class AddressesAcquired:
    """The up script has ended; `ok` is True if this host answers for the addresses."""

    ok: bool


@dataclass(frozen=True, slots=True)
class AddressesReleased:
    """The down script has ended; `ok` is True if this host has let the addresses go."""

    ok: bool


class AddressesLost(Plain):
    """Another program removed a virtual address from its interface."""


class MacChanged(Plain):
    """The MAC of the interface changed (e.g. of a bond); neighbours must learn it."""


@dataclass(frozen=True, slots=True)
class RivalHeard:
    """Another host, with the MAC `mac`, announced or answered for `address`.

    `address` is one of our virtual addresses.  The frame is not authenticated, so it
    proves nothing.
    """

    address: Address
    mac: bytes


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
    | Solicited
    | FormChanged
    | ReplayRefused
    | TwinReceived
    | SendFailed
    | SendSucceeded
    | AddressesAcquired
    | AddressesReleased
    | AddressesLost
    | MacChanged
    | RivalHeard
)
