"""The IPv6 source that is chosen where none was given."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from ipaddress import IPv6Address
from pathlib import Path
from threading import Thread

import pytest

from carppcap.addresses import Address
from carppcap.daemon import ipv6_source as origin
from carppcap.daemon.ipv6_source import with_source
from carppcap.election.config import VirtualHostConfig
from carppcap.system.process import SignalPipe
from tests.builders import VIP, config
from tests.shell import MemoryLog, enter, ip, make_link, network, wait_for

pytestmark = pytest.mark.netns

OURS6, VIP6 = IPv6Address("fd00::5"), IPv6Address("fd00::fc")
BOTH = config(interface="a0", vips=(VIP, VIP6), source6=OURS6)


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with network():
        for name in ("all", "default"):
            Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").write_text("0")
        make_link()
        ip("address add fd00::5/64 dev a0 nodad")
        wait_for(lambda: Path("/sys/class/net/a0/carrier").exists)
        yield


NO_SOURCE = config(interface="a0", vips=(VIP6,), source=None)


class Waiting:
    """What is waited for, and how it went on."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.long_waits = 0

    def source(
        self, host: VirtualHostConfig = NO_SOURCE
    ) -> VirtualHostConfig | signal.Signals:
        numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
        before = [signal.getsignal(number) for number in numbers]
        try:
            with closing(SignalPipe(numbers)) as signals:
                return with_source(host, self.log, signals, self._wait)
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)

    def _wait(self) -> None:
        self.long_waits += 1


def sourced(host: VirtualHostConfig) -> VirtualHostConfig:
    """Return `host` with a source."""
    found = Waiting().source(host)
    assert isinstance(found, VirtualHostConfig)
    return found


def has_logged(log: MemoryLog, words: str) -> bool:
    return any(words in text for text in log.texts)


@contextmanager
def meanwhile(
    log: MemoryLog, *story: tuple[str, Callable[[], object]]
) -> Iterator[None]:
    """Do something, in a thread, once the log has the words before it."""

    def play() -> None:
        for words, act in story:
            wait_for(partial(has_logged, log, words))
            act()

    thread = Thread(target=play)
    thread.start()
    yield
    thread.join()


def do(*commands: str) -> Callable[[], None]:
    """Return what runs these commands of `ip`, in the network of this thread."""
    network = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def act() -> None:
        enter(network)
        for command in commands:
            ip(command)
        os.close(network)

    return act


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(config(interface="a0"), None, id="not-needed"),
        pytest.param(BOTH, OURS6, id="given"),
        pytest.param(
            config(interface="a0", vips=(VIP6,), peers=(IPv6Address("fd00::9"),)),
            OURS6,
            id="for-a-peer",
        ),
    ],
)
def test_source(host: VirtualHostConfig, expected: Address | None) -> None:
    """A source is chosen where one is needed and none was given."""
    assert sourced(host).source6 == expected


def test_source_for_the_group() -> None:
    """It is link-local, which is there a moment after the interface came up."""
    ip("address flush dev a0 scope link")
    ip("link set a0 down")
    ip("link set a0 up")
    waiting = Waiting()
    found = waiting.source()

    assert isinstance(found, VirtualHostConfig)
    assert found.source6 is not None
    assert found.source6.is_link_local
    using = f"Using [{found.source6}] as IPv6 source address on a0"
    assert waiting.log.lines[-1] == ("INFO", using)


def test_an_address_that_is_being_checked_is_waited_for() -> None:
    """Each start chooses the same one, however soon after the interface came up."""
    ip("address flush dev a0 scope link")
    ip("link set a0 down")
    ip("link set a0 up")
    ip("address add fd00::5/64 dev a0 nodad")
    found = sourced(NO_SOURCE).source6

    assert found is not None
    assert found.is_link_local


MISSING = "a0 is not there yet: waiting for it"
DOWN = "a0 is down: waiting for it"
LACKING = "a0 has no IPv6 address to send from: waiting for one (or give --srcip)"


def test_an_interface_that_comes_later() -> None:
    """It is waited for, with a line for each thing that is missing."""
    ip("link delete a0")
    waiting = Waiting()
    story = (
        (MISSING, do("link add a0 type veth peer name b0", "link set b0 up")),
        (DOWN, do("link set a0 addrgenmode none", "link set a0 up")),
        (LACKING, do("address add fd00::6/64 dev a0 nodad")),
    )
    with meanwhile(waiting.log, *story):
        found = waiting.source()

    assert isinstance(found, VirtualHostConfig)
    assert found.source6 == IPv6Address("fd00::6")
    assert waiting.log.texts[:3] == [MISSING, DOWN, LACKING]
    assert waiting.long_waits


def test_a_long_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was to be short may be long, too."""
    monkeypatch.setattr(origin, "SHORT_WAIT_NS", 10_000_000)
    ip("-6 address flush dev a0")
    waiting = Waiting()
    add = do("address add fd00::6/64 dev a0 nodad")

    def add_later() -> None:
        wait_for(lambda: waiting.long_waits)
        add()

    with meanwhile(waiting.log, (LACKING, add_later)):
        found = waiting.source()

    assert isinstance(found, VirtualHostConfig)


def test_signals_while_waiting() -> None:
    """They are heeded as at any other time, but for a hand-over."""
    ip("link delete a0")
    waiting = Waiting()

    def send(number: signal.Signals) -> Callable[[], None]:
        return lambda: os.kill(os.getpid(), number)

    story = (
        (MISSING, send(signal.SIGUSR2)),
        (MISSING, send(signal.SIGUSR1)),
        ("INIT on a0 id 7", send(signal.SIGTERM)),
    )
    with meanwhile(waiting.log, *story):
        assert waiting.source() is signal.SIGTERM
    assert waiting.log.texts == [MISSING, "INIT on a0 id 7"]
