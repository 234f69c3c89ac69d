"""The interfaces between a host and the program on it."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

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
from carppcap.wire.decode import Datagram, Defect, LinkType, decode


class System(Protocol):
    """The operating system as a program sees it."""

    @property
    def link_up(self) -> bool:
        """True if the interface has a carrier."""

    @property
    def has_address(self) -> bool:
        """True if the virtual address is configured here."""

    @property
    def mac(self) -> bytes:
        """The MAC address of the interface."""

    def wall(self, now: Instant) -> Instant:
        """Return the wall clock at `now`, in nanoseconds."""

    def neighbour(self, address: Address) -> bytes | None:
        """Return the MAC of the host with this address, None without one."""

    def send(self, frame: bytes) -> None:
        """Send a frame."""

    def run_script(self, job: Job) -> None:
        """Start the script of `job`; `Program.script_ended` reports its end."""

    def kill_script(self) -> None:
        """Kill the script that runs."""

    def set_address(self, configured: bool) -> None:
        """Take or drop the virtual address without a script, as a kernel does."""

    def record(self, step: Step) -> None:
        """Tell the observer of a step; its instants are those of this host."""

    def reject(self, rejection: Rejection) -> None:
        """Tell the observer of a frame that was rejected."""

    def exit(self) -> None:
        """End the program; the address stays as it is."""


class Program:
    """What takes part in the election; instants are those of the host's clock.

    A program leaves out what does not concern it.
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
        """The instant to call `wake`, None: never; any other call may change it."""

    def start(self, now: Instant) -> None:
        """Start: the host was powered up, or the process was started."""

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """Handle a frame that arrived at `now`, which may be some time ago."""

    def wake(self, now: Instant) -> None:
        """Do what is due at the deadline."""

    def step_down(self, now: Instant) -> None:
        """Step down, as the operator asks."""

    def stop(self, now: Instant) -> None:
        """End, as the operator asks."""

    def link_changed(self, now: Instant) -> None:
        """Notice that the carrier was lost or has returned."""

    def demoted(self, by: int, now: Instant) -> None:
        """Change the demotion; `by` is added to the configured one."""

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """Notice that the script of `job` ended; `exit_code` None: there is none."""

    def resumed(self, lost_frames: bool, due: Instant | None, now: Instant) -> None:
        """The process continues after a stall; waiting frames have been passed on.

        `due` was the deadline when it was stopped.
        """

    def _send(self, action: Sending) -> None:
        for frame in self._egress.frames(action):
            self._system.send(frame)

    def _report(
        self,
        event: Event,
        actions: Sequence[Action],
        now: Instant,
        deadline: Instant | None,
    ) -> None:
        """Send the frames of the actions, and tell the observer of the step."""
        for action in actions:
            if isinstance(action, SendAdvert | AnnounceAddresses):
                self._send(action)
        vhid, done = self._config.vhid, tuple(actions)
        self._system.record(
            Step(now, INTERFACE, vhid, event, done, self._state, deadline)
        )

    def _next_counter(self) -> int:
        """Return the last counter heard plus one, or a random one if none was heard."""
        if self._heard_counter is None:
            return self._dice.bits(64)
        self._heard_counter = (self._heard_counter + 1) % (1 << 64)
        return self._heard_counter


@lru_cache(maxsize=64)
def datagram_of(frame: bytes) -> Datagram | Defect:
    """Return the datagram in a frame; cached, as several hosts receive each frame."""
    return decode(frame, LinkType.ETHERNET)
