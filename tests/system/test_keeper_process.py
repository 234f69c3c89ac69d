"""The daemon's side of the keeper: real processes, which end, hang and are replaced."""

import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from carppcap.election.tenure import tenure
from carppcap.errors import LinkError
from carppcap.system import keeper_process
from carppcap.system.clock import now_ns
from carppcap.system.keeper import Charge
from carppcap.system.keeper_messages import Kind, Report
from carppcap.system.keeper_process import (
    NAME,
    PATIENCE_NS,
    RETRY_NS,
    KeeperProcess,
    start_keeper,
)
from carppcap.system.kernel_addresses import ROUTE_METRIC, KernelAddresses, Place
from carppcap.units import NS_PER_S
from tests.builders import LOWER, VIP, config
from tests.shell import ip, make_link, network, wait_for

PLACE = Place(ip_address("10.1.1.252"), 32)
CHARGE = Charge((PLACE,), tenure(config()))


class Subject:
    """A keeper in a network of our own, which its daemon can see into."""

    def __init__(self, *charges: Charge) -> None:
        self.process = KeeperProcess(charges or [CHARGE])
        self.kernel = KernelAddresses()
        self.pids = [self.pid]

    @property
    def pid(self) -> int:
        return self.process._pid

    def order(self, kind: Kind, interface: str = "a0") -> int:
        self.process._asked_at = 0  # the last order was long ago
        return self.process.order(kind, now_ns(), interface, interface, [])

    def report(self, number: int) -> Report:
        """The report to the order of that number."""
        found: list[Report] = []

        def look() -> bool:
            found.extend(self.process.reports(now_ns()))
            return any(report.number == number for report in found)

        wait_for(look, "the report")
        return next(report for report in found if report.number == number)

    @property
    def is_held(self) -> bool:
        return bool(self.kernel.find(frozenset({PLACE.address})))


@pytest.fixture
def subject() -> Iterator[Subject]:
    with network():
        make_link()
        made = Subject()
        yield made
        made.process.close()
        made.kernel.close()


def _is_gone(pid: int) -> Callable[[], bool]:
    return lambda: not Path(f"/proc/{pid}").exists()


@pytest.mark.netns
def test_orders(subject: Subject) -> None:
    """The address comes and goes; nothing of ours stays open in the keeper."""
    assert subject.report(subject.order(Kind.TAKE)).ok
    held = [subject.is_held]
    subject.order(Kind.KEEP)
    deadlines = [subject.process.deadline]
    assert subject.report(subject.order(Kind.DROP)).ok
    deadlines.append(subject.process.deadline)
    assert [*held, subject.is_held] == [True, False]
    assert [each is None for each in deadlines] == [False, True]

    process = Path(f"/proc/{subject.pid}")
    assert (process / "comm").read_text() == f"{NAME}\n"
    targets = [os.readlink(each) for each in (process / "fd").iterdir()]
    assert targets.count("/dev/null") >= 3
    assert all(target.startswith(("/dev/null", "socket:")) for target in targets)
    assert len(targets) <= 8


@pytest.mark.netns
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1]
)
def test_signals_for_the_daemon(subject: Subject, number: signal.Signals) -> None:
    """A signal to all processes of a service ends the daemon, not the keeper."""
    assert subject.report(subject.order(Kind.TAKE)).ok
    os.kill(subject.pid, number)

    assert subject.report(subject.order(Kind.TAKE)).ok
    assert subject.pids == [subject.pid]


@pytest.mark.netns
def test_end_of_the_daemon(subject: Subject) -> None:
    """The address is gone when `close` returns, and so is the keeper."""
    assert subject.report(subject.order(Kind.TAKE)).ok

    subject.process.close()
    subject.process.close()

    assert not subject.is_held
    assert _is_gone(subject.pids[0])()
    assert subject.process.descriptors() == []
    assert subject.process.deadline is None
    assert subject.process.reports(now_ns() + 10 * RETRY_NS) == []


@pytest.mark.netns
@pytest.mark.parametrize("kind", [Kind.TAKE, Kind.DROP])
def test_keeper_that_is_killed(subject: Subject, kind: Kind) -> None:
    """Another one gets the last order again, but no sooner than after a second."""
    number = subject.order(kind)
    subject.report(number)
    os.kill(subject.pid, signal.SIGKILL)
    wait_for(lambda: not (subject.process.reports(0) or _running(subject)))
    assert subject.process.deadline is not None
    subject.order(Kind.KEEP)

    assert subject.report(number).ok

    assert subject.pid != subject.pids[0]
    assert subject.is_held is (kind is Kind.TAKE)
    wait_for(_is_gone(subject.pids[0]), "its end")


