"""What the log says, in the original's words and at its levels."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from carppcap.actions import (
    AnnounceAddresses,
    Cause,
    FamilySilent,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.addresses import Family
from carppcap.config import VirtualHostConfig
from carppcap.events import AddressesLost, AdvertReceived, Event, Start, Tick
from carppcap.flood import FloodBegan, FloodEnded
from carppcap.frames import Datagram, LinkType, decode
from carppcap.guard import Finding
from carppcap.ingress import Ingress, Rejection, RejectReason
from carppcap.jobs import Job, Outcome
from carppcap.journal import QUIET_PERIOD_NS, Journal
from carppcap.node import Remark, Step
from carppcap.ratelimit import LIMITED_KEYS_MAX
from carppcap.units import NS_PER_S
from tests.builders import (
    LOWER,
    LOWER6,
    OURS,
    config,
    ethernet,
    frame,
    ipv4,
    payload,
    vrrp_v2,
)
from tests.shell import MemoryLog

HOST = config()
PEER = config(source=LOWER)
THEIRS = AdvertReceived(LOWER, 1, 200, 1)


class Said:
    """A journal and the lines that it has written since they were last looked at."""

    def __init__(self, host: VirtualHostConfig = HOST, *, debug: bool = False) -> None:
        self._host = host
        self.log = MemoryLog(debug=debug)
        self.journal = Journal(self.log, host, origin=0)

    @property
    def lines(self) -> list[tuple[str, str]]:
        lines, self.log.lines = self.log.lines, []
        return lines

    def reject(self, data: bytes, at: int = 0) -> list[tuple[str, str]]:
        """What is said of a frame that moves nothing."""
        rejection = Ingress([self._host]).judge(decode(data, LinkType.ETHERNET))
        assert isinstance(rejection, Rejection)
        self.journal.rejection(rejection, at)
        return self.lines


def step(
    *actions: object, event: Event | None = None, state: State = State.MASTER
) -> Step:
    return Step(0, "eth0", 7, event or Tick(), actions, state, None)  # type: ignore[arg-type]


BACKUP, MASTER, INIT = State.BACKUP, State.MASTER, State.INIT


@pytest.mark.parametrize(
    ("old", "new", "cause", "first"),
    [
        (INIT, BACKUP, Cause.STARTUP, None),
        (BACKUP, MASTER, Cause.MASTER_DOWN, None),
        (BACKUP, MASTER, Cause.PREEMPTION, "Putting MASTER down - preemption"),
        (
            BACKUP,
            MASTER,
            Cause.MASTER_TOO_SLOW,
            "Putting MASTER DOWN (going to time out)",
        ),
        (
            MASTER,
            BACKUP,
            Cause.BETTER_MASTER,
            "Preferred master advertised: going back to BACKUP state",
        ),
        (
            BACKUP,
            MASTER,
            Cause.DEMOTION,
            "The master is more demoted than this host: taking over",
        ),
        (
            MASTER,
            BACKUP,
            Cause.DEMOTION,
            "This host is demoted, and another master is less so: giving way",
        ),
        (MASTER, BACKUP, Cause.LINK_DOWN, None),
        (MASTER, BACKUP, Cause.STEP_DOWN, None),
        (MASTER, INIT, Cause.SHUTDOWN, None),
    ],
)
def test_a_change(old: State, new: State, cause: Cause, first: str | None) -> None:
    """The original's reason and state, and a line of ours with all there is to know."""
    said = Said()

    said.journal.step(step(StateChanged(old, new, cause), state=new))

    expected = [] if first is None else [("WARNING", first)]
    level = "INFO" if new is INIT else "WARNING"
    expected += [
        (level, f"Switching to state: {new.value}"),
        ("INFO", f"eth0 id 7: {old.value} -> {new.value} ({cause.value})"),
    ]
    assert said.lines == expected


def test_an_address_that_could_not_be_taken() -> None:
    """The original stays master of nothing and says nothing."""
    said = Said()

    said.journal.step(
        step(StateChanged(MASTER, BACKUP, Cause.ADDRESS_FAILED), state=BACKUP)
    )

    level, text = said.lines[0]
    assert level == "ERROR"
    assert text.startswith("The up script failed and 10.1.1.252 is not on this host")


def test_an_address_that_was_taken_away() -> None:
    """Said when something is done about it."""
    said = Said()

    said.journal.step(step(event=AddressesLost()))
    assert said.lines == []
    said.journal.step(step(AnnounceAddresses(), event=AddressesLost()))

    assert said.lines == [
        ("WARNING", "10.1.1.252 was taken away from this master: taking it again")
    ]


