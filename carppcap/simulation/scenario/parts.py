"""The values of a scenario: hosts, the medium between them, and the story.

`document` and `story` read them from a file.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, TypeAlias

from carppcap.election.config import VirtualHostConfig
from carppcap.simulation.scenario.chance import Dice
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US, Instant, Interval

INTERFACE = "eth0"
"""The name of the interface of every simulated host."""

ATTACKER = "attacker"
"""A station that hears every frame and is not a member."""

STORY = "story"
"""The name in transcript lines that tell of the story."""


class Kind(Enum):
    """The program that takes part in the election."""

    CARPPCAP = "carppcap"
    UCARP = "ucarp"
    FREEBSD = "freebsd"
    NETBSD = "netbsd"
    OPENBSD = "openbsd"
    OPNSENSE = "opnsense"
    """OPNsense or pfSense: FreeBSD, but for its counter."""
    JCARP = "jcarp"

    @property
    def is_kernel(self) -> bool:
        """True for a kernel: no process of its own, and no scripts."""
        return self not in (Kind.CARPPCAP, Kind.UCARP)

    @property
    def is_freebsd(self) -> bool:
        """True for FreeBSD and what is made of it."""
        return self in (Kind.FREEBSD, Kind.OPNSENSE)

    @property
    def repeats_counter(self) -> bool:
        """True if all its adverts have one counter until it is started again."""
        return self in (Kind.OPENBSD, Kind.OPNSENSE)


@dataclass(frozen=True, slots=True)
class Span:
    """A time between two limits, drawn in each run."""

    low_ns: Interval
    high_ns: Interval

    def draw(self, dice: Dice) -> Interval:
        """Return one time of the span."""
        return self.low_ns + dice.up_to(self.high_ns - self.low_ns)


AT_ONCE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Script:
    """An up or a down script.

    The address changes at its end if the exit code is 0, or with `address_first` at its
    start.  `exit_code` None: there is no script.
    """

    duration_ns: Interval = 5 * NS_PER_MS
    exit_code: int | None = 0
    address_first: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the group.

    `start` None: it is off until the story starts it.  `shutdown`,
    `ignore_link_state` and `script_timeout_ns` are those of `options.Settings`.
    """

    name: str
    config: VirtualHostConfig
    kind: Kind = Kind.CARPPCAP
    shutdown: bool = False
    ignore_link_state: bool = False
    script_timeout_ns: Interval = 0
    up: Script = Script()
    down: Script = Script()
    start: Span | None = AT_ONCE
    drift_ppm: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    """What the medium does to frames, separately for each receiver.

    `loss`, `duplicate`, `reorder` and `corrupt` are chances from 0 to 1; `loss_ipv4`
    and `loss_ipv6` come on top for adverts of one family, as when a switch filters
    its group.  A frame takes `delay_ns` and up to `jitter_ns` more.
    """

    loss: float = 0.0
    delay_ns: Interval = 100 * NS_PER_US
    jitter_ns: Interval = 0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    loss_ipv4: float = 0.0
    loss_ipv6: float = 0.0


class Verb(Enum):
    """What can happen to a host."""

    CRASH = "crash"  # the host fails, and its address with it
    KILL = "kill"  # the process dies, the address stays configured
    STOP = "stop"  # as by SIGTERM, or ifconfig down
    START = "start"
    STEP_DOWN = "step down"  # as by SIGUSR2, or ifconfig state backup
    PULL = "pull"  # the carrier is lost
    PLUG = "plug"
    STALL = "stall"  # the process is stopped, as by SIGSTOP
    DEMOTE = "demote"  # a poorer master (interface group, sysctl)
    UNDEMOTE = "undemote"  # ends all demotion
    STEP_CLOCK = "step clock of"  # the wall clock is set


@dataclass(frozen=True, slots=True)
class Order:
    """A verb, for each of some hosts.

    `by` is the demotion, 1 to 255, or the nanoseconds by which the clock goes forward.
    """

    verb: Verb
    names: tuple[str, ...]
    by: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """Frames from `senders` do not reach `receivers`; with `both`, nor back."""

    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    both: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return tuple(dict.fromkeys((*self.senders, *self.receivers)))


@dataclass(frozen=True, slots=True)
class Disturb:
    """A change of one field of `Quality`."""

    field: str
    value: float | Interval
    names: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Resend:
    """An attacker without the password sends a captured advert of `name` again.

    Without `forged` it repeats the advert that was the last when it began.  With it,
    it sends the latest one with this advbase and advskew, which no digest covers.
    """

    name: str
    every_ns: Interval = NS_PER_S
    forged: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The host whose adverts are sent again."""
        return (self.name,)


Deed: TypeAlias = Order | Cut | Disturb | Resend
"""What the story does; `names` are the hosts it concerns, none for the whole medium."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A deed, its time, and how long it lasts (None: until the end)."""

    at: Span
    deed: Deed
    lasts_ns: Interval | None = None

    def until(self, since: Instant, end: Instant) -> Instant | None:
        """Return when it is over in a run that ends at `end`; None: at once."""
        if self.lasts_ns is not None:
            return min(since + self.lasts_ns, end)
        is_momentary = (
            isinstance(self.deed, Order) and self.deed.verb is not Verb.DEMOTE
        )
        return None if is_momentary else end


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that decides a run, except its seed."""

    members: tuple[Member, ...]
    story: tuple[Scene, ...] = ()
    quality: Quality = Quality()
    duration_ns: Interval = 60 * NS_PER_S
    title: str = ""
