"""One interface, and all that can happen to it."""

import errno
import os
import resource
import select
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from carppcap.daemon.group_link import GroupLink, LinkEvent
from carppcap.daemon.interface import Interface
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, LinkDown, LinkUp, MacChanged
from carppcap.errors import LinkError
from carppcap.filter.bpf import WIDE, Sieve, filter_text
from carppcap.system.capture import (
    READ_TIMEOUT_MS,
    READ_TIMEOUT_SUBSECOND_MS,
    LiveCapture,
    SendError,
    StampedFrame,
)
from carppcap.system.link import LinkStatus
from carppcap.system.syslog import Log
from carppcap.units import NS_PER_MS
from carppcap.wire.decode import LinkType
from carppcap.wire.encode import build_announcement
from tests.builders import LOWER, OURS, VIP, config, frame, payload
from tests.shell import MemoryLog, ip, make_link, network, wait_for

pytestmark = pytest.mark.netns

HOST = config(interface="a0")
ADVERT = frame(payload(config(source=LOWER)))
IGMP_OF_GROUP = "120000E0"


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with network():
        make_link()
        wait_for(lambda: Path("/sys/class/net/a0/carrier").exists)
        yield


class LinkNews(NamedTuple):
    """What one group gets of a refresh of its interface."""

    events: tuple[LinkEvent, ...]
    needs_retry: bool


class OneGroup(Interface):
    """An interface with the link of its only group."""

    def __init__(self, host: VirtualHostConfig, log: Log, **how: bool) -> None:
        super().__init__([host], log)
        self.link = GroupLink(self, host, log, **how)

    @property
    def usable(self) -> bool:
        return self.link.usable

    @property
    def config(self) -> VirtualHostConfig:
        return self.link.config

    def look(self) -> LinkNews:
        refreshed = self.refresh()
        return LinkNews(self.link.news(refreshed), refreshed.needs_retry)