@pytest.mark.netns
def test_keeper_that_is_killed_after_a_rename(subject: Subject) -> None:
    """Another one gets the latest name of the interface."""
    number = subject.order(Kind.TAKE)
    subject.report(number)
    ip("link set a0 down name c0")
    subject.report(subject.order(Kind.KEEP, "c0"))
    os.kill(subject.pid, signal.SIGKILL)

    assert subject.report(number).ok


@pytest.mark.netns
def test_replacement_that_answers(subject: Subject) -> None:
    """It is left alone, although the latest permission was not sent to it."""
    number = subject.order(Kind.TAKE)
    subject.report(number)
    os.kill(subject.pid, signal.SIGKILL)
    subject.order(Kind.KEEP)
    subject.report(number)

    assert subject.process.deadline is None


def _running(subject: Subject) -> bool:
    return bool(subject.process.descriptors())


@pytest.mark.netns
def test_keeper_that_hangs(subject: Subject) -> None:
    """It is killed when it has not answered for five seconds, however it hangs."""
    subject.report(subject.order(Kind.DROP))
    os.kill(subject.pid, signal.SIGSTOP)
    before = now_ns()
    subject.order(Kind.KEEP)
    number = subject.order(Kind.DROP)
    assert subject.process.reports(before + PATIENCE_NS - 1) == []
    assert subject.pid == subject.pids[0]

    subject.process.reports(now_ns() + PATIENCE_NS)

    assert subject.pid != subject.pids[0]
    assert subject.report(number).ok


@pytest.mark.netns
def test_keeper_that_takes_no_more_orders(subject: Subject) -> None:
    """The daemon waits for nothing."""
    os.kill(subject.pid, signal.SIGSTOP)
    began_s = time.monotonic()
    for _ in range(5000):
        subject.order(Kind.KEEP)

    assert time.monotonic() - began_s < PATIENCE_NS / 1e9
    os.kill(subject.pid, signal.SIGCONT)


