"""The programs whose addresses are followed, each as it holds them best.

carppcap holds them itself (`--own-addresses`), ucarp by its scripts, and keepalived by
its configuration.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from tests.bench.holders.play import UnplayableError
from tests.bench.keepalived import (
    KEEPALIVED,
    Instance,
    advert_times_ns,
    is_installed,
)
from tests.bench.stage import OURS, UCARP, await_holder
from tests.netns.daemons import Daemon
from tests.netns.faults import children_of, keeper_of
from tests.netns.lab import Host, Lab, wait_for

PROGRAMS = (OURS, UCARP, KEEPALIVED)
RIVALS = (UCARP, KEEPALIVED)
CARP = (OURS, UCARP)
"""Those that can be in a group with others."""

SKEW = 50
"""How much worse each host is than the one before it, as a skew or a priority."""


class Processes(NamedTuple):
    """The processes of a daemon: the one that sends adverts, and its companion.

    The companion is the keeper of carppcap and the parent of keepalived.  ucarp has
    none, so `all` is its only process.
    """

    sender: int
    companion: int = 0

    @property
    def all(self) -> tuple[int, ...]:
        """The ids of all processes; the companion, which may notice a fault, first."""
        return tuple(pid for pid in (self.companion, self.sender) if pid)


def processes(daemon: Daemon) -> Processes:
    """Return the process ids of a daemon that is at work."""
    match daemon.program:
        case "carppcap":
            return Processes(daemon.pid, keeper_of(daemon))
        case "keepalived":
            [sender] = wait_for("its child", lambda: children_of(daemon.pid))
            return Processes(sender, daemon.pid)
        case _:
            return Processes(daemon.pid)


def begin(
    host: Host, program: str, rank: int, flags: str = "", before: Sequence[str] = ()
) -> Daemon:
    """Start `program` on `host` as the choice number `rank`; return the daemon.

    `flags` are more flags for CARP, `before` is that of `Host.start`.  Raises
    `UnplayableError` if the program is not installed.
    """
    if program == KEEPALIVED:
        if not is_installed():
            raise UnplayableError("is not installed")
        return Instance(priority=200 - SKEW * rank).start(host, before)
    if program == OURS:
        flags += " --own-addresses"
    flags += f" -k {SKEW * rank}"
    return host.start(program, flags, scripts=program == UCARP, before=before)


def calm(lab: Lab, *programs: str, before: Sequence[str] = ()) -> list[Daemon]:
    """Start a program on each host of `lab`; return the daemons.

    The first is master then, and the others have heard it as backups.
    """
    master = begin(lab.hosts[0], programs[0], 0, before=before)
    await_holder(lab, lab.hosts[0])
    others = [
        begin(host, program, rank)
        for rank, (host, program) in enumerate(
            zip(lab.hosts[1:], programs[1:], strict=True), 1
        )
    ]
    for other in others:
        wait_for(f"{other} to be a backup", partial(_is_backup, other))
    await_pace(lab.hosts[0], 2)
    return [master, *others]


def _is_backup(daemon: Daemon) -> bool:
    if daemon.program == KEEPALIVED:
        return bool(daemon.logged("Entering BACKUP STATE"))
    return daemon.state == "BACKUP"


def await_pace(host: Host, count: int) -> None:
    """Wait until `host` has sent `count` more adverts, be they CARP's or VRRP's."""
    wanted = len(advert_times_ns(host)) + count
    wait_for(f"adverts of {host}", lambda: len(advert_times_ns(host)) >= wanted)