class Subject:
    """Interface a0, and what was logged."""

    def __init__(
        self,
        host: VirtualHostConfig = HOST,
        *,
        ignore_link_state: bool = False,
        any_source6: bool = False,
    ) -> None:
        self.log = MemoryLog(debug=True)
        self.interface = OneGroup(
            host,
            self.log,
            ignore_link_state=ignore_link_state,
            any_source6=any_source6,
        )

    def after(self, command: str) -> list[LinkEvent]:
        """Run `ip COMMAND`, and return all events that come of it."""
        ip(command)
        return self.news()

    def news(self) -> list[LinkEvent]:
        found: list[LinkEvent] = []
        while select.select([self.interface.monitor], [], [], 0.05)[0]:
            found.extend(self.interface.look().events)
        return found

    def said(self) -> list[tuple[str, str]]:
        """Return the lines logged since the last call, without debug lines."""
        lines, self.log.lines = self.log.lines, []
        return [line for line in lines if line[0] != "DEBUG"]

    def hears(self) -> bool:
        """True if an advert sent at the other end arrives."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far:
            far.bind(("b0", 0))
            far.send(ADVERT)
        frames: list[StampedFrame] = []
        while (
            not frames and select.select(self.interface.descriptors(), [], [], 0.3)[0]
        ):
            frames = self.interface.read()
            if select.select([self.interface.monitor], [], [], 0)[0]:
                self.interface.look()
        return [data for _, data in frames] == [ADVERT]


@pytest.fixture
def subject() -> Iterator[Subject]:
    made = Subject()
    wait_for(lambda: made.interface.look().events or made.interface.usable)
    made.said()
    with closing(made.interface):
        yield made


def until_usable(interface: OneGroup) -> list[LinkNews]:
    """Refresh `interface` until it reports `LinkUp`; return that news."""
    news: list[LinkNews] = []

    def is_usable() -> bool:
        news[:] = [interface.look()]
        return LinkUp() in news[0].events

    wait_for(is_usable)
    return news


def groups() -> str:
    return Path("/proc/thread-self/net/igmp").read_text()


def test_in_use(subject: Subject) -> None:
    """It hears, sends, is a member of the group, and knows its MAC."""
    interface = subject.interface

    assert interface.usable
    assert interface.link_type is LinkType.ETHERNET
    assert interface.mac == interface.status.mac != bytes(6)
    assert len(interface.descriptors()) == 2
    assert IGMP_OF_GROUP in groups()
    assert subject.hears()
    assert interface.dropped == 0
    interface.send(ADVERT)


DEAF = Sieve(narrow=True, slices=2, turn=LOWER.packed[-1] & 1 ^ 1)
"""Drops frames of the address that the adverts of these tests come from."""


def test_a_sieve(subject: Subject) -> None:
    """It is in force until the next one; an interface made again begins wide."""
    for _ in range(2):
        subject.interface.sift(DEAF)
    assert not subject.hears()

    subject.after("link delete a0")
    subject.interface.sift(DEAF)
    make_link()
    wait_for(lambda: LinkUp() in subject.news())
    assert subject.hears()

    subject.interface.sift(DEAF)
    assert not subject.hears()

    subject.interface.sift(WIDE)
    assert subject.hears()
    mac = subject.interface.mac
    said = [text for _, text in subject.log.lines if text.startswith("BPF")]
    assert said[0] == f"BPF rule: [{filter_text([HOST], DEAF)}]"
    assert said[2:] == [
        f"BPF rule: [{filter_text([HOST], sieve, mac)}]" for sieve in (DEAF, WIDE)
    ]


def test_rivals(subject: Subject) -> None:
    """Others are heard that claim our address; so is none with our MAC, an old one too.

    The filter follows a MAC that changes.
    """
    new_mac = bytes.fromhex("020000000099")
    claims = [
        build_announcement(mac, VIP)
        for mac in (subject.interface.mac, new_mac, bytes.fromhex("020000000009"))
    ]

    def heard() -> list[int]:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far:
            far.bind(("b0", 0))
            for claim in claims:
                far.send(claim)
            far.send(ADVERT)
        frames: list[bytes] = []
        while ADVERT not in frames:
            select.select(subject.interface.descriptors(), [], [], 3)
            frames += [data for _, data in subject.interface.read()]
        return [claims.index(data) for data in frames if data != ADVERT]

    assert heard() == [1, 2]

    subject.after("link set a0 address 02:00:00:00:00:99")
    subject.interface.sift(WIDE)
    assert heard() == [0, 2]


def test_a_sieve_that_cannot_be_put_in_force(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged once, the old sieve stays, and each call is another attempt."""

    def refuse(self: LiveCapture, bpf: str) -> None:
        raise LinkError("Unable to change the filter: {why}", why="no memory")

    with monkeypatch.context() as patched:
        patched.setattr(LiveCapture, "set_filter", refuse)
        for _ in range(2):
            subject.interface.sift(DEAF)
        assert subject.hears()
    assert subject.said() == [("WARNING", "Unable to change the filter: no memory")]

    subject.interface.sift(DEAF)
    assert not subject.hears()


def test_frames_from_our_address(subject: Subject) -> None:
    """They are heard, as another host may have it, but not in a flood."""
    ours = frame(payload(HOST), source=OURS)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far:
        far.bind(("b0", 0))
        capture = subject.interface.descriptors()[1]
        far.send(ours)
        assert select.select([capture], [], [], 3)[0]
        assert [data for _, data in subject.interface.read()] == [ours]

        subject.interface.sift(Sieve(narrow=True))
        far.send(ours)
        assert not select.select([capture], [], [], 0.1)[0]


def test_nomcast() -> None:
    """Broadcast adverts need no group."""
    subject = Subject(config(interface="a0", multicast=False))

    assert IGMP_OF_GROUP not in groups()
    subject.interface.close()


@pytest.mark.parametrize(
    ("advskew", "advbase", "timeout_ms"),
    [(0, 1, READ_TIMEOUT_MS), (20, 0, READ_TIMEOUT_SUBSECOND_MS)],
)
def test_read_timeout(advskew: int, advbase: int, timeout_ms: int) -> None:
    """Only intervals below a second are worth waking up every millisecond."""
    subject = Subject(config(interface="a0", advbase=advbase, advskew=advskew))

    assert subject.interface.read_delay_ns == 2 * timeout_ms * NS_PER_MS
    subject.interface.close()


