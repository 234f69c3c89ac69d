"""The log of a virtual host, in ucarp's words and at its levels."""

from dataclasses import replace

import pytest

from carppcap.addresses import Address, Family
from carppcap.election.actions import (
    AnnounceAddresses,
    Cause,
    FamilySilent,
    RivalAnswered,
    SendAdvert,
    State,
    StateChanged,
)
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, AdvertReceived, Event, Start, Tick
from carppcap.election.script_queue import Job, Outcome
from carppcap.errors import LinkError
from carppcap.log.journal import Journal
from carppcap.node.findings import Finding
from carppcap.node.groups import Step
from carppcap.node.ingress import Ingress, Rejection
from carppcap.units import NS_PER_S
from carppcap.wire.decode import LinkType, decode
from tests.builders import (
    HIGHER,
    LOWER,
    OURS6,
    VIP,
    VIP6,
    config,
    frame,
    payload,
)
from tests.shell import MemoryLog

HOST = config()
PEER = config(source=LOWER)
THEIRS = AdvertReceived(LOWER, 1, 200, 1)


class Said:
    """A journal, and the lines since they were last read."""

    def __init__(self, host: VirtualHostConfig = HOST, *, debug: bool = False) -> None:
        self._host = host
        self.log = MemoryLog(debug=debug)
        self.journal = Journal(self.log, host, origin=0)

    @property
    def lines(self) -> list[tuple[str, str]]:
        lines, self.log.lines = self.log.lines, []
        return lines

    def reject(self, data: bytes, at: int = 0) -> list[tuple[str, str]]:
        """Return the lines logged about a frame that is rejected."""
        rejection = Ingress([self._host]).check(decode(data, LinkType.ETHERNET))
        assert isinstance(rejection, Rejection)
        self.journal.log_rejection(rejection, at)
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
            "Another master is less demoted than this host: going back to BACKUP state",
        ),
        (MASTER, BACKUP, Cause.LINK_DOWN, None),
        (MASTER, BACKUP, Cause.STEP_DOWN, None),
        (MASTER, INIT, Cause.SHUTDOWN, None),
    ],
)
def test_a_change(old: State, new: State, cause: Cause, first: str | None) -> None:
    """ucarp's reason and state, and a line with interface, vhid, states and cause."""
    said = Said()

    said.journal.log_step(step(StateChanged(old, new, cause), state=new))

    expected = [] if first is None else [("WARNING", first)]
    level = "INFO" if new is INIT else "WARNING"
    expected += [
        (level, f"Switching to state: {new.value}"),
        ("INFO", f"eth0 id 7: {old.value} -> {new.value} ({cause.value})"),
    ]
    assert said.lines == expected


def test_an_address_that_could_not_be_taken() -> None:
    """ucarp stays master without the address and logs nothing."""
    said = Said()

    said.journal.log_step(
        step(StateChanged(MASTER, BACKUP, Cause.ADDRESS_FAILED), state=BACKUP)
    )

    level, text = said.lines[0]
    assert level == "ERROR"
    assert text.startswith("The up script failed and 10.1.1.252 is not on this host")


def test_an_address_that_was_taken_away() -> None:
    """Logged when it is added again."""
    said = Said()

    said.journal.log_step(step(event=AddressesLost()))
    assert said.lines == []
    said.journal.log_step(step(AnnounceAddresses(), event=AddressesLost()))

    assert said.lines == [
        (
            "WARNING",
            "10.1.1.252 was removed while this host is master: adding it again",
        )
    ]


@pytest.mark.parametrize(
    ("family", "version"), [(Family.IPV4, "IPv4"), (Family.IPV6, "IPv6")]
)
def test_a_family_that_is_silent(family: Family, version: str) -> None:
    """A network fault, on which a kernel would take over."""
    said = Said()

    for _ in range(2):
        said.journal.log_step(step(FamilySilent(family), event=THEIRS, state=BACKUP))

    [(level, text)] = said.lines
    assert level == "WARNING"
    assert text.startswith(f"No adverts of the master over {version} any more")


def test_a_question() -> None:
    """A backup that advertises probes; a master that yields says farewell."""
    said = Said()

    said.journal.log_step(step(SendAdvert(1, 0, 1), state=BACKUP))
    [(level, text)] = said.lines
    assert level == "NOTICE"
    assert (
        text == "Refused adverts may be genuine; probing the master before taking over"
    )
    yielding = StateChanged(MASTER, BACKUP, Cause.BETTER_MASTER)
    said.journal.log_step(step(SendAdvert(1, 0, 1), yielding, state=BACKUP))
    assert not any("probing" in text for _, text in said.lines)