@pytest.mark.parametrize(
    ("family", "version"), [(Family.IPV4, "IPv4"), (Family.IPV6, "IPv6")]
)
def test_a_family_that_is_silent(family: Family, version: str) -> None:
    """A fault on the way, that a kernel would answer by taking over."""
    said = Said()

    for _ in range(2):
        said.journal.step(step(FamilySilent(family), event=THEIRS, state=BACKUP))

    [(level, text)] = said.lines
    assert level == "WARNING"
    assert text.startswith(f"No advert of the master arrives over {version} any more")


def test_a_question() -> None:
    """A backup that advertises has a reason; a master that yields has said its own."""
    said = Said()

    said.journal.step(step(SendAdvert(1, 0, 1), state=BACKUP))
    [(level, text)] = said.lines
    assert level == "NOTICE"
    assert "asking it by an advert before taking over" in text
    yielding = StateChanged(MASTER, BACKUP, Cause.BETTER_MASTER)
    said.journal.step(step(SendAdvert(1, 0, 1), yielding, state=BACKUP))
    assert not any("asking" in text for _, text in said.lines)


REASSERTING = (
    "Non-preferred master advertising: reasserting control of VIP with another "
    "gratuitous arp"
)


@pytest.mark.parametrize(
    ("event", "state", "actions", "is_said"),
    [
        (THEIRS, MASTER, (AnnounceAddresses(),), True),
        (THEIRS, MASTER, (SendAdvert(1, 0, 1), AnnounceAddresses()), True),
        (THEIRS, MASTER, (), False),
        (THEIRS, BACKUP, (), False),
        (Tick(), MASTER, (SendAdvert(1, 0, 1), AnnounceAddresses()), False),
    ],
)
def test_reasserting(
    event: Event, state: State, actions: tuple[object, ...], is_said: bool
) -> None:
    """Only when another master made us announce again."""
    said = Said()

    said.journal.step(step(*actions, event=event, state=state))

    assert said.lines == ([("WARNING", REASSERTING)] if is_said else [])


def test_debug() -> None:
    """Every step and every rejection, in the format of the timelines."""
    said = Said(debug=True)
    said.journal.step(
        step(StateChanged(INIT, BACKUP, Cause.STARTUP), event=Start(), state=BACKUP)
    )
    said.journal.step(step(event=Tick(), state=BACKUP))
    other = frame(payload(config(vhid=9), password=b"hate"))

    debugged = [text for level, text in said.lines if level == "DEBUG"]
    rejected = said.reject(other)

    assert debugged == [
        "0.000000  vhid 7  INIT -> BACKUP  startup",
        "0.000000  vhid 7  BACKUP  tick",
    ]
    assert rejected == [("DEBUG", "0.000000  vhid 9  rejected badvhid  from 10.1.1.4")]


def test_status() -> None:
    """The line that SIGUSR1 is sent for."""
    said = Said()

    said.journal.status(State.BACKUP)

    assert said.lines == [("INFO", "BACKUP on eth0 id 7")]


def damaged(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]


ADVERT = frame(payload(PEER))
FORGED = frame(payload(PEER, digest=b"xxxx" + bytes(16)))

OTHER_VHID = (
    "10.1.1.4 advertises our address under vhid 9, ours is 7: one of the two is wrong, "
    "and both may become master"
)
OTHER_GROUP = (
    "10.1.1.4 advertises to 224.0.0.19, we listen to 224.0.0.18: one --mcastip is "
    "wrong, and both may become master"
)

OTHER_FAMILY = (
    "fd00:1::4 advertises our address in a family in which we have none: it may wait "
    "for our adverts there, and become master"
)

REJECTED = {
    "ttl": (
        ethernet(ipv4(payload(PEER), ttl=3)),
        ("WARNING", "Bad TTL: [3] (from 10.1.1.4)"),
    ),
    "version": (
        frame(payload(PEER, version=3)),
        ("WARNING", "Bad version: [3] (from 10.1.1.4)"),
    ),
    "header": (damaged(ADVERT, 24), ("WARNING", "Bad IP checksum (from 10.1.1.4)")),
    "checksum": (damaged(ADVERT, 40), ("WARNING", "Bad IP checksum (from 10.1.1.4)")),
    "short": (
        ethernet(ipv4(payload(PEER)[:20])),
        ("NOTICE", "Bogus size: a frame of protocol 112 from 10.1.1.4"),
    ),
    "vrrp": (
        ethernet(ipv4(vrrp_v2(1))),
        ("INFO", "VRRP from 10.1.1.4 shares this segment and is ignored"),
    ),
    "other vhid, ours": (
        frame(payload(config(source=LOWER, vhid=9))),
        ("WARNING", OTHER_VHID),
    ),
    "other family, ours": (
        frame(payload(PEER), source=LOWER6),
        ("WARNING", OTHER_FAMILY),
    ),
    "other group, ours": (
        frame(payload(PEER), destination=IPv4Address("224.0.0.19")),
        ("WARNING", OTHER_GROUP),
    ),
}