def test_carrier(subject: Subject) -> None:
    """A cable is pulled and plugged in again."""
    assert subject.after("link set b0 down") == [LinkDown()]
    assert subject.said() == [("WARNING", "a0 has no carrier")]

    assert subject.after("link set b0 up") == [LinkUp()]
    assert subject.said() == [("WARNING", "a0 can be used again")]
    assert subject.hears()


def test_down_and_up(subject: Subject) -> None:
    """ucarp would end; carppcap uses the interface again."""
    assert subject.after("link set a0 down") == [LinkDown()]
    assert subject.said() == [("WARNING", "a0 is down")]
    with pytest.raises(SendError):
        subject.interface.send(ADVERT)
    assert subject.interface.read() == []

    assert subject.after("link set a0 up")[-1:] == [LinkUp()]
    assert subject.hears()


def test_gone_and_made_again(subject: Subject) -> None:
    """Another interface of the same name is used, with its own MAC."""
    old = subject.interface.mac
    assert subject.after("link delete a0") == [LinkDown()]
    assert subject.said()[0] == ("WARNING", "a0 is gone")
    assert subject.interface.mac == bytes(6)
    assert subject.interface.link_type is LinkType.ETHERNET
    assert len(subject.interface.descriptors()) == 1
    assert subject.interface.read() == []
    assert subject.interface.dropped == 0
    with pytest.raises(SendError, match=r"^a0 is not there$"):
        subject.interface.send(ADVERT)

    make_link()
    wait_for(lambda: LinkUp() in subject.news(), "the new interface")
    assert subject.interface.mac not in {old, bytes(6)}
    assert subject.hears()
    assert IGMP_OF_GROUP in groups()


def test_renamed(subject: Subject) -> None:
    """An interface that is in use stays the same, whatever its name."""
    ip("link set a0 down")
    ip("link set a0 name c0")
    ip("link add a0 type veth peer name d0")
    assert LinkDown() in subject.news()
    assert subject.interface.name == "c0"
    ip("link set c0 up")
    wait_for(lambda: LinkUp() in subject.news(), "the new name")
    assert subject.hears()
    assert ("WARNING", "a0 was renamed to c0") in subject.said()

    ip("link delete c0")
    subject.news()
    assert subject.interface.name == "a0"
    assert subject.interface.status.exists
    ip("link set a0 up")
    subject.news()
    ip("link set a0 down")
    ip("link set a0 name c0")
    ip("link set c0 name a0")
    subject.news()
    assert subject.interface.name == "a0"


def test_renamed_before_it_was_used() -> None:
    """It is the name that counts until then: udev may rename what the kernel named."""
    ip("link set a0 down")
    subject = Subject()
    ip("link set a0 name c0")
    assert subject.news() == []
    assert not subject.interface.status.exists

    make_link("a0", "d0")
    wait_for(lambda: LinkUp() in subject.news(), "the interface of our name")
    subject.interface.close()


def test_an_alias() -> None:
    """It is its interface for the kernel, and itself for scripts."""
    subject = Subject(config(interface="a0:1"))
    wait_for(lambda: subject.interface.look().events or subject.interface.usable)

    assert subject.hears()
    assert IGMP_OF_GROUP in groups()
    assert subject.interface.name == "a0:1"
    assert not subject.interface.forwards_ipv6
    ip("link set a0 down")
    ip("link set a0 name c0")
    subject.news()
    assert subject.interface.name == "c0"
    subject.interface.close()


def test_another_mac(subject: Subject) -> None:
    """The host is told of it once, and nothing else is news."""
    news = subject.after("link set a0 address 02:00:00:00:00:99")

    assert news == [MacChanged()]
    assert subject.interface.mac == bytes.fromhex("020000000099")
    said = ("INFO", "Local advertised ethernet address is [02:00:00:00:00:99]")
    assert subject.said() == [said]
    assert subject.after("link set a0 mtu 1400") == []


def test_another_mac_of_an_interface_made_again() -> None:
    """Also where its absence is ignored."""
    subject = Subject(ignore_link_state=True)
    with closing(subject.interface):
        subject.after("link del a0")
        make_link()
        ip("link set a0 address 02:00:00:00:00:99")

        assert MacChanged() in subject.news()