@pytest.mark.netns
def test_no_room_for_another(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again a second later."""

    def no_fork() -> int:
        raise OSError(errno.EAGAIN, "no more processes")

    number = subject.order(Kind.TAKE)
    subject.report(number)
    lines = subject.process.lines
    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", no_fork)
        os.kill(subject.pid, signal.SIGKILL)
        wait_for(lambda: not (subject.process.reports(now_ns()) or _running(subject)))
        now = now_ns() + RETRY_NS
        assert subject.process.reports(now) == []
        assert not _running(subject)
        assert subject.process.deadline is not None
        assert subject.process.deadline > now
        assert [*lines] == [
            "The keeper of addresses has ended",
            "Unable to start another keeper of addresses: no more processes",
        ]
        # The addresses have expired by then, and again after each further attempt.
        for _ in range(2):
            now += CHARGE.tenure.lifetime_s * NS_PER_S
            assert subject.process.reports(now) == [Report(0, ok=False)]
            assert subject.process.reports(now + RETRY_NS) == []
        assert len(lines) == 2
    subject.process.reports(now + 2 * RETRY_NS)
    assert subject.report(number).ok
    assert [*lines][2:] == ["Another keeper of addresses has started"]
    assert subject.process.deadline is None


def test_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses in networks of their own, unless told; a metric with a virtual MAC."""
    monkeypatch.setattr(keeper_process, "check_permission", id)
    made: list[tuple[list[Charge], bool]] = []

    def note(charges: list[Charge], *, realtime: bool) -> None:
        made.append((charges, realtime))

    monkeypatch.setattr(keeper_process, "KeeperProcess", note)

    both = config(vips=(VIP, LOWER), prefixes=(24, None), vmac=True)
    start_keeper([(config(), CHARGE.tenure), (both, CHARGE.tenure)], realtime=True)
    start_keeper([(config(), CHARGE.tenure)], realtime=False)

    other = Charge((Place(VIP, 24), Place(LOWER, 32)), CHARGE.tenure, ROUTE_METRIC)
    assert made == [([CHARGE, other], True), ([CHARGE], False)]


def test_no_room_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line."""

    def no_room(charge: Charge, *, realtime: bool) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(keeper_process, "check_permission", id)
    monkeypatch.setattr(keeper_process, "KeeperProcess", no_room)
    with pytest.raises(LinkError, match="Unable to start the keeper"):
        start_keeper([(config(), CHARGE.tenure)], realtime=True)


@pytest.mark.netns
@pytest.mark.parametrize("wanted", [True, False])
def test_real_time(wanted: bool) -> None:
    """The keeper is scheduled as the daemon is, if that is permitted here."""
    with network():
        make_link()
        process = KeeperProcess([CHARGE], realtime=wanted)
        try:
            number = process.order(Kind.DROP, now_ns(), "a0", "a0", [])
            wait_for(lambda: number in [r.number for r in process.reports(now_ns())])
            policy = os.sched_getscheduler(process._pid) & ~os.SCHED_RESET_ON_FORK
        finally:
            process.close()

    assert policy == (os.SCHED_RR if wanted and _may_be_real_time() else os.SCHED_OTHER)


def _may_be_real_time() -> bool:
    command = ["chrt", "--rr", "1", "true"]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.mark.netns
def test_permissions_that_are_not_answered(subject: Subject) -> None:
    """One in half a second is, if nothing else is: hundreds of groups send them."""
    first = subject.order(Kind.KEEP)
    numbers = [subject.process.order(Kind.KEEP, now_ns(), "a0", "a0", [])]
    subject.report(first)
    numbers.append(subject.process.order(Kind.KEEP, now_ns(), "a0", "a0", []))

    assert numbers == [0, 0]
    assert subject.process.deadline is None


OTHER = Charge((Place(ip_address("10.1.1.253"), 32),), CHARGE.tenure)


@pytest.fixture
def pair() -> Iterator[Subject]:
    """A keeper with two charges."""
    with network():
        make_link()
        made = Subject(CHARGE, OTHER)
        yield made
        made.process.close()
        made.kernel.close()


def addresses(made: Subject) -> list[str]:
    wanted = {place.address for charge in (CHARGE, OTHER) for place in charge.places}
    found = made.kernel.find(wanted)
    return sorted(str(each.place.address) for each in found)


@pytest.mark.netns
def test_two_groups(pair: Subject) -> None:
    """One process holds the addresses of both, and each has reports of its own."""
    process = pair.process
    take = process.order(Kind.TAKE, now_ns(), "a0", "a0", [], charge=1)
    assert pair.report(take).charge == 1
    assert addresses(pair) == ["10.1.1.253"]

    assert pair.report(pair.order(Kind.TAKE)).charge == 0
    drop = process.order(Kind.DROP, now_ns(), "a0", "a0", [], charge=1)
    assert pair.report(drop).charge == 1
    assert addresses(pair) == ["10.1.1.252"]


@pytest.mark.netns
def test_another_keeper_of_two_groups(pair: Subject) -> None:
    """It gets the orders of both again."""
    process = pair.process
    pair.report(pair.order(Kind.TAKE))
    pair.report(process.order(Kind.TAKE, now_ns(), "a0", "a0", [], charge=1))
    for address in ("10.1.1.252", "10.1.1.253"):
        ip(f"address delete {address}/32 dev a0")
    os.kill(pair.pid, signal.SIGKILL)

    wait_for(lambda: process.reports(now_ns()) and len(addresses(pair)) == 2)


@pytest.mark.netns
def test_many_orders_at_once() -> None:
    """A keeper that is held up for a moment misses no order of 255 groups."""
    charges = [
        Charge((Place(ip_address(f"10.2.0.{n}"), 32),), CHARGE.tenure)
        for n in range(255)
    ]
    with network():
        make_link()
        process = KeeperProcess(charges)
        numbers = set()
        os.kill(process._pid, signal.SIGSTOP)
        will = [bytes(70), bytes(90)]
        for charge in range(255):
            for kind in (Kind.TAKE, Kind.KEEP):
                how = now_ns(), "a0", "a0", will
                numbers.add(process.order(kind, *how, charge=charge))
        os.kill(process._pid, signal.SIGCONT)
        numbers.discard(0)

        def are_answered() -> bool:
            for report in process.reports(now_ns()):
                assert report.ok
                numbers.discard(report.number)
            return not numbers

        wait_for(are_answered)
        process.close()


@pytest.mark.netns
def test_an_order_that_the_keeper_cannot_get() -> None:
    """Another keeper gets it; a report about another charge does not hide the loss."""
    with network():
        make_link()
        other = Charge((Place(LOWER, 32),), tenure(config()))
        subject = Subject(CHARGE, other)
        assert subject.report(subject.order(Kind.TAKE)).ok
        os.kill(subject.pid, signal.SIGSTOP)
        for _ in range(2000):
            subject.order(Kind.KEEP)
        lost = subject.order(Kind.DROP)
        os.kill(subject.pid, signal.SIGCONT)
        time.sleep(0.5)
        subject.process.order(Kind.DROP, now_ns(), "a0", "a0", [], charge=1)

        assert subject.report(lost).ok
        assert not subject.is_held
        subject.process.close()
        subject.kernel.close()
