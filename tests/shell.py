"""What tests of the shell share: a log in memory, the command, a network."""

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from carppcap.system.syslog import Level, Log
from tests.netns.namespaces import CLONE_NEWNET, Namespace

ROOT = Path(__file__).resolve().parents[1]
UCARP = "/usr/sbin/ucarp"
COMMAND = [sys.executable, "-m", "carppcap"]
TIMEOUT_S = 20.0


class MemoryLog(Log):
    """A log that keeps its lines, as (level, text)."""

    def __init__(self, *, debug: bool = False) -> None:
        super().__init__("carppcap", debug=debug)
        self.lines: list[tuple[str, str]] = []

    def write(self, level: Level, text: str, translated: str | None = None) -> None:
        self.lines.append((level.name, text))

    @property
    def texts(self) -> list[str]:
        """The sentences alone."""
        return [text for _, text in self.lines]


def environment(**changes: str) -> dict[str, str]:
    """Ours, so that a process finds this tree's carppcap wherever it is started."""
    return os.environ | {"PYTHONPATH": str(ROOT)} | changes


def run(
    *arguments: str, command: Sequence[str] = COMMAND, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and keep what it printed."""
    return subprocess.run(
        [*command, *arguments],
        check=False,
        timeout=TIMEOUT_S,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def wait_for(condition: Callable[[], object], what: str = "it") -> None:
    """Return once `condition` is true; `AssertionError` if it never is."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain for {what}"
        time.sleep(0.005)


def ip(command: str) -> None:
    """Run `ip` with the words of `command`, here."""
    subprocess.run(["ip", *command.split()], check=True)


def make_link(name: str = "a0", peer: str = "b0", address: str = "10.1.1.5") -> None:
    """A cable with two ends in this very network, the first with an address."""
    ip(f"link add {name} type veth peer name {peer}")
    ip(f"address add {address}/24 dev {name}")
    ip(f"link set {name} up")
    ip(f"link set {peer} up")


@contextmanager
def ipv6_network() -> Generator[None]:
    """Be in a network of our own with a cable, whose first end has fd00::5, too."""
    with network():
        for name in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("0")
        make_link()
        ip("address add fd00::5/64 dev a0 nodad")
        yield


@contextmanager
def network() -> Generator[None]:
    """Be in a network of our own, with nothing but `lo`; only the main thread is."""
    with open("/proc/thread-self/ns/net", "rb") as before:
        namespace = Namespace()
        try:
            with open(f"/proc/{namespace.pid}/ns/net", "rb") as inside:
                enter(inside.fileno())
            yield
        finally:
            enter(before.fileno())
            namespace.close()


def enter(descriptor: int) -> None:
    """Have this thread be in the network of an open file of /proc/*/ns/net."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
