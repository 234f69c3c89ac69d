"""The interfaces between a host and the program on it."""

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
        """End the program.  The address stays as it is."""


class Program(Protocol):
    """What takes part in the election; instants are those of the host's clock."""

    @property
    def deadline(self) -> Instant | None:
        """When to call `wake`; ask again after every other call."""

    def start(self, now: Instant) -> None:
        """The host or the process starts."""

    def frame_arrived(self, frame: bytes, now: Instant) -> None:
        """A frame has arrived at `now`, which may be some time ago."""

    def wake(self, now: Instant) -> None:
        """The deadline has come."""

    def link_changed(self, now: Instant) -> None:
        """The carrier was lost or has returned."""

    def step_down(self, now: Instant) -> None:
        """The operator asks the program to step down."""

    def demoted(self, by: int, now: Instant) -> None:
        """The demotion of the host, added to the configured one, is now `by`."""

    def stop(self, now: Instant) -> None:
        """The operator asks the program to end."""

    def script_ended(self, job: Job, exit_code: int | None, now: Instant) -> None:
        """The script of `job` has ended; `exit_code` None: there is no script."""

    def resumed(self, lost_frames: bool, due: Instant | None, now: Instant) -> None:
        """The process continues after a stall; waiting frames have been passed on.

        `due` was the deadline when it was stopped.
        """
