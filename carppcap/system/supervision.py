"""Tells the service manager that started this process how it is (sd_notify(3)).

    NOTIFY_SOCKET   where the datagrams go: a path, or @NAME in the abstract namespace
    WATCHDOG_USEC   the time without WATCHDOG=1 after which the manager kills us
    WATCHDOG_PID    the process that the watchdog is for

Without a manager, nothing here does anything.
"""

import os
import socket
from collections import Counter
from collections.abc import MutableMapping
from contextlib import suppress

from carppcap.units import NS_PER_S, NS_PER_US, Instant, Interval, earliest

RETRY_NS = NS_PER_S
"""Delay before what the manager could not take is sent again."""

_SOCKET, _INTERVAL, _PROCESS = "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"


class _Manager:
    """The connection to the manager.

    `interval_ns` is the time between two signs of life, or None without a watchdog.
    """

    def __init__(self, address: str, interval_ns: Interval | None) -> None:
        # Opened once: a process that is short of descriptors still tells that it lives.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address = address
        self._interval_ns = interval_ns
        self._feed_at: Instant = 0
        self._untold: dict[str, str] = {}

    def tell(self, fields: dict[str, str]) -> None:
        """Send `fields`, together with earlier ones that could not be sent."""
        self._untold |= fields
        message = "\n".join(f"{name}={value}" for name, value in self._untold.items())
        with suppress(OSError):
            self._socket.sendto(message.encode(), self._address)
            self._untold.clear()

    def feed(self, now: Instant) -> Instant | None:
        """Send a sign of life if one is due; return when to call this again."""
        if self._interval_ns is not None and now >= self._feed_at:
            self._feed_at = now + self._interval_ns
            self.tell({"WATCHDOG": "1"})
        elif self._untold:
            self.tell({})
        return earliest(
            self._feed_at if self._interval_ns is not None else None,
            now + RETRY_NS if self._untold else None,
        )

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


_managers: list[_Manager] = []
"""The one that supervises this process, or none."""

_states: dict[str, str] = {}
"""The state of each group."""


def begin(environment: MutableMapping[str, str]) -> None:
    """Be supervised as `environment` says, and remove that from it.

    Scripts inherit the environment, and must not speak for the daemon.  A second call
    replaces the first one.
    """
    address = environment.pop(_SOCKET, "")
    usec, process = environment.pop(_INTERVAL, ""), environment.pop(_PROCESS, "")
    interval_ns = None
    if usec.isdecimal() and process in ("", str(os.getpid())):
        interval_ns = int(usec) * NS_PER_US // 2  # as sd_watchdog_enabled(3) recommends
    _states.clear()
    while _managers:
        _managers.pop().close()
    if address.startswith("@"):
        address = f"\0{address[1:]}"
    if address.startswith(("/", "\0")):
        _managers.append(_Manager(address, interval_ns))


def tell(**fields: str) -> None:
    """Tell the manager `fields`, such as READY="1" or STATUS="a line for people"."""
    for manager in _managers:
        manager.tell(fields)


def tell_state(group: str, state: str, cause: str) -> None:
    """Tell the manager that `group` is now in `state`, as a line for people.

    If there are several groups, the line has the number of those in each state.
    """
    _states[group] = state
    if len(_states) == 1:
        tell(STATUS=f"{state} on {group} ({cause})")
    else:
        numbers = Counter(_states.values()).most_common()
        tell(STATUS=", ".join(f"{number} {each}" for each, number in numbers))


def feed(now: Instant) -> Instant | None:
    """Tell the manager, if that is due, that this process works.

    Call this in every turn of a loop that waits.  Return when to call it again at the
    latest, or None for any time.
    """
    return earliest(*(manager.feed(now) for manager in _managers))
