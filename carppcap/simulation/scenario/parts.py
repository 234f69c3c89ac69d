"""What is simulated: the hosts, the wire between them, and what befalls them.

Plain values, to be written down in code or read from a file (see `document`, `story`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from carppcap.election.config import VirtualHostConfig
from carppcap.simulation.scenario.chance import Dice
from carppcap.units import NS_PER_MS, NS_PER_S, NS_PER_US, Interval

INTERFACE = "eth0"
"""The name of the interface of every simulated host."""

ATTACKER = "attacker"
"""A station that hears every frame and is not a member."""

STORY = "story"
"""The name before a line of the transcript that no host wrote."""


class Kind(Enum):
    """What takes part in the election on a host."""

    CARPPCAP = "carppcap"
    UCARP = "ucarp"
    FREEBSD = "freebsd"
    NETBSD = "netbsd"
    OPENBSD = "openbsd"

    @property
    def is_kernel(self) -> bool:
        """Whether it lives and dies with its host, and runs no scripts."""
        return self not in (Kind.CARPPCAP, Kind.UCARP)


@dataclass(frozen=True, slots=True)
class Span:
    """A time, or any time between two; drawn anew in each run."""

    low_ns: Interval
    high_ns: Interval

    def draw(self, dice: Dice) -> Interval:
        """One time of the span."""
        return self.low_ns + dice.up_to(self.high_ns - self.low_ns)


AT_ONCE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Script:
    """An up or a down script.

    The address changes hands when it ends, unless `address_first`, and only if it
    ends well.  `exit_code` None means that there is no script at all.
    """

    duration_ns: Interval = 5 * NS_PER_MS
    exit_code: int | None = 0
    address_first: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the group.

    `start` None means that it is off until the story starts it.  `shutdown`,
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
    """What the wire does to frames, for each of their receivers by itself.

    `loss`, `duplicate`, `reorder` and `corrupt` are chances from 0 to 1; `loss_ipv4`
    and `loss_ipv6` come on top for adverts of one family, as where a switch filters
    its groups.  A frame takes `delay_ns` and up to `jitter_ns` more.
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
    """What can befall a host."""

    CRASH = "crash"  # the host dies, and its address with it
    KILL = "kill"  # the process dies, the address stays behind
    STOP = "stop"  # as by SIGTERM, or ifconfig down
    START = "start"
    STEP_DOWN = "step down"  # as by SIGUSR2, or ifconfig state backup
    PULL = "pull"  # the carrier is lost
    PLUG = "plug"
    STALL = "stall"  # the process is stopped, as by SIGSTOP


@dataclass(frozen=True, slots=True)
class Order:
    """The same for each of some hosts."""

    verb: Verb
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demote:
    """Something makes hosts poorer masters, by 1 to 255; None: all is well again."""

    names: tuple[str, ...]
    by: int | None


@dataclass(frozen=True, slots=True)
class StepClock:
    """Someone sets the wall clock."""

    names: tuple[str, ...]
    by_ns: Interval


@dataclass(frozen=True, slots=True)
class Cut:
    """Frames of `senders` do not reach `receivers`; nor the other way, if `both`."""

    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    both: bool = True


@dataclass(frozen=True, slots=True)
class Disturb:
    """One field of `Quality` has another value, for all."""

    field: str
    value: float | Interval


@dataclass(frozen=True, slots=True)
class Resend:
    """Someone without the password sends a captured advert of `name` again.

    Without `forged` it is the one that was the last when this began, over and over.
    With it, always the latest, with this advbase and advskew written into it: no
    digest covers them.
    """

    name: str
    every_ns: Interval = NS_PER_S
    forged: tuple[int, int] | None = None


Deed: TypeAlias = Order | Demote | StepClock | Cut | Disturb | Resend


@dataclass(frozen=True, slots=True)
class Scene:
    """A deed, when it is done, and how long it lasts; None: for good."""

    at: Span
    deed: Deed
    lasts_ns: Interval | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """All there is to say about a run, but for the seed."""

    members: tuple[Member, ...]
    story: tuple[Scene, ...] = ()
    quality: Quality = Quality()
    duration_ns: Interval = 60 * NS_PER_S
    title: str = ""
