"""What a service manager is told: on paths and abstract names, in time, not waiting."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from carppcap.system import supervision
from carppcap.units import NS_PER_MS, NS_PER_S


@pytest.fixture(autouse=True)
def unsupervised_afterwards() -> Iterator[None]:
    yield
    supervision.begin({})


def manager_at(address: str) -> socket.socket:
    """The socket of a manager, which is bound to `address`."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.setblocking(False)
    manager.bind(address)
    return manager


def told(manager: socket.socket) -> list[str]:
    """What the manager has been told since the last call."""
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.mark.parametrize("is_abstract", [False, True])
def test_state_and_status(tmp_path: Path, is_abstract: bool) -> None:
    """A manager has its socket in the file system, or, as in containers, abstract."""
    name = f"carppcap-test-{os.getpid()}"
    given, bound = (
        (f"@{name}", f"\0{name}") if is_abstract else (str(tmp_path / "s"),) * 2
    )
    with closing(manager_at(bound)) as manager:
        supervision.begin({"NOTIFY_SOCKET": given})
        supervision.tell(READY="1", STATUS="BACKUP on eth0 id 42")

        assert told(manager) == ["READY=1\nSTATUS=BACKUP on eth0 id 42"]
        assert supervision.feed(NS_PER_S) is None
        assert told(manager) == []


def test_states_of_groups(tmp_path: Path) -> None:
    """That of a single one, and how many of several are what."""
    path = str(tmp_path / "s")
    with closing(manager_at(path)) as manager:
        supervision.begin({"NOTIFY_SOCKET": path})
        supervision.tell_state("eth0 id 1", "BACKUP", "startup")
        supervision.tell_state("eth0 id 2", "BACKUP", "startup")
        supervision.tell_state("eth1 id 1", "BACKUP", "startup")
        supervision.tell_state("eth0 id 1", "MASTER", "master_down")

        assert told(manager) == [
            "STATUS=BACKUP on eth0 id 1 (startup)",
            "STATUS=2 BACKUP",
            "STATUS=3 BACKUP",
            "STATUS=2 BACKUP, 1 MASTER",
        ]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_nobody_listens(environment: dict[str, str]) -> None:
    """Without a manager, or with one that is reached in a way we do not speak."""
    supervision.begin(environment | {"WATCHDOG_USEC": "1000"})

    supervision.tell(READY="1")
    assert supervision.feed(NS_PER_S) is None


def test_scripts_do_not_speak_for_the_daemon(tmp_path: Path) -> None:
    """The variables are removed; all others stay."""
    environment = {
        "NOTIFY_SOCKET": str(tmp_path / "s"),
        "WATCHDOG_USEC": "1000000",
        "WATCHDOG_PID": str(os.getpid()),
        "PATH": "/bin",
    }
    supervision.begin(environment)

    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    ("usec", "process", "is_watched"),
    [
        ("200000", "", True),
        ("200000", "ours", True),
        ("200000", "another", False),
        ("", "", False),
        ("soon", "", False),
    ],
)
def test_watchdog(tmp_path: Path, usec: str, process: str, is_watched: bool) -> None:
    """A sign of life in every half interval, however often the loop turns."""
    path = str(tmp_path / "s")
    with closing(manager_at(path)) as manager:
        pids = {"": "", "ours": f"{os.getpid()}", "another": f"{os.getppid()}"}
        variables = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pids[process]}
        supervision.begin({"NOTIFY_SOCKET": path} | variables)
        next_at = [
            supervision.feed(NS_PER_S + since_ms * NS_PER_MS)
            for since_ms in (0, 1, 99, 100, 150)
        ]

        if is_watched:
            due = [NS_PER_S + ms * NS_PER_MS for ms in (100, 100, 100, 200, 200)]
            assert next_at == due
            assert told(manager) == ["WATCHDOG=1"] * 2
        else:
            assert next_at == [None] * 5
            assert told(manager) == []


def test_a_manager_that_does_not_listen_for_a_while(tmp_path: Path) -> None:
    """What could not be sent is sent later, only the latest of each field."""
    path = str(tmp_path / "s")
    supervision.begin({"NOTIFY_SOCKET": path})
    supervision.tell(READY="1")
    supervision.tell(STATUS="BACKUP")
    supervision.tell(STATUS="MASTER")
    assert supervision.feed(NS_PER_S) == NS_PER_S + supervision.RETRY_NS

    with closing(manager_at(path)) as manager:
        assert supervision.feed(2 * NS_PER_S) is None
        assert told(manager) == ["READY=1\nSTATUS=MASTER"]


def test_a_manager_whose_queue_is_full(tmp_path: Path) -> None:
    """The daemon does not wait for it."""
    path = str(tmp_path / "s")
    with closing(manager_at(path)) as manager:
        supervision.begin({"NOTIFY_SOCKET": path})
        count = 0
        while supervision.feed(0) is None:
            supervision.tell(STATUS=str(count))
            count += 1

        assert f"STATUS={count - 1}" not in told(manager)
        supervision.feed(NS_PER_S)
        assert told(manager) == [f"STATUS={count - 1}"]
