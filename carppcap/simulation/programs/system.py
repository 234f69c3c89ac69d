"""The two interfaces between a host and its program: `System` and `Program`."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol, TypeAlias

from carppcap.addresses import Address
from carppcap.election.actions import Action, AnnounceAddresses, SendAdvert, State
from carppcap.election.events import Event
from carppcap.election.script_queue import Job
from carppcap.node.egress import Egress, Sending
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.simulation.scenario.chance import Dice
from carppcap.simulation.scenario.parts import INTERFACE, Member
from carppcap.units import Instant
from carppcap.wire.decode import (
    Claim,
    Datagram,
    Defect,
    LinkType,
    decode,
    decode_claim,
)

Will: TypeAlias = Callable[[], list[bytes]]
"""Makes the frames of a farewell, for when the program cannot send one any more."""


class System(Protocol):
    """The operating system as a program sees it."""

    @property
    def link_up(self) -> bool:
        """True if the interface has a carrier."""

    @property
    def has_address(self) -> bool:
        """True if the virtual address is configured on this host."""

    @property
    def mac(self) -> bytes:
        """The MAC address of the interface."""

    def wall(self, now: Instant) -> Instant:
        """Return the reading of the wall clock when the monotonic clock reads `now`.

        It is in nanoseconds, and 0 at the start of the simulation.
        """

    def neighbour(self, address: Address) -> bytes | None:
        """Return the MAC of the host with `address`, or None if no host has it."""

    def send(self, frame: bytes) -> None:
        """Send a frame on the interface."""

    def run_script(self, job: Job) -> None:
        """Start the script of `job`; `Program.script_ended` reports its end."""

    def kill_script(self) -> None:
        """Kill the script that is running; `Program.script_ended` reports its end."""

    def set_address(self, configured: bool) -> None:
        """Add the virtual address if `configured`, otherwise remove it.

        Kernels call this; other programs run a script instead.
        """

    def record(self, step: Step) -> None:
        """Tell the observer of a step; its instants are those of this host's clock."""

    def reject(self, rejection: Rejection) -> None:
        """Tell the observer that a frame was rejected."""

    def exit(self) -> None:
        """End the program; if the address is configured, it stays so.

        A keeper removes the address, and sends the last will.
        """


class Keeper(Protocol):
    """The process that holds the address for a carppcap with --own-addresses.

    `advert` is the instant of the last advert that the program sent.
    """

    def take(self, advert: Instant, will: Will) -> bool:
        """Set the address, if the last advert still permits it; False if not."""

    def keep(self, advert: Instant, will: Will) -> None:
        """Keep the address for a while longer, if it is held: an advert was sent."""

    def remove(self) -> None:
        """Remove the address, also one that a crash has left."""


class KeeperSystem(System, Protocol):
    """The operating system as a carppcap with --own-addresses sees it."""

    @property
    def keeper(self) -> Keeper:
        """The keeper of this program, which is started if none runs."""


class Program:
    """The program on a host that takes part in the election.

    The host calls these methods.  All instants are readings of its monotonic clock.  By
    default a method does nothing, so a subclass does not override methods for events
    that do not concern its program.
    """

    def __init__(
        self, member: Member, system: System, dice: Dice, egress: Egress
    ) -> None:
        self._member = member
        self._config = member.config
        self._system = system
        self._dice = dice
        self._egress = egress
        self._state = State.INIT
        self._heard_counter: int | None = None

    @property
    def deadline(self) -> Instant | None:
        """The instant at which to call `wake`, or None for never.

        Read it again after every call of a method, since any call may change it.
        """

    def start(self, now: Instant) -> None:
        """Start, because the host was powered up or the process was started."""

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """Handle a frame that arrived at `now`.

        `now` is in the past if the frame arrived while the process was stopped.
        """

    def wake(self, now: Instant) -> None:
        """Do what is due now that the deadline has been reached."""

    def step_down(self, now: Instant) -> None:
        """Step down, as the administrator has asked."""

    def stop(self, now: Instant) -> None:
        """Leave the group and end, as the administrator has asked."""

    def link_changed(self, now: Instant) -> None:
        """Handle the loss or the return of the carrier (`System.link_up`)."""

    def demoted(self, by: int, now: Instant) -> None:
        """Change the demotion to the configured one plus `by`."""

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """Handle the end of the script of `job`.

        `exit_code` is None if there is no script for `job`.
        """

    def address_lost(self, now: Instant) -> None:
        """Handle that the keeper no longer holds the address."""

    def keeper_ended(self, now: Instant) -> None:
        """Handle that the keeper was killed."""

    def resumed(self, lost_frames: bool, due: Instant | None, now: Instant) -> None:
        """Continue after the process was stopped.

        Frames that arrived while it was stopped have already been passed to
        `frame_arrived`.  `lost_frames` is True if there was no room to store some of
        them.  `due` is the deadline that the program had while it was stopped, or None.
        """

    def _send(self, action: Sending, now: Instant) -> None:
        for frame in self._egress.frames(action, now):
            self._system.send(frame)

    def _report(
        self,
        event: Event,
        actions: Sequence[Action],
        now: Instant,
        deadline: Instant | None,
    ) -> None:
        """Send the frames of `actions`, and tell the observer of the step."""
        for action in actions:
            if isinstance(action, SendAdvert | AnnounceAddresses):
                self._send(action, now)
        vhid, done = self._config.vhid, tuple(actions)
        self._system.record(
            Step(now, INTERFACE, vhid, event, done, self._state, deadline)
        )

    def _next_counter(self) -> int:
        """Return the counter for the next advert.

        It is random until a counter has been heard.  From then on it is the last
        counter that was sent or heard, plus one.
        """
        if self._heard_counter is None:
            return self._dice.bits(64)
        self._heard_counter = (self._heard_counter + 1) % (1 << 64)
        return self._heard_counter


@lru_cache(maxsize=64)
def datagram_of(frame: bytes) -> Datagram | Defect:
    """Return the datagram in an Ethernet frame, or its defect.

    The result is cached, because several hosts receive the same frame.
    """
    return decode(frame, LinkType.ETHERNET)


@lru_cache(maxsize=64)
def claim_of(frame: bytes) -> Claim | None:
    """Return the claim to an address in an Ethernet frame, or None; it is cached."""
    return decode_claim(frame, LinkType.ETHERNET)
