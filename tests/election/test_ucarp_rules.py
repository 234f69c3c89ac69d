"""One test for each rule of ucarp's election, and for those of kernels.

Every docstring says where the rule comes from.  "README" is the documentation of
ucarp 1.5.2, "behaviour" the notes on reading its source and running its binary,
"protocol" the notes on CARP as ucarp and the BSD kernels do it.
"""

from ipaddress import IPv4Address

import pytest

from carppcap.election.actions import (
    AnnounceAddresses,
    Cause,
    ReleaseAddresses,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.election.events import (
    AddressesAcquired,
    AddressesReleased,
    AdvertReceived,
    LinkDown,
    LinkUp,
    SendFailed,
    SendSucceeded,
    Start,
    StepDown,
    Stop,
    Tick,
)
from carppcap.election.fsm import VirtualHost
from tests.builders import (
    HIGHER,
    LOWER,
    config,
    counters,
    due,
    ns,
    words,
)


def backup(**changes: object) -> VirtualHost:
    """A BACKUP since 0 s."""
    host = VirtualHost(config(**changes), counters())
    host.handle(Start(), 0)
    return host


def master(**changes: object) -> VirtualHost:
    """A MASTER since 100 s that has announced its addresses at once."""
    host = backup(**changes)
    host.handle(Tick(), ns(100))
    host.handle(AddressesAcquired(True), ns(100))
    return host


def heard(source: IPv4Address, advbase: int, advskew: int = 0) -> AdvertReceived:
    return AdvertReceived(source, advbase, advskew, 4711)


# Becoming a backup, and waiting.


def test_it_starts_as_a_backup() -> None:
    """README, master election process: it starts as a backup and listens."""
    host = VirtualHost(config(), counters())

    actions = host.handle(Start(), 0)

    assert actions[0] == StateChanged(State.INIT, State.BACKUP, Cause.STARTUP)
    assert host.state is State.BACKUP


@pytest.mark.parametrize(("neutral", "expected"), [(False, 1), (True, 0)])
def test_the_down_script_runs_at_start_unless_neutral(
    neutral: bool, expected: int
) -> None:
    """README, other notes: --neutral does not run the down script at start-up."""
    host = VirtualHost(config(neutral=neutral), counters())

    assert host.handle(Start(), 0).count(ReleaseAddresses()) == expected


@pytest.mark.parametrize(
    ("settings", "wait_s"),
    [
        ({}, 3),
        ({"advskew": 100}, 3 + 100 / 256),
        ({"advbase": 5}, 15),
        ({"dead_ratio": 5, "advskew": 1}, 5 + 1 / 256),
        ({"advbase": 0, "advskew": 128}, 1.5),
    ],
)
def test_silence_makes_a_master(settings: dict[str, int], wait_s: float) -> None:
    """Behaviour: MASTER after dead ratio * advbase + advskew/256 s without an advert.

    Without a base the ratio multiplies the skew: there ucarp flaps.
    """
    host = backup(**settings)

    host.handle(Tick(), ns(wait_s) - 1)
    assert host.state is State.BACKUP
    assert words(host.handle(Tick(), ns(wait_s)))[0] == ("BACKUP -> MASTER master_down")


def test_the_dead_ratio_is_three_unless_told() -> None:
    """README, other notes: in the original protocol the ratio is 3."""
    assert due(backup()) == ns(3)
    assert due(backup(dead_ratio=4)) == ns(4)


def test_any_advert_of_a_sufficient_master_restarts_the_wait() -> None:
    """Protocol, state machine: otherwise restart the master-down timer."""
    host = backup()
    for advbase, advskew in [(1, 0), (0, 1), (1, 255), (2, 255), (3, 0)]:
        assert host.handle(heard(HIGHER, advbase, advskew), ns(2)) == []
        assert due(host) == ns(5)


def test_without_preempt_a_worse_master_is_left_alone() -> None:
    """README, master election process: a master goes on indefinitely by default."""
    host = backup()

    assert host.handle(heard(HIGHER, 2), ns(1)) == []
    assert host.state is State.BACKUP


def test_preempt_takes_over_from_a_longer_interval() -> None:
    """README, master election process: --preempt and a longer interval."""
    host = backup(preempt=True)

    assert words(host.handle(heard(LOWER, 1, 1), ns(1)))[0] == (
        "BACKUP -> MASTER preemption"
    )


@pytest.mark.parametrize("theirs", [(1, 0), (0, 255)], ids=["equal", "shorter"])
def test_preempt_leaves_equal_and_better_masters(theirs: tuple[int, int]) -> None:
    """README, master election process: only a longer interval is preempted."""
    host = backup(preempt=True)

    assert host.handle(heard(HIGHER, *theirs), ns(1)) == []


@pytest.mark.parametrize(
    ("theirs", "expected"), [((3, 0), "BACKUP"), ((3, 1), "MASTER")]
)
def test_a_master_that_is_going_to_time_out(
    theirs: tuple[int, int], expected: str
) -> None:
    """Behaviour: an interval longer than our own master-down time is taken over."""
    host = backup()
    host.handle(heard(LOWER, *theirs), ns(1))

    assert host.state.value == expected


@pytest.mark.parametrize("preempt", [False, True])
def test_a_farewell_is_obeyed_at_once(preempt: bool) -> None:
    """Protocol, bow-out: 255/255 lets every backup take over, with or without -P."""
    host = backup(preempt=preempt)
    host.handle(heard(LOWER, 255, 255), ns(0.5))

    assert host.state is State.MASTER


# Becoming a master, and staying one.


def test_a_new_master_claims_acquires_and_announces() -> None:
    """README, master election process: up script, gratuitous ARP, adverts.

    Ours does the same three, but the claim does not wait for the script.
    """
    host = backup()

    assert words(host.handle(Tick(), ns(3))) == [
        "BACKUP -> MASTER master_down", "advert 1/0", "solicit", "acquire"
    ]  # fmt: skip
    assert host.handle(AddressesAcquired(True), ns(3.5)) == [AnnounceAddresses()]


@pytest.mark.parametrize(
    ("settings", "interval_s"),
    [({}, 1), ({"advskew": 64}, 1.25), ({"advbase": 0, "advskew": 64}, 0.25)],
)
def test_a_master_adverts_every_interval(
    settings: dict[str, int], interval_s: float
) -> None:
    """Behaviour: the advert interval is advbase + advskew/256 s."""
    host = backup(**settings)
    host.handle(Tick(), ns(100))
    for beat in range(1, 6):
        assert host.deadline == ns(100 + beat * interval_s)
        (advert,) = host.handle(Tick(), host.deadline)
        assert isinstance(advert, SendAdvert)
        assert (advert.advbase, advert.advskew) == (
            host.config.advbase,
            host.config.advskew,
        )


def test_the_announcement_is_repeated_two_adverts_later() -> None:
    """Behaviour: another gratuitous ARP follows two adverts after the first."""
    host = master()

    announced = [
        AnnounceAddresses() in host.handle(Tick(), ns(100 + beat))
        for beat in range(1, 6)
    ]

    assert announced == [False, True, False, False, False]


def test_a_better_master_is_obeyed() -> None:
    """README, master election process: another master advertises a shorter interval."""
    host = master(advskew=1)
    host.handle(heard(HIGHER, 1, 0), ns(100.5))

    assert host.state is State.BACKUP


def test_a_master_that_yields_sends_one_last_advert() -> None:
    """Behaviour: one last advert, then BACKUP, then the down script."""
    host = master()

    assert words(host.handle(heard(HIGHER, 0, 9), ns(100.5))) == [
        "advert 1/0", "MASTER -> BACKUP better_master", "release"
    ]  # fmt: skip
    assert due(host) == ns(103.5)


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        pytest.param("10.1.1.4", "BACKUP", id="lower"),
        pytest.param("10.1.1.6", "MASTER", id="higher"),
        pytest.param("10.1.2.4", "BACKUP", id="lower-last-octet"),
        pytest.param("10.0.0.6", "MASTER", id="higher-last-octet"),
        pytest.param("9.255.255.250", "MASTER", id="measured-higher"),
        pytest.param("11.0.0.0", "BACKUP", id="measured-lower"),
    ],
)
def test_of_equals_the_lower_address_stays(theirs: str, expected: str) -> None:
    """README, master election process; behaviour: the last octet decides first.

    ucarp yields to the first advert, a carppcap that has answered it to the second.
    """
    host = master()
    for second in (100.5, 101.25):
        assert host.state is State.MASTER
        host.handle(heard(IPv4Address(theirs), 1, 0), ns(second))

    assert host.state.value == expected


