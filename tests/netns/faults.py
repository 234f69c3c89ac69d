"""Faults for scenarios and benchmarks: memory limits, and the kernel's lock held."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.netns.daemons import Daemon
from tests.netns.lab import Lab, wait_for
from tests.netns.namespaces import Namespace
from tests.netns.wire import NS_PER_S

PAIRS = 2000
"""Pairs of interfaces, for whose removal the kernel needs more than a second."""

_GROUPS = Path("/sys/fs/cgroup")
_PROBE = ("sh", "-c", "while echo && ip link set lo mtu 65535; do sleep 0.01; done")


def children_of(pid: int) -> list[int]:
    """Return the ids of the living processes that `pid` has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(") ")[2].split()[:2]
            if int(parent) == pid and state != "Z":
                found.append(int(stat.parent.name))
    return found


def keeper_of(daemon: Daemon) -> int:
    """Return the process id of the keeper of a carppcap; wait until it has one."""

    def find() -> int:
        for child in children_of(daemon.pid):
            with suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "carppcap-keeper\n":
                    return child
        return 0

    return wait_for("a keeper", find)


def limit_memory(pid: int, more_bytes: int = 0) -> None:
    """Let a process have only `more_bytes` of addresses beyond those that it has."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


class MemoryGroup:
    """A control group whose processes share a limit of memory.

    Raises `OSError` where it cannot be made.
    """

    def __init__(self) -> None:
        parent = _GROUPS / "memory"
        if not parent.is_dir():
            parent = _GROUPS
        self._path = parent / f"carp-lab-{os.getpid()}-{time.monotonic_ns()}"
        self._path.mkdir()
        for name in ("memory.max", "memory.limit_in_bytes"):
            self._limit = self._path / name
            if self._limit.exists():
                return
        self.close()
        raise OSError("no control groups that limit memory")

    def add(self, *pids: int) -> None:
        """Let these processes count from now on."""
        for pid in pids:
            (self._path / "cgroup.procs").write_text(f"{pid}\n")

    def limit(self, limit_bytes: int) -> None:
        """Kill a process of the group if all of them use more than `limit_bytes`."""
        self._limit.write_text(f"{limit_bytes}\n")

    def close(self) -> None:
        """Remove the group; the processes in it go on without the limit."""
        with suppress(OSError):
            for pid in (self._path / "cgroup.procs").read_text().split():
                (self._path.parent / "cgroup.procs").write_text(pid)
        with suppress(OSError):
            self._path.rmdir()


@contextmanager
def crowd(pairs: int = PAIRS) -> Iterator[Namespace]:
    """Yield a namespace of that many pairs of interfaces.

    While the kernel removes them, after the namespace was closed, it holds the lock
    that every change of an address needs.
    """
    namespace = Namespace(ipv6=True)
    try:
        lines = (
            f"link add a{number} type veth peer name b{number}\n"
            f"link set a{number} up\nlink set b{number} up\n"
            for number in range(pairs)
        )
        subprocess.run(
            namespace.command(["ip", "-batch", "-"]),
            input="".join(lines),
            text=True,
            check=True,
        )
        yield namespace
    finally:
        namespace.close()


def hold_lock(lab: Lab, namespace: Namespace) -> int:
    """Close `namespace`, made by `crowd`; return how long a change of a link waited.

    The time is in ns.  Return once the kernel has removed the interfaces.
    """
    with subprocess.Popen(
        lab.hosts[0].command(_PROBE), stdout=subprocess.PIPE
    ) as probe:
        assert probe.stdout
        probe.stdout.readline()
        longest_ns, last_ns = 0, time.monotonic_ns()
        namespace.close()
        end_ns = last_ns + 3 * NS_PER_S
        while last_ns < end_ns:
            probe.stdout.readline()
            longest_ns = max(longest_ns, time.monotonic_ns() - last_ns)
            last_ns = time.monotonic_ns()
            if longest_ns > NS_PER_S:
                break
        probe.kill()
    return longest_ns
