"""The parts of a scenario: hosts, the medium between them, and the story.

The modules `document` and `story` make them from a scenario file.
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
"""The name of the attacker, a station that hears all frames but is no host."""

STORY = "story"
"""The name that a transcript line about the story has instead of a host's name."""


class Kind(Enum):
    """The kind of a host: the program by which it takes part in the election."""

    CARPPCAP = "carppcap"
    UCARP = "ucarp"
    FREEBSD = "freebsd"
    NETBSD = "netbsd"
    OPENBSD = "openbsd"
    OPNSENSE = "opnsense"
    """OPNsense or pfSense: FreeBSD with a constant counter."""
    JCARP = "jcarp"

    @property
    def is_kernel(self) -> bool:
        """True for a kernel, which runs no scripts and has no process to stop or kill.

        True for jcarp, too, which is simulated like a kernel.
        """
        return self not in (Kind.CARPPCAP, Kind.UCARP)

    @property
    def is_freebsd(self) -> bool:
        """True for FreeBSD and for the systems that are based on it."""
        return self in (Kind.FREEBSD, Kind.OPNSENSE)

    @property
    def repeats_counter(self) -> bool:
        """True if all adverts of the host have the same counter until it restarts."""
        return self in (Kind.OPENBSD, Kind.OPNSENSE)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of times, from which each run draws one at random."""

    low_ns: Interval
    high_ns: Interval

    def draw(self, dice: Dice) -> Interval:
        """Return a random time from the range, in whole microseconds above `low_ns`."""
        return self.low_ns + dice.up_to(self.high_ns - self.low_ns)


AT_ONCE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Script:
    """An up or a down script, which adds or removes the virtual address.

    If `exit_code` is 0, the script does so at its end.  With `address_first` it does so
    at its start, whatever the exit code is.  An `exit_code` of None means that there is
    no script.
    """

    duration_ns: Interval = 5 * NS_PER_MS
    exit_code: int | None = 0
    address_first: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """One host of the group.

    `shutdown`, `ignore_link_state`, `script_timeout_ns`, `no_farewell` and
    `own_addresses` have the meanings they have in `Settings`.  Only a carppcap has own
    addresses, and its scripts do not touch them.  The host starts at a random time in
    the span `start`.  If `start` is None, it starts only when the story starts it.  Its
    clocks run too fast by `drift_ppm`, in parts per million.
    """

    name: str
    config: VirtualHostConfig
    kind: Kind = Kind.CARPPCAP
    shutdown: bool = False
    ignore_link_state: bool = False
    script_timeout_ns: Interval = 0
    no_farewell: bool = False
    own_addresses: bool = False
    up: Script = Script()
    down: Script = Script()
    start: Span | None = AT_ONCE
    drift_ppm: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    """What the medium does to frames, separately for each receiver.

    `loss`, `duplicate`, `reorder` and `corrupt` are probabilities from 0 to 1.  Adverts
    of one family are lost with the additional probability `loss_ipv4` or `loss_ipv6`,
    as if a switch filtered their multicast group.  A frame is delayed by `delay_ns`,
    and at random by up to `jitter_ns` more.
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
    """Something that the story can do to a host."""

    CRASH = "crash"  # the host fails, and its address with it
    KILL = "kill"  # the process dies, the address stays or is left to the keeper
    STOP = "stop"  # as by SIGTERM, or ifconfig down
    START = "start"
    STEP_DOWN = "step down"  # as by SIGUSR2, or ifconfig state backup
    PULL = "pull"  # the carrier is lost
    PLUG = "plug"
    STALL = "stall"  # the process is stopped, as by SIGSTOP
    HANG = "hang"  # the same, but perhaps for ever
    DEMOTE = "demote"  # the host is less preferred (interface group, sysctl)
    UNDEMOTE = "undemote"  # ends all demotion
    STEP_CLOCK = "step clock of"  # the wall clock is set
    KILL_KEEPER = "kill keeper of"  # another keeper is started
    KILL_BOTH = "kill both of"  # process and keeper: the lifetime of the address ends


@dataclass(frozen=True, slots=True)
class Order:
    """What the story does to each of the hosts in `names`.

    For the verb DEMOTE, `by` is the demotion to add, 1 to 255.  For STEP_CLOCK, `by` is
    the nanoseconds by which the wall clock is set forward, or back if negative.
    """

    verb: Verb
    names: tuple[str, ...]
    by: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut between hosts: frames from `senders` do not reach `receivers`.

    With `both`, frames from `receivers` do not reach `senders` either.
    """

    senders: tuple[str, ...]
    receivers: tuple[str, ...]
    both: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The senders and the receivers, each host once."""
        return tuple(dict.fromkeys((*self.senders, *self.receivers)))


@dataclass(frozen=True, slots=True)
class Mute:
    """Multicast frames to and from the hosts in `names` are lost.

    Broadcast and unicast frames pass.  A switch does so that snoops on IGMP and MLD on
    a segment without a querier.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Disturb:
    """A disturbance of the medium: a new value for one field of `Quality`."""

    field: str
    value: float | Interval
    names: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Resend:
    """An attack: a station without the password repeats messages of the host `name`.

    It sends one every `every_ns`.  If `forged` is None, it repeats the advert or
    solicitation that was the latest when the attack began.  Otherwise it sends the
    latest one of the host each time, but with the advbase and advskew in `forged`,
    which no digest covers.
    """

    name: str
    every_ns: Interval = NS_PER_S
    forged: tuple[int, int] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name of the host whose adverts are sent again, in a tuple of one."""
        return (self.name,)


@dataclass(frozen=True, slots=True)
class SetPassword:
    """A new passfile for each of the hosts in `names`, read at its next start.

    `first` and `second` are its lines; `second` is empty if there is only one.
    """

    names: tuple[str, ...]
    first: bytes
    second: bytes = b""


Deed: TypeAlias = Order | Cut | Mute | Disturb | Resend | SetPassword
"""Something that the story does.

Its `names` are the hosts concerned; they are empty if it concerns the whole medium."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An event of the story: what is done (`deed`), when, and for how long.

    The deed is undone after `lasts_ns`, or never if `lasts_ns` is None.
    """

    at: Span
    deed: Deed
    lasts_ns: Interval | None = None

    def until(self, since: Instant, end: Instant) -> Instant | None:
        """Return the instant at which the scene ends, or None for a momentary scene.

        The scene began at `since`, and the run ends at `end`.
        """
        if self.lasts_ns is not None:
            return min(since + self.lasts_ns, end)
        match self.deed:
            case Order(Verb.DEMOTE | Verb.HANG) | Cut() | Mute() | Disturb() | Resend():
                return end
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that determines a run, except its seed."""

    members: tuple[Member, ...]
    story: tuple[Scene, ...] = ()
    quality: Quality = Quality()
    duration_ns: Interval = 60 * NS_PER_S
    title: str = ""