def test_without_our_address(subject: Subject) -> None:
    """A host without its address cannot take part."""
    assert subject.after(f"address delete {OURS}/24 dev a0") == [LinkDown()]
    assert subject.said() == [("WARNING", "a0 has lost our address 10.1.1.5")]

    assert subject.after(f"address add {OURS}/24 dev a0") == [LinkUp()]


def test_another_reason_is_said(subject: Subject) -> None:
    """The last line tells what is missing now; each reason is logged once."""
    subject.after("link set b0 down")
    subject.after(f"address delete {OURS}/24 dev a0")
    subject.said()
    subject.after("link set b0 up")
    subject.after("address add 10.3.0.1/32 dev a0")

    warnings = [text for level, text in subject.said() if level == "WARNING"]
    assert warnings == ["a0 has lost our address 10.1.1.5"]
    assert subject.after(f"address add {OURS}/24 dev a0") == [LinkUp()]


def test_a_virtual_address_that_goes(subject: Subject) -> None:
    """`AddressesLost` is reported once; the interface stays usable."""
    assert subject.after("address add 10.1.1.252/32 dev a0") == []

    ip("address delete 10.1.1.252/32 dev a0")
    news = [subject.interface.look() for _ in range(2)]

    assert news == [LinkNews((AddressesLost(),), False), LinkNews((), False)]
    assert subject.said() == [("INFO", "10.1.1.252 is no longer on a0")]


def test_ignoring_the_state() -> None:
    """With -S there are no events, and a new interface is opened all the same."""
    subject = Subject(ignore_link_state=True)
    subject.news()

    for command in ("link set b0 down", "link set a0 down", "link delete a0"):
        assert subject.after(command) == []
    with pytest.raises(SendError):
        subject.interface.send(ADVERT)

    make_link()
    wait_for(lambda: subject.news() == [] and len(subject.interface.descriptors()) == 2)
    assert subject.hears()
    subject.interface.close()


def test_a_start_on_an_interface_that_is_down() -> None:
    """The daemon starts: the interface may come up later."""
    ip("link set a0 down")
    subject = Subject()
    assert not subject.interface.usable
    assert subject.said()[-1] == ("WARNING", "a0 is down")

    assert subject.after("link set a0 up")[-1:] == [LinkUp()]
    assert subject.hears()
    subject.interface.close()


def test_a_start_without_our_address() -> None:
    """There is a warning; the address may come later.  ucarp does not look."""
    subject = Subject(config(interface="a0", source=LOWER))

    assert subject.said()[0] == (
        "WARNING",
        "10.1.1.4 is not an address of a0 (--srcip)",
    )
    subject.news()
    assert subject.interface.usable

    subject.after(f"address add {LOWER}/32 dev a0")
    assert subject.after(f"address delete {LOWER}/32 dev a0") == [LinkDown()]
    subject.interface.close()


@pytest.mark.parametrize("ignore_link_state", [False, True])
def test_a_start_before_the_interface_is_there(ignore_link_state: bool) -> None:
    """It is waited for, also with -S; one line has its name, which may be wrong."""
    ip("link delete a0")
    subject = Subject(ignore_link_state=ignore_link_state)
    assert subject.said() == [("WARNING", "a0 is not there yet: waiting for it")]
    assert not subject.interface.usable
    assert subject.interface.name == "a0"
    with pytest.raises(SendError, match=r"^a0 is not there$"):
        subject.interface.send(ADVERT)

    ip("link add c0 type veth peer name d0")
    assert subject.news() == []
    make_link()
    wait_for(lambda: LinkUp() in subject.news(), "the interface")
    assert ("WARNING", "a0 can be used") in subject.said()
    assert subject.hears()

    subject.after("link delete a0")
    assert subject.interface.usable is ignore_link_state
    subject.interface.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no/0", r"^Unable to open interface \[no/0\]: no such interface$"),
        ("lo", r"^Unable to find MAC address of \[lo\]: not Ethernet$"),
    ],
)
def test_a_start_that_fails(name: str, why: str) -> None:
    """The error is one sentence that says what to correct."""
    ip("link set lo up")
    with pytest.raises(LinkError, match=why):
        Subject(config(interface=name))