def test_the_measured_tie() -> None:
    """Behaviour: of two equal ucarps, 10.9.1.1 stayed and 10.9.0.2 yielded."""
    lower, higher = IPv4Address("10.9.1.1"), IPv4Address("10.9.0.2")
    stays, yields = master(source=lower), master(source=higher)
    for second in (100.5, 101.25):
        stays.handle(heard(higher, 1), ns(second))
        yields.handle(heard(lower, 1), ns(second))

    assert (stays.state, yields.state) == (State.MASTER, State.BACKUP)


def test_a_worse_master_makes_us_announce_again() -> None:
    """Behaviour: gratuitous ARP now and another two intervals later.

    ucarp sends the second one after its advert; here it is sent before.
    """
    host = master()
    for beat in (1, 2, 3):
        host.handle(Tick(), ns(100 + beat))

    assert host.handle(heard(LOWER, 1, 1), ns(103.5)) == [AnnounceAddresses()]
    assert words(host.handle(Tick(), ns(104))) == ["advert 1/0"]
    assert words(host.handle(Tick(), ns(105))) == ["announce", "advert 1/0"]


def test_a_master_ignores_a_farewell() -> None:
    """Protocol, bow-out: a MASTER stays what it is."""
    host = master()
    host.handle(heard(LOWER, 255, 255), ns(100.5))

    assert host.state is State.MASTER


