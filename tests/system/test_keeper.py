"""The keeper: what it holds, for how long, and what it says."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from carppcap.addresses import Address
from carppcap.election.tenure import tenure
from carppcap.system import keeper
from carppcap.system.keeper import Charge, Keeper, Survey
from carppcap.system.keeper_messages import MESSAGE_BYTES, Kind, Order, Report
from carppcap.system.kernel_addresses import Instance, Place
from carppcap.units import NS_PER_MS, NS_PER_S, Instant
from tests.builders import config

VIP = Place(ip_address("10.1.1.252"), 32)
VIP6 = Place(ip_address("fd00::252"), 128)
WIDE = Place(ip_address("10.1.1.252"), 24)
LINK_LOCAL = Place(ip_address("fe80::1"), 64)
BOTH = {VIP, VIP6}
LO = 1
WILL = (b"farewell", b"farewell6")


class FakeKernel:
    """Addresses of this host by interface; `deeds` are all changes."""

    def __init__(self) -> None:
        self.addresses: dict[tuple[int, Place], bool] = {}
        self.deeds: list[str] = []
        self.refuses = ""
        self.duplicates: set[Place] = set()

    def find(self, wanted: frozenset[Address]) -> list[Instance]:
        return [
            Instance(index, place, ours, place in self.duplicates)
            for (index, place), ours in self.addresses.items()
            if place.address in wanted
        ]

    def hold(self, index: int, place: Place, lifetime_s: int, metric: int = 0) -> None:
        if self.refuses == "hold":
            raise PermissionError(1, "Operation not permitted")
        self.deeds.append(f"hold {place} {lifetime_s} {metric}")
        self.addresses[index, place] = True

    def remove(self, index: int, place: Place) -> None:
        if self.refuses == "remove":
            raise PermissionError(1, "Operation not permitted")
        self.deeds.append(f"remove {place}")
        self.duplicates.discard(place)
        self.addresses.pop((index, place), None)


class Subject:
    """A keeper, its daemon and its clock, which begins at 0."""

    def __init__(
        self, patch: pytest.MonkeyPatch, places: tuple[Place, ...] = (VIP, VIP6)
    ) -> None:
        self.now: Instant = 0
        patch.setattr(keeper, "now_ns", lambda: self.now)
        self.kernel = FakeKernel()
        self.sent: list[tuple[bytes, str]] = []
        self.daemon, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.events, removals = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.opened = (self.daemon, channel, self.events, removals)
        for each in self.opened:
            each.setblocking(False)
        self.keeper = Keeper(
            [Charge(places, tenure(config()), 7)],
            self.kernel,
            channel,
            removals,
            lambda frame, link: self.sent.append((frame, link)),
        )
        self.number = 0
        self.interface = "lo"

    def order(self, kind: Kind, at_ms: int | None = None) -> Order:
        self.number += 1
        at = self.now if at_ms is None else at_ms * NS_PER_MS
        order = Order(kind, self.number, at, self.interface, "eth0", WILL)
        self.daemon.send(order.encode())
        return order

    def obey(self, kind: Kind, at_ms: int | None = None) -> Report:
        """What comes of an order."""
        order = self.order(kind, at_ms)
        assert self.keeper.obey()
        [report] = self.reports()
        assert report.number == order.number
        return report

    def reports(self) -> list[Report]:
        found = []
        while True:
            try:
                found.append(Report.decode(self.daemon.recv(MESSAGE_BYTES)))
            except BlockingIOError:
                return found

    def wait_until(self, ms: int) -> list[str]:
        """What is done in time until then."""
        self.kernel.deeds.clear()
        until = ms * NS_PER_MS
        while (due := self.keeper.deadline) is not None and due <= until:
            self.now = due
            self.keeper.meet_deadline(self.now)
        self.now = until
        return self.kernel.deeds

    @property
    def held(self) -> set[Place]:
        return {place for index, place in self.kernel.addresses if index == LO}


@pytest.fixture
def subject(monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    made = Subject(monkeypatch)
    yield made
    for each in made.opened:
        each.close()


@pytest.fixture
def link_local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """A keeper of a link-local address, which another carppcap has on interface 9."""
    made = Subject(monkeypatch, (LINK_LOCAL,))
    made.kernel.addresses = {(9, LINK_LOCAL): True}
    yield made
    for each in made.opened:
        each.close()


HOLDS = {f"hold {place} 2 7" for place in BOTH}
REMOVALS = {f"remove {place}" for place in BOTH}


def test_messages() -> None:
    """They are read as they were written."""
    order = Order(Kind.TAKE, 3, 10**18, "carp7.eth0", "eth0", (b"a\0", b"b"))
    report = Report(3, False, ("line",), ("left",), True)

    assert Order.decode(order.encode()) == order
    assert Report.decode(report.encode()) == report


def test_adverts_go_on(subject: Subject) -> None:
    """A refresh at each advert, and one in between."""
    assert subject.obey(Kind.TAKE) == Report(1, was_lost=True)
    assert set(subject.kernel.deeds) == HOLDS
    assert sorted(subject.wait_until(1000)) == sorted(HOLDS)
    assert subject.obey(Kind.KEEP) == Report(2)
    assert sorted(subject.kernel.deeds) == sorted([*HOLDS, *HOLDS])
    assert subject.obey(Kind.TAKE) == Report(3)


def test_adverts_cease(subject: Subject) -> None:
    """Everything is removed 2.65 s after the last one, and that is reported."""
    subject.obey(Kind.TAKE)
    assert set(subject.wait_until(2649)) == HOLDS
    assert set(subject.wait_until(2650)) == REMOVALS
    assert subject.reports() == [Report(0)]
    assert subject.keeper.deadline is None

    # A permission alone does not take them again: the daemon decides.
    subject.kernel.deeds.clear()
    subject.obey(Kind.KEEP)
    assert subject.kernel.deeds == []


@pytest.mark.parametrize(
    ("late_ms", "refreshes"), [(0, 2), (650, 2), (651, 0), (2649, 0)]
)
def test_a_permission_that_is_read_late(
    subject: Subject, late_ms: int, refreshes: int
) -> None:
    """It counts from its advert: a refresh after the window would last too long."""
    subject.obey(Kind.TAKE)
    subject.now = (1000 + late_ms) * NS_PER_MS
    subject.kernel.deeds.clear()

    subject.obey(Kind.KEEP, 1000)

    assert len(subject.kernel.deeds) == refreshes


def test_many_permissions_at_once(subject: Subject) -> None:
    """Only the last one counts, and refreshes are 100 ms apart."""
    subject.obey(Kind.TAKE)
    subject.kernel.deeds.clear()
    for ms in (20, 40, 60):
        subject.order(Kind.KEEP, ms)
    subject.now = 60 * NS_PER_MS
    subject.keeper.obey()

    assert [report.number for report in subject.reports()] == [2, 3, 4]
    assert subject.kernel.deeds == []
    assert set(subject.wait_until(100)) == HOLDS


@pytest.mark.parametrize("kind", [Kind.DROP, Kind.CLEAR])
def test_letting_go(subject: Subject, kind: Kind) -> None:
    """Nothing is held or refreshed any more, and there is no last will."""
    subject.obey(Kind.TAKE)

    assert subject.obey(kind) == Report(2)

    assert subject.held == set()
    assert subject.keeper.deadline is None
    subject.obey(Kind.KEEP)
    subject.keeper.carry_out_will()
    assert (subject.held, subject.sent) == (set(), [])


@pytest.mark.parametrize("is_late", [False, True])
def test_last_will(subject: Subject, is_late: bool) -> None:
    """Everything is removed, then the farewell is sent, unless it is too late."""
    subject.obey(Kind.TAKE)
    subject.kernel.addresses[5, WIDE] = False
    subject.now = (2650 if is_late else 2649) * NS_PER_MS

    subject.daemon.close()
    assert not subject.keeper.obey()
    subject.keeper.carry_out_will()

    assert subject.kernel.addresses == {}
    assert subject.sent == ([] if is_late else [(frame, "eth0") for frame in WILL])


def test_last_will_of_one_that_cannot_let_go(subject: Subject) -> None:
    """It invites no successor."""
    subject.obey(Kind.TAKE)
    subject.kernel.refuses = "remove"

    subject.keeper.carry_out_will()

    assert subject.sent == []


def test_last_orders(subject: Subject) -> None:
    """They are carried out although the daemon has ended, also with reports unread."""
    subject.obey(Kind.TAKE)
    subject.order(Kind.KEEP)
    subject.keeper.obey()
    subject.order(Kind.DROP)
    subject.daemon.close()

    assert not subject.keeper.obey()
    assert subject.held == set()


def test_other_instances(subject: Subject) -> None:
    """They are named and removed by a master; ours has its lifetime back."""
    subject.kernel.addresses = {(LO, WIDE): False, (LO, VIP): False, (99, VIP6): False}

    report = subject.obey(Kind.TAKE)

    assert report.ok
    assert report.was_lost
    assert [line.partition(": ")[0] for line in report.lines] == [
        "Removing 10.1.1.252/24 from lo",
        "Removing fd00::252/128 from interface 99",
    ]
    assert report.lines[0].endswith(": a master has it as 10.1.1.252/32 on lo only")
    assert set(subject.kernel.addresses) == {(LO, VIP), (LO, VIP6)}


def test_start(subject: Subject) -> None:
    """What a crash left is removed, what another program has set is only named."""
    subject.kernel.addresses = {(LO, WIDE): False, (LO, VIP6): True}

    first = subject.obey(Kind.DROP)
    subject.kernel.addresses[LO, VIP6] = True
    second = subject.obey(Kind.DROP)

    assert first.lines == (
        "Removed fd00::252/128 from lo: an earlier carppcap left it there",
    )
    assert second.lines == ()
    assert first.left == second.left == ("10.1.1.252/24 is on lo",)
    assert not first.ok
    assert subject.obey(Kind.CLEAR).ok
    assert subject.kernel.addresses == {}


@pytest.mark.parametrize("last", [Kind.DROP, Kind.CLEAR, None])
def test_link_local_address_of_another_interface(
    link_local: Subject, last: Kind | None
) -> None:
    """It is another address, and stays; None is the last will."""
    link_local.kernel.addresses[LO, LINK_LOCAL] = True
    first = link_local.obey(Kind.DROP)
    assert [line.partition(": ")[0] for line in first.lines] == [
        "Removed fe80::1/64 from lo"
    ]

    assert link_local.obey(Kind.TAKE) == Report(2, was_lost=True)
    assert link_local.held == {LINK_LOCAL}
    if last is None:
        link_local.keeper.carry_out_will()
    else:
        assert link_local.obey(last).ok

    assert link_local.kernel.addresses == {(9, LINK_LOCAL): True}


def test_link_local_address_of_an_interface_that_is_gone(link_local: Subject) -> None:
    """There is nothing to remove, and no error."""
    link_local.interface = "no-such-link"

    assert link_local.obey(Kind.CLEAR) == Report(1)
    assert link_local.kernel.addresses == {(9, LINK_LOCAL): True}


def test_address_that_the_kernel_holds_for_a_duplicate(subject: Subject) -> None:
    """It is set again, since the kernel does not use it as it is."""
    subject.obey(Kind.TAKE)
    subject.kernel.deeds.clear()
    subject.kernel.duplicates = {VIP6}

    assert subject.obey(Kind.TAKE) == Report(2, was_lost=True)
    assert subject.kernel.deeds[0] == f"remove {VIP6}"
    assert set(subject.kernel.deeds[1:]) == HOLDS


def test_interface_that_is_gone(subject: Subject) -> None:
    """The line tells why nothing is set."""
    subject.interface = "no-such-link"

    [line] = subject.obey(Kind.TAKE).lines
    assert line == (
        "Unable to change addresses on no-such-link: no interface with this name"
    )


def test_too_late_to_take(subject: Subject) -> None:
    """An order that is read when peers have taken over takes nothing."""
    subject.now = 2650 * NS_PER_MS

    assert subject.obey(Kind.TAKE, 0) == Report(1, ok=False)
    assert subject.held == set()


def test_an_address_that_cannot_be_set(subject: Subject) -> None:
    """None is held, rather than some."""
    subject.obey(Kind.TAKE)
    subject.kernel.refuses = "hold"

    report = subject.obey(Kind.TAKE)

    why = "Unable to change addresses on lo: Operation not permitted"
    assert report == Report(2, False, (why,))
    assert subject.held == set()


def test_an_interface_that_is_gone_at_a_refresh(subject: Subject) -> None:
    """No error; the event of the removal tells."""
    subject.obey(Kind.TAKE)
    subject.kernel.refuses = "hold"
    subject.now = NS_PER_S

    assert subject.obey(Kind.KEEP) == Report(2)


def test_losses(subject: Subject) -> None:
    """What was removed by another program is reported once, and the rest is kept."""
    subject.obey(Kind.TAKE)
    subject.events.send(b"event")
    subject.keeper.look_for_losses()
    assert subject.reports() == []

    del subject.kernel.addresses[LO, VIP]
    subject.events.send(b"event")
    subject.keeper.look_for_losses()
    subject.keeper.look_for_losses()
    assert subject.reports() == [Report(0)]

    subject.now = NS_PER_S
    subject.obey(Kind.KEEP)
    assert subject.held == {VIP6}


def test_a_whole_life(subject: Subject) -> None:
    """Orders, events and deadlines from the loop itself, up to the last will."""
    subject.order(Kind.TAKE)
    subject.events.send(b"event")
    subject.daemon.shutdown(socket.SHUT_WR)

    subject.keeper.run()

    assert subject.held == set()
    assert [frame for frame, _ in subject.sent] == list(WILL)
    assert [report.number for report in subject.reports()] == [1]


def test_a_daemon_that_reads_nothing(subject: Subject) -> None:
    """It does not hold up the keeper."""
    subject.obey(Kind.TAKE)
    for _ in range(3000):
        subject.order(Kind.KEEP)
        assert subject.keeper.obey()


class Looked(FakeKernel):
    """A kernel that counts how often it was looked at."""

    looks = 0

    def find(self, wanted: frozenset[Address]) -> list[Instance]:
        self.looks += 1
        return super().find(wanted)


def test_one_look_for_many_groups() -> None:
    """What was found counts once for each group: it may have changed it since."""
    kernel = Looked()
    survey = Survey(kernel, frozenset((VIP.address, VIP6.address)))
    kernel.hold(3, VIP, 1)

    found = [survey.find(frozenset((each.address,))) for each in (VIP, VIP6)]
    assert [len(instances) for instances in found] == [1, 0]
    assert kernel.looks == 1

    kernel.remove(3, VIP)
    assert survey.find(frozenset((VIP.address,))) == []
    survey.begin()
    assert survey.find(frozenset((VIP6.address,))) == []
    assert kernel.looks == 3