def test_not_ethernet_any_more(subject: Subject) -> None:
    """It is logged once, tried again with every event, and not usable."""
    subject.after("link delete a0")
    subject.said()
    ip("link set lo down")
    ip("link set lo name a0")
    ip("link set a0 up")
    assert subject.news() == []
    assert subject.said()[-1] == (
        "WARNING",
        "Unable to find MAC address of [a0]: not Ethernet",
    )
    assert not subject.interface.usable
    for _ in range(3):
        assert subject.after("address add 10.3.0.1/32 dev a0") == []
        assert subject.after("address delete 10.3.0.1/32 dev a0") == []
    assert [text for level, text in subject.said() if level == "WARNING"] == []

    ip("link set a0 down")
    ip("link set a0 name lo")
    make_link()
    wait_for(lambda: LinkUp() in subject.news(), "a real interface")
    assert subject.hears()


class MuteMonitor:
    """A monitor that gets no answer from the kernel."""

    def drain(self) -> None:
        """Do nothing."""

    def status(self, index: int = 0) -> LinkStatus:
        raise LinkError(
            "Unable to get hardware info about an interface: {why}", why="x"
        )

    def close(self) -> None:
        """Do nothing."""


def test_a_kernel_that_does_not_answer(subject: Subject) -> None:
    """The status stays, the error is logged once, and a retry is asked for."""
    real, before = subject.interface.monitor, subject.interface.status
    subject.interface.monitor = MuteMonitor()  # type: ignore[assignment]

    news = [subject.interface.look() for _ in range(2)]

    assert news == [LinkNews((), needs_retry=True)] * 2
    subject.interface.monitor = real
    assert subject.interface.status == before
    assert subject.interface.usable
    assert subject.said() == [
        ("WARNING", "Unable to get hardware info about an interface: x")
    ]


def test_no_group_to_be_had() -> None:
    """The kernel has a limit.  The interface is used, as not every switch filters."""
    limit = Path("/proc/sys/net/ipv4/igmp_max_memberships")
    before = limit.read_text()
    limit.write_text("0")
    try:
        subject = Subject()
    finally:
        limit.write_text(before)

    [warning] = [text for level, text in subject.said() if level == "WARNING"]
    assert warning.startswith("Can't do IP_ADD_MEMBERSHIP errno=")
    assert subject.hears()
    subject.interface.close()


def test_frames_lost(subject: Subject) -> None:
    """The kernel counts them, and stops when no more are lost."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as far:
        far.bind(("b0", 0))

        def flooded() -> bool:
            for _ in range(500):
                far.send(ADVERT)
            return subject.interface.dropped > 0

        wait_for(flooded, "a full ring")

    assert subject.interface.dropped == subject.interface.dropped > 0


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Leave no descriptor to open during the context."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_made_again_without_descriptors(subject: Subject) -> None:
    """It is logged once, a retry is asked for, and the retry works."""
    subject.after("link delete a0")
    interface = subject.interface
    states = [(interface.usable, interface.look().needs_retry)]
    make_link()
    subject.said()

    with no_descriptors():
        subject.news()
        needs_retry = interface.look().needs_retry
        states.append((interface.usable, needs_retry))
        lines = subject.said()
    [news] = until_usable(interface)
    states.append((interface.usable, news.needs_retry))

    assert states == [(False, False), (False, True), (True, False)]
    assert len(lines) == 1
    assert "Too many open files" in lines[0][1]
    assert subject.hears()


def test_no_descriptor_for_the_group(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interface is used without being a member, and joins as soon as it can."""
    subject.after("link delete a0")
    make_link()
    subject.said()

    def refuse(*arguments: object) -> socket.socket:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(socket, "socket", refuse)
    until_usable(subject.interface)
    needs_retry = subject.interface.look().needs_retry
    before = (subject.interface.usable, needs_retry, IGMP_OF_GROUP in groups())
    monkeypatch.undo()
    needs_retry = subject.interface.look().needs_retry
    after = (subject.interface.usable, needs_retry, IGMP_OF_GROUP in groups())

    assert before == (True, True, False)
    assert after == (True, False, True)
    texts = [text for _, text in subject.said()]
    assert sum("Too many open files" in text for text in texts) == 1