FAREWELL = replace(THEIRS, advbase=255, advskew=255)
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
        (FAREWELL, MASTER, (AnnounceAddresses(),), False),
        (THEIRS, BACKUP, (), False),
        (Tick(), MASTER, (SendAdvert(1, 0, 1), AnnounceAddresses()), False),
    ],
)
def test_reasserting(
    event: Event, state: State, actions: tuple[object, ...], is_said: bool
) -> None:
    """Only when another master made us announce again."""
    said = Said()

    said.journal.log_step(step(*actions, event=event, state=state))

    assert said.lines == ([("WARNING", REASSERTING)] if is_said else [])


@pytest.mark.parametrize(
    ("vips", "announcement"),
    [
        ((VIP,), "gratuitous arp"),
        ((VIP, VIP6), "gratuitous arp"),
        ((VIP6,), "neighbour advertisement"),
    ],
)
def test_what_reasserts(vips: tuple[Address, ...], announcement: str) -> None:
    """ucarp's words where it could be, and what is sent where it could not."""
    said = Said(host=config(vips=vips, source6=OURS6))

    said.journal.log_step(step(AnnounceAddresses(), event=THEIRS, state=MASTER))

    ((_, text),) = said.lines
    assert text.endswith(f" with another {announcement}")


def test_debug() -> None:
    """Every step and every rejection, in the format of the timelines."""
    said = Said(debug=True)
    said.journal.log_step(
        step(StateChanged(INIT, BACKUP, Cause.STARTUP), event=Start(), state=BACKUP)
    )
    said.journal.log_step(step(event=Tick(), state=BACKUP))
    other = frame(payload(config(vhid=9), password=b"hate"))

    debugged = [text for level, text in said.lines if level == "DEBUG"]
    rejected = said.reject(other)

    assert debugged == [
        "0.000000  vhid 7  INIT -> BACKUP  startup",
        "0.000000  vhid 7  BACKUP  tick",
    ]
    assert rejected == [("DEBUG", "0.000000  vhid 9  rejected badvhid  from 10.1.1.4")]


RIVAL = RivalAnswered(VIP, b"\2\0\0\0\0\x09")
NAMED = (
    "Another host (02:00:00:00:00:09) answers for 10.1.1.252, while this host is "
    "master: remove the address there, or find out why the two hosts do not hear each "
    "other's adverts"
)


def test_a_rival() -> None:
    """It is named once a minute, and so is the next one."""
    said = Said()
    other = RIVAL._replace(mac=b"\2\0\0\0\0\x0a")
    for seconds in range(61):
        answer = replace(step(RIVAL, AnnounceAddresses()), at=seconds * NS_PER_S)
        said.journal.log_step(answer)
    said.journal.log_step(step(other, AnnounceAddresses()))

    first, again, second = said.lines
    assert first == ("WARNING", NAMED)
    assert again == ("WARNING", f"{NAMED} [59 more in between]")
    assert second[1].startswith("Another host (02:00:00:00:00:0a) answers for ")


@pytest.mark.parametrize(
    ("happened", "conflicts"),
    [
        pytest.param([(9, RIVAL)], 1, id="rival"),
        pytest.param([(9, RIVAL), (10, RIVAL), (70, RIVAL)], 1, id="it-goes-on"),
        pytest.param([(9, RIVAL), (70, RIVAL)], 2, id="two-rivals"),
        pytest.param([(9, THEIRS)], 1, id="another-master"),
        pytest.param([(9, THEIRS), (10, RIVAL)], 1, id="another-master-announces"),
        pytest.param([(6, THEIRS), (7, THEIRS)], 0, id="its-last-advert"),
        pytest.param([(9, FAREWELL)], 0, id="farewell"),
    ],
)
def test_conflicts_are_counted(
    happened: list[tuple[int, object]], conflicts: int
) -> None:
    """One is over when nothing was heard of it for a minute.  Master since 5 s."""
    said = Said()
    became = StateChanged(BACKUP, MASTER, Cause.MASTER_DOWN)
    said.journal.log_step(replace(step(became), at=5 * NS_PER_S))
    for seconds, what in happened:
        if isinstance(what, AdvertReceived):
            contest = step(AnnounceAddresses(), event=what)
        else:
            contest = step(what, AnnounceAddresses())
        said.journal.log_step(replace(contest, at=seconds * NS_PER_S))

    assert said.journal.conflicts == conflicts
    said.log.lines.clear()
    said.journal.status(MASTER)
    count = f", conflicts: {conflicts}" if conflicts else ""
    assert said.lines == [("INFO", f"MASTER on eth0 id 7{count}")]


