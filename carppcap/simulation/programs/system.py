"""What a host offers to the program on it, and what that one has to offer."""

from typing import Protocol

from carppcap.addresses import Address
from carppcap.election.script_queue import Job
from carppcap.node.groups import Step
from carppcap.node.ingress import Rejection
from carppcap.units import Instant


class System(Protocol):
    """The operating system as a program sees it."""

    @property
    def link_up(self) -> bool:
        """Whether the interface has a carrier."""

    @property
    def has_address(self) -> bool:
        """Whether the virtual address is configured here."""

    @property
    def mac(self) -> bytes:
        """That of the interface."""

    def wall(self, now: Instant) -> Instant:
        """What the clock that anyone may set reads at `now`."""

    def neighbour(self, address: Address) -> bytes | None:
        """The MAC of the host whose own address this is, None if there is none."""

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""

    def run_script(self, job: Job) -> None:
        """Start the script of `job`; `Program.script_ended` will say how it ended."""

    def kill_script(self) -> None:
        """End the script that runs."""

    def set_address(self, configured: bool) -> None:
        """Take or drop the virtual address without a script, as a kernel does."""

    def record(self, step: Step) -> None:
        """Tell those who watch the simulation; instants are those of this host."""

    def reject(self, rejection: Rejection) -> None:
        """Tell them of a frame that moved nothing."""

    def exit(self) -> None:
        """Be no more.  The address stays as it is."""


class Program(Protocol):
    """What takes part in the election.  Instants are those of its host's clock."""

    @property
    def deadline(self) -> Instant | None:
        """When to call `wake`; ask again after every other call."""

    def start(self, now: Instant) -> None:
        """The host or the process begins."""

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """A frame has arrived at `now`, which may be some time ago."""

    def wake(self, now: Instant) -> None:
        """The deadline has come."""

    def link_changed(self, now: Instant) -> None:
        """The carrier was lost or has returned."""

    def step_down(self, now: Instant) -> None:
        """The operator asks it to hand over."""

    def demoted(self, by: int, now: Instant) -> None:
        """From now on the host is so much poorer a master than it was set up to be."""

    def stop(self, now: Instant) -> None:
        """The operator asks it to end."""

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """The script of `job` is over; None: there was none to run."""

    def resumed(self, lost_frames: bool, due: Instant | None, now: Instant) -> None:
        """After a stall, when what had been waiting was passed on.

        `due` was the deadline before that.
        """
