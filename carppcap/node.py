"""All virtual hosts of this machine: who is meant, and who is due next.

A `Step` is all there is to know about one turn of a virtual host.  Timeline, log,
replay and simulation are folds over steps and rejections; the core calls none of
them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from carppcap.actions import Action, State
from carppcap.config import VirtualHostConfig
from carppcap.events import Event, Tick
from carppcap.frames import Datagram, Defect
from carppcap.fsm import VirtualHost
from carppcap.ingress import Ingress, Rejection, RejectReason
from carppcap.units import Instant


@dataclass(frozen=True, slots=True)
class Step:
    """What one event did to one virtual host.

    `interface` and `vhid` name the host; `state` and `deadline` are those after the
    event, and `actions` must be performed in their order.
    """

    at: Instant
    interface: str
    vhid: int
    event: Event
    actions: tuple[Action, ...]
    state: State
    deadline: Instant | None


class Node:
    """The virtual hosts of one machine, by interface and vhid.

    Instants must not decrease.  `draw_counter` gives each advert a fresh 64-bit
    number.
    """

    def __init__(
        self, configs: Iterable[VirtualHostConfig], draw_counter: Callable[[Instant], int]
    ) -> None:
        self._hosts: dict[tuple[str, int], VirtualHost] = {}
        by_interface: dict[str, list[VirtualHostConfig]] = {}
        for config in configs:
            key = (config.interface, config.vhid)
            assert key not in self._hosts  # the shell has refused that already
            self._hosts[key] = VirtualHost(config, draw_counter)
            by_interface.setdefault(config.interface, []).append(config)
        self._ingress = {name: Ingress(group) for name, group in by_interface.items()}

    @property
    def deadline(self) -> Instant | None:
        """The earliest instant at which `tick` has something to do."""
        earliest: Instant | None = None
        for host in self._hosts.values():
            due = host.deadline
            if due is not None and (earliest is None or due < earliest):
                earliest = due
        return earliest

    def host(self, interface: str, vhid: int) -> VirtualHost:
        """One virtual host, for those who need no `Step`."""
        return self._hosts[interface, vhid]

    def state(self, interface: str, vhid: int) -> State:
        """Where one virtual host stands."""
        return self._hosts[interface, vhid].state

    def handle(self, interface: str, vhid: int, event: Event, now: Instant) -> Step:
        """Pass `event` to one virtual host."""
        host = self._hosts[interface, vhid]
        actions = tuple(host.handle(event, now))
        return Step(now, interface, vhid, event, actions, host.state, host.deadline)

    def receive(
        self, interface: str, datagram: Datagram | Defect, now: Instant
    ) -> Step | Rejection | None:
        """Pass a decoded frame to whom it concerns; None: not our protocol."""
        verdict = self._ingress[interface].judge(datagram)
        if verdict is None or isinstance(verdict, Rejection):
            return verdict
        if self._hosts[interface, verdict.vhid].is_own(verdict.event.counter):
            assert isinstance(datagram, Datagram)
            return Rejection(RejectReason.OWN, datagram)
        return self.handle(interface, verdict.vhid, verdict.event, now)

    def tick(self, now: Instant) -> list[Step]:
        """Pass `Tick` to every virtual host that is due at `now`."""
        return [
            self.handle(interface, vhid, Tick(), now)
            for (interface, vhid), host in self._hosts.items()
            if host.deadline is not None and host.deadline <= now
        ]