@pytest.mark.parametrize(("data", "line"), REJECTED.values(), ids=REJECTED)
def test_a_rejection(data: bytes, line: tuple[str, str]) -> None:
    """Once, in the original's words if it has any, and who sent it."""
    said = Said()

    assert said.reject(data) == [line]
    assert said.reject(data, at=QUIET_PERIOD_NS - 1) == []


def test_a_bad_digest() -> None:
    """The first bytes of what we expected and of what came."""
    said = Said()

    [(level, text)] = said.reject(FORGED)

    assert level == "WARNING"
    expected = payload(PEER)[16:20].hex()
    assert text == (
        f"Bad digest - md2=[{expected}...] md=[78787878...] - Check vhid, password and "
        "virtual IP address (from 10.1.1.4)"
    )


@pytest.mark.parametrize(
    "data",
    [
        frame(payload(PEER), source=OURS),
        frame(payload(config(source=LOWER, vhid=9), password=b"hate")),
        frame(payload(PEER, password=b"hate"), destination=IPv4Address("224.0.0.19")),
    ],
    ids=["our own", "another group", "another group of receivers"],
)
def test_none_of_our_business(data: bytes) -> None:
    """Silent, as in the original."""
    assert Said().reject(data) == []


def test_two_groups_of_one_host() -> None:
    """That one of its groups is none of our business says nothing of the other."""
    said = Said()
    theirs = frame(payload(config(source=LOWER, vhid=8), password=b"hate"))
    ours = frame(payload(config(source=LOWER, vhid=9)))

    assert said.reject(theirs) == []
    assert said.reject(ours) == [("WARNING", OTHER_VHID)]
    assert said.reject(ours, at=1) == []
    assert said.reject(ours, at=QUIET_PERIOD_NS) == [("WARNING", OTHER_VHID)]


def test_what_was_held_back_is_counted() -> None:
    """The next line, a minute later, says how many there were in between."""
    said = Said()
    for second in range(60):
        said.reject(FORGED, at=second)

    [(_, text)] = said.reject(FORGED, at=QUIET_PERIOD_NS)

    assert text.endswith(" (from 10.1.1.4) [59 more in between]")


def test_without_a_password_nothing_can_be_proved() -> None:
    """A replay without -p does not accuse anybody."""
    said = Said(config(key=None))

    assert said.reject(frame(payload(config(source=LOWER, vhid=9)))) == []
    other = frame(payload(PEER), destination=IPv4Address("224.0.0.19"))
    assert said.reject(other) == []


def test_floods() -> None:
    """One line when it begins and one when it ends; of many in a row, these alone."""
    said = Said()
    period_ns = QUIET_PERIOD_NS // 4
    for number in range(5):
        at = number * period_ns
        said.journal.flood(FloodBegan(rate=12_345), at)
        said.journal.flood(FloodEnded(duration_ns=2_360_000_000, frames=4_711), at)

    began = (
        "About 12345 frames a second that are no adverts of ours: taking only what "
        "could be one"
    )
    ended = (
        "The flood is over after 2.4 s and 4711 frames read: taking all of protocol "
        "112 again"
    )
    held_back = " [3 more in between]"
    assert said.lines == [
        ("WARNING", began),
        ("WARNING", ended),
        ("WARNING", began + held_back),
        ("WARNING", ended + held_back),
    ]


def test_a_flood_under_ever_new_names_is_told_of() -> None:
    """However many of these names have had a line each."""
    said = Said()
    for number in range(LIMITED_KEYS_MAX + 10):
        source = IPv4Address(0x0A020000 + number)
        said.reject(frame(payload(PEER, digest=bytes(20)), source=source))
    said.journal.flood(FloodBegan(rate=1), 1)
    said.journal.flood(FloodEnded(1, 1), 2)

    assert len(said.lines) == 2


def test_a_send_failure() -> None:
    """Each reason once; the interface may be down for hours."""
    said = Said()
    for second in range(5):
        said.journal.send_failure("Network is down", second)
        said.journal.send_failure("No buffer space available", second)

    assert said.lines == [
        ("WARNING", "write() has failed: Network is down"),
        ("WARNING", "write() has failed: No buffer space available"),
    ]


UP = ("/etc/up", "eth0", "10.1.1.252")
DOWN = ("/etc/down", "eth0", "10.1.1.252")
STILL_HERE = ("ERROR", "The down script failed and this host still has 10.1.1.252")