@pytest.mark.parametrize("state", [BACKUP, INIT])
def test_what_is_no_conflict(state: State) -> None:
    """A backup hears the master, and a replay of it changes nothing for a master."""
    said = Said()
    said.journal.log_step(replace(step(event=THEIRS, state=state), at=9 * NS_PER_S))
    refused = replace(step(event=THEIRS), at=9 * NS_PER_S, refused=True)
    said.journal.log_step(refused)

    assert said.journal.conflicts == 0


def test_status() -> None:
    """The line that SIGUSR1 is sent for."""
    said = Said()

    said.journal.status(State.BACKUP)

    assert said.lines == [("INFO", "BACKUP on eth0 id 7")]


FORGED = frame(payload(PEER, digest=b"xxxx" + bytes(16)))


def test_a_rejection() -> None:
    """With its line of the timeline when debugging."""
    assert Said().reject(FORGED)[0][1].startswith("Bad digest - ")

    lines = Said(debug=True).reject(FORGED)
    assert lines[0] == ("DEBUG", "0.000000  vhid 7  rejected badauth  from 10.1.1.4")
    assert len(lines) == 2


def test_a_remark() -> None:
    """On an advert that was obeyed."""
    said = Said()

    said.journal.log_step(replace(step(event=THEIRS), finding=Finding.REPLAY))

    [(_, text)] = said.lines
    assert text.startswith("Replay: an advert from 10.1.1.4 ")
    assert text.endswith("obeyed")


def test_a_refused_advert() -> None:
    """The line of the timeline first, then the reason."""
    refused = replace(step(event=THEIRS), finding=Finding.REPLAY, refused=True)
    said = Said(debug=True)

    said.journal.log_step(refused)

    (level, line), (_, text) = said.lines
    assert (level, line) == (
        "DEBUG",
        "0.000000  vhid 7  rejected replay  from 10.1.1.4",
    )
    assert text.startswith("Replay: an advert from 10.1.1.4 ")
    assert text.endswith("ignored")


def test_our_own_advert_come_back() -> None:
    """Logged only when debugging."""
    own = replace(step(event=THEIRS), refused=True)
    quiet, said = Said(), Said(debug=True)

    quiet.journal.log_step(own)
    said.journal.log_step(own)

    assert quiet.lines == []
    assert said.lines == [("DEBUG", "0.000000  vhid -  rejected own  from 10.1.1.4")]


def test_an_unreachable_peer() -> None:
    """Each peer is named once a minute."""
    said = Said()
    for second in (0, NS_PER_S, 60 * NS_PER_S):
        said.journal.unreachable(LOWER, "there is no route to it", second)
        said.journal.unreachable(HIGHER, "there is no route to it", second)

    text = "No advert leaves for {}: there is no route to it (--peer)"
    first = [("WARNING", text.format(peer)) for peer in (LOWER, HIGHER)]
    assert said.lines == [
        *first,
        *((level, f"{line} [1 more in between]") for level, line in first),
    ]


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
    """With its outcome, which ucarp ignores."""
    said = Said()

    said.journal.script_ended(outcome, ok)

    assert said.lines == expected


WAITING = (
    "Waiting for [/etc/down eth0 10.1.1.252] before leaving; signal again to kill it"
)


def test_a_script_starts() -> None:
    """ucarp's line."""
    said = Said()

    said.journal.script_started((*UP, "rack 4"))
    said.journal.waiting_for(())
    said.journal.waiting_for(DOWN)

    assert said.lines == [
        ("WARNING", "Spawning [/etc/up eth0 10.1.1.252 rack 4]"),
        ("INFO", WAITING),
    ]


def test_a_script_that_has_to_wait() -> None:
    """Only a down script is tried again: the host may still have the address."""
    said = Said()
    said.journal.script_postponed(DOWN, "Cannot allocate memory")

    [(level, text)] = said.lines
    assert level == "ERROR"
    assert text.startswith("Unable to exec /etc/down eth0 10.1.1.252: Cannot allocate")
    assert text.endswith("; trying again every second")


def test_an_interface_of_our_own_that_fails() -> None:
    """In the words of the error."""
    said = Said()
    said.journal.holding_failure(LinkError("no {what}", what="macvlan"))

    assert said.lines == [("ERROR", "no macvlan")]