# Failures.


def test_three_failed_sends_raise_the_skew_and_three_successes_undo_it() -> None:
    """Behaviour: three failed sends raise the skew to 240 until three succeed."""
    host = master(advskew=10)
    skews = []
    for sent in (False, False, False, True, True, True):
        host.handle(SendSucceeded() if sent else SendFailed(), ns(100.5))
        skews.append((host.interval_ns - ns(1)) * 256 // ns(1))

    assert skews == [10, 10, 240, 240, 240, 10]


def test_the_raised_skew_is_compared_too() -> None:
    """Behaviour, traps: at least 240, as advertised and as compared."""
    host = master()
    for _ in range(3):
        host.handle(SendFailed(), ns(100.5))
    host.handle(heard(HIGHER, 1, 200), ns(100.75))

    assert host.state is State.BACKUP


def test_without_carrier_a_backup_without_a_timer() -> None:
    """Behaviour, traps: carrier loss is BACKUP with no timer, not INIT."""
    host = master()

    assert words(host.handle(LinkDown(), ns(100.5))) == [
        "MASTER -> BACKUP link_down", "release"
    ]  # fmt: skip
    assert host.deadline is None


def test_carrier_back_means_a_full_wait() -> None:
    """Protocol, state machine: leaving it waits a full master-down time."""
    host = backup()
    host.handle(LinkDown(), ns(2.5))
    host.handle(LinkUp(), ns(60))

    assert due(host) == ns(63)


# Signals.


def test_step_down_pauses_then_listens_as_usual() -> None:
    """README, other notes: SIGUSR2 demotes, pauses 3 s, then proceeds as usual."""
    host = master()
    assert words(host.handle(StepDown(ns(3)), ns(100.5))) == ["release"]

    assert words(host.handle(AddressesReleased(True), ns(100.5))) == [
        "MASTER -> BACKUP step_down"
    ]
    assert due(host) == ns(100.5 + 3 + 3)


def test_shutdown_runs_the_down_script() -> None:
    """README, other notes: --shutdown runs the down script at exit."""
    host = master()

    assert host.handle(Stop(), ns(100.5)) == [ReleaseAddresses()]


def test_shutdown_of_a_backup_runs_nothing() -> None:
    """README, other notes: unless ucarp is already in the backup state."""
    host = backup()

    assert words(host.handle(Stop(), ns(1))) == ["BACKUP -> INIT shutdown"]


def test_no_farewell_unless_asked_for() -> None:
    """Protocol, bow-out: ucarp never sends one; we do if it is on."""
    said = {}
    for farewell in (False, True):
        host = master(farewell=farewell)
        host.handle(Stop(), ns(100.5))
        said[farewell] = words(host.handle(AddressesReleased(True), ns(100.5)))

    assert said == {
        False: ["MASTER -> INIT shutdown"],
        True: ["advert 255/255", "MASTER -> INIT shutdown"],
    }