@pytest.mark.parametrize(
    ("outcome", "ok", "expected"),
    [
        (
            Outcome(Job.ACQUIRE, UP, None, error="No such file or directory"),
            False,
            [
                (
                    "ERROR",
                    "Unable to exec /etc/up eth0 10.1.1.252: No such file or directory",
                )
            ],
        ),
        (
            Outcome(Job.ACQUIRE, UP, -9, overdue=True),
            False,
            [
                (
                    "ERROR",
                    "Script [/etc/up eth0 10.1.1.252] took too long and was killed",
                )
            ],
        ),
        (
            Outcome(Job.ACQUIRE, UP, -11),
            False,
            [("ERROR", "Script [/etc/up eth0 10.1.1.252] was ended by signal 11")],
        ),
        (
            Outcome(Job.ACQUIRE, UP, 3),
            True,
            [("WARNING", "Script [/etc/up eth0 10.1.1.252] exited with code 3")],
        ),
        (
            Outcome(Job.RELEASE, DOWN, 2),
            True,
            [("INFO", "Script [/etc/down eth0 10.1.1.252] exited with code 2")],
        ),
        (
            Outcome(Job.RELEASE, DOWN, 2),
            False,
            [
                ("WARNING", "Script [/etc/down eth0 10.1.1.252] exited with code 2"),
                STILL_HERE,
            ],
        ),
        (Outcome(Job.RELEASE, DOWN, 0), False, [STILL_HERE]),
        (Outcome(Job.ACQUIRE, UP, 0), True, []),
        (Outcome(Job.ACQUIRE, (), None), True, []),
    ],
)
def test_a_script_has_ended(
    outcome: Outcome, ok: bool, expected: list[tuple[str, str]]
) -> None:
    """How, at the level it deserves; the original never looks at the exit code."""
    said = Said()

    said.journal.script_ended(outcome, ok)

    assert said.lines == expected


WAITING = (
    "Waiting for [/etc/down eth0 10.1.1.252] before leaving; signal again to kill it"
)


def test_a_script_starts() -> None:
    """The original's line."""
    said = Said()

    said.journal.script_started((*UP, "rack 4"))
    said.journal.waiting_for(())
    said.journal.waiting_for(DOWN)

    assert said.lines == [
        ("WARNING", "Spawning [/etc/up eth0 10.1.1.252 rack 4]"),
        ("INFO", WAITING),
    ]


REPLAYED = decode(frame(payload(PEER)), LinkType.ETHERNET)
WHO = "10.1.1.4 (00:00:5e:00:00:07)"
IGNORED = {
    "replay": f"Replay: an advert from {WHO} was sent before; ignored",
    "tampered": (
        f"Tampering: an advert from {WHO} was sent before with another advbase, "
        "advskew or demotion; ignored"
    ),
    "stale": f"Old advert from {WHO}: a replay, or its clock went back; ignored",
}


@pytest.mark.parametrize(("reason", "text"), IGNORED.items())
def test_a_replay(reason: str, text: str) -> None:
    """With the MAC address that sent it; once a minute, and how many there were."""
    assert isinstance(REPLAYED, Datagram)
    said = Said()
    for second in range(62):
        at = second * NS_PER_S
        said.journal.rejection(Rejection(RejectReason(reason), REPLAYED), at)

    assert said.lines == [
        ("WARNING", text),
        ("WARNING", f"{text} [59 more in between]"),
    ]


def test_a_replay_without_an_ethernet_address() -> None:
    """Some links have none."""
    assert isinstance(REPLAYED, Datagram)
    said = Said()
    nameless = replace(REPLAYED, source_mac=None)
    said.journal.rejection(Rejection(RejectReason.REPLAY, nameless), 0)

    assert said.lines[0][1].startswith("Replay: an advert from 10.1.1.4 (?) was")


@pytest.mark.parametrize(
    ("finding", "level", "text"),
    [
        (
            Finding.REPLAY,
            "WARNING",
            f"Replay: an advert from {WHO} was sent before; obeyed",
        ),
        (
            Finding.REPEATING,
            "NOTICE",
            (
                f"{WHO} repeats its counter, as OpenBSD does: replays of its adverts "
                "cannot be told"
            ),
        ),
        (
            Finding.CHANGED,
            "NOTICE",
            (
                f"{WHO} repeats its counter and has changed its advbase, advskew or "
                "demotion, unless somebody else has"
            ),
        ),
    ],
)
def test_what_the_guard_remarks_on(finding: Finding, level: str, text: str) -> None:
    """The advert was obeyed, and the log is told."""
    assert isinstance(REPLAYED, Datagram)
    said = Said()
    remarked = replace(step(event=THEIRS), remark=Remark(finding, REPLAYED))
    said.journal.step(remarked)
    said.journal.step(remarked)

    assert said.lines == [(level, text)]
