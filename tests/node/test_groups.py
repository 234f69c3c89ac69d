"""Several groups on one machine: routing, deadlines, the replay guard and hints."""

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import count, pairwise
from typing import Any

import pytest

from carppcap.addresses import Address, Family
from carppcap.election.actions import SendAdvert, SendHint, SendSolicitation, State
from carppcap.election.config import GuardMode
from carppcap.election.events import (
    AdvertReceived,
    LinkDown,
    LinkUp,
    Start,
    Stop,
    Tick,
)
from carppcap.node.counter import EPOCH_S, UNITS_PER_S, CounterSequence, join, split
from carppcap.node.egress import Egress
from carppcap.node.findings import Finding
from carppcap.node.groups import PARTS_MAX, Node, Step
from carppcap.node.ingress import (
    HintReceived,
    Refusal,
    Rejection,
    RejectReason,
    SolicitationReceived,
)
from carppcap.node.replay_guard import START_SLACK
from carppcap.units import NS_PER_S
from carppcap.wire.auth import Key
from carppcap.wire.decode import Datagram, Defect, LinkType, decode
from tests.builders import (
    GROUP,
    GROUP6,
    HIGHER,
    LOWER,
    LOWER6,
    OURS,
    OURS6,
    VIP,
    VIP6,
    config,
    ns,
    numbers,
    payload,
    words,
)

ONE = config(vhid=1)
TWO = config(vhid=2, advskew=64)
ELSEWHERE = config(vhid=1, interface="eth1", advbase=2)


def started() -> Node:
    node = Node([ONE, TWO, ELSEWHERE], numbers)
    node.group("eth0", 1).handle(Start(), ns(0))
    node.group("eth0", 2).handle(Start(), ns(1))
    node.group("eth1", 1).handle(Start(), ns(2))
    return node


def received(vhid: int, *, counter: int = 900, **changes: Any) -> Datagram:
    body = payload(config(vhid=vhid), counter, **changes)
    return Datagram(LOWER, GROUP, 255, True, body)


def test_a_step_has_event_actions_state_and_deadline() -> None:
    """State and deadline are those after the event."""
    node = Node([ONE], numbers)

    step = node.group("eth0", 1).handle(Start(), ns(5))

    assert (step.at, step.interface, step.vhid, step.event) == (
        ns(5),
        "eth0",
        1,
        Start(),
    )
    assert words(step.actions) == ["INIT -> BACKUP startup", "release"]
    assert (step.state, step.deadline) == (State.BACKUP, ns(7.7))


def test_nothing_is_due_before_the_start() -> None:
    """There is no deadline without a group, or before any of them has started."""
    assert Node([], numbers).deadline is None
    assert Node([ONE], numbers).deadline is None
    assert Node([ONE], numbers).tick(ns(100)) == []


def test_the_deadline_of_a_node_is_the_earliest_of_its_groups() -> None:
    """It moves on when the group that had it stops."""
    node = started()
    assert node.deadline == ns(2.7)

    node.group("eth0", 1).handle(Stop(), ns(2))
    assert node.deadline == ns(4.25 - 0.325)

    node.group("eth0", 2).handle(LinkDown(), ns(2))
    assert node.deadline == ns(7.4)


def test_tick_is_passed_to_the_groups_that_are_due() -> None:
    """A group is due at its deadline and later."""
    node = started()

    assert node.tick(ns(2.7) - 1) == []
    (first,) = node.tick(ns(2.7))
    assert (first.vhid, first.event, first.state) == (1, Tick(), State.BACKUP)
    assert words(first.actions) == ["solicit"]


def test_one_backup_takes_over_at_a_time() -> None:
    """That of the earliest deadline first; adverts of masters never wait for it."""
    node = started()
    node.tick(ns(3))

    ticks = [[(s.interface, s.vhid) for s in node.tick(ns(8))] for _ in range(3)]

    assert ticks == [[("eth0", 1), ("eth0", 2)], [("eth1", 1)], []]


@pytest.mark.parametrize("number", [2, 3, 64, 65, 255, 1000])
def test_adverts_of_many_groups_are_spread(number: int) -> None:
    """All become master at once; none is late, and few are due at the same time."""
    configs = [
        config(interface=f"eth{each // 255}", vhid=each % 255 + 1)
        for each in range(number)
    ]
    node = Node(configs, numbers)
    groups = [node.group(each.interface, each.vhid) for each in configs]
    for group in groups:
        group.handle(Start(), ns(0.3))
    while node.tick(ns(3.3)):
        pass
    deadlines = Counter(group.deadline for group in groups)

    assert len(deadlines) == min(number, PARTS_MAX)
    assert max(deadlines.values()) == -(-number // PARTS_MAX)
    assert all(ns(3.3) < (at or 0) <= ns(4.3) for at in deadlines)
    instants = sorted(at or 0 for at in deadlines)
    parts = {after - before for before, after in pairwise(instants)}
    assert max(parts) - min(parts) <= 1


def test_a_single_group_advertises_as_ucarp_does() -> None:
    """Its second advert is one interval after it became master."""
    node = Node([ONE], numbers)
    node.group("eth0", 1).handle(Start(), ns(0.3))
    node.tick(ns(3.3))

    assert node.deadline == ns(4.3)


def test_one_vhid_on_two_interfaces_is_two_groups() -> None:
    """An advert on one interface does not reach the group on the other."""
    node = started()

    step = node.receive("eth1", received(1), ns(2.5))

    assert isinstance(step, Step)
    assert (step.interface, step.deadline) == ("eth1", ns(7.9))
    assert node.deadline == ns(2.7)


def test_a_group_has_the_state_and_deadline_of_its_last_step() -> None:
    """`Node.group` returns it."""
    node = started()
    step = node.group("eth0", 2).handle(LinkDown(), ns(2))

    group = node.group("eth0", 2)

    assert group.config is TWO
    assert (group.state, group.deadline) == (step.state, step.deadline)


def test_an_advert_is_passed_to_the_group_of_its_vhid() -> None:
    """The step names that group."""
    node = started()

    step = node.receive("eth0", received(2), ns(2))

    assert isinstance(step, Step)
    assert (step.vhid, step.deadline) == (2, ns(5.25 - 0.325))
    assert step.event == AdvertReceived(LOWER, 1, 0, 900)
    assert node.group("eth0", 2).state is State.BACKUP


def test_receive_returns_the_rejection_of_a_frame() -> None:
    """No deadline changes; for a foreign frame None is returned."""
    node = started()
    unknown = node.receive("eth0", received(3), ns(2))

    assert isinstance(unknown, Rejection)
    assert unknown.reason is RejectReason.BADVHID
    assert node.receive("eth0", Defect.FOREIGN, ns(2)) is None
    assert node.receive("eth0", Defect.TRUNCATED, ns(2)) == Rejection(
        RejectReason.BADLEN
    )
    assert node.deadline == ns(2.7)


def test_last_will() -> None:
    """A farewell in each family, later than all that was sent."""
    host = config(vips=(VIP, VIP6), source6=OURS6, demotion=3)
    group = Node([host], numbers).group("eth0", 7)
    group.handle(Start(), ns(0))
    steps = [group.handle(Tick(), ns(4)) for _ in range(3)]
    assert group.state is State.MASTER
    sent = [
        each
        for step in steps
        for each in step.actions
        if isinstance(each, (SendAdvert, SendSolicitation))
    ]

    will = group.last_will(ns(4))

    assert will == group.last_will(ns(4))
    assert [(each.advbase, each.advskew, each.demotion) for each in will] == [
        (255, 255, 3)
    ] * 2
    assert [each.family for each in will] == [Family.IPV4, Family.IPV6]
    counters = [each.counter for each in (*sent, *will)]
    assert counters == sorted(set(counters))


def test_our_own_advert_is_recognised_by_its_counter() -> None:
    """It may come from another address, if a bridge or a router sends it back."""
    node = started()
    (step,) = node.tick(ns(3))
    sent = step.actions[1]
    assert isinstance(sent, SendAdvert)

    echo = node.receive("eth0", received(1, counter=sent.counter), ns(3.5))
    other_host = node.receive("eth0", received(2, counter=sent.counter), ns(3.5))

    assert isinstance(echo, Step)
    assert echo.refusal == Refusal(RejectReason.OWN, LOWER, None)
    assert echo.actions == ()
    assert node.group("eth0", 1).state is State.MASTER
    assert isinstance(other_host, Step)


def test_another_source() -> None:
    """Frames from it are our own, those from the old one are not, and ties are its."""
    node = Node([ONE], numbers)
    node.group("eth0", 1).handle(Start(), ns(0))
    node.tick(ns(3))
    node.readdress(config(vhid=1, source=LOWER))

    def heard(counter: int, source: IPv4Address) -> Step | Rejection | None:
        datagram = replace(received(1, counter=counter), source=source)
        return node.receive("eth0", datagram, ns(3.5))

    own = heard(901, LOWER)
    assert isinstance(own, Rejection)
    assert own.reason is RejectReason.OWN
    # With the old source it would be no tie, but an advert of ours.
    for counter in (902, 903):
        tie = heard(counter, OURS)
        assert isinstance(tie, Step)
        assert tie.state is State.MASTER


def test_adverts_of_a_namesake_are_told_from_our_own() -> None:
    """It is a namesake's if it is authentic and none of our last ones."""
    node = started()
    (step,) = node.tick(ns(3))
    sent = step.actions[1]
    assert isinstance(sent, SendAdvert)

    def is_namesake(vhid: int, *, source: IPv4Address = OURS, **changes: Any) -> bool:
        datagram = replace(received(vhid, **changes), source=source)
        verdict = node.receive("eth0", datagram, ns(3.5))
        return isinstance(verdict, Rejection) and node.is_namesake("eth0", verdict)

    assert is_namesake(1)
    assert is_namesake(1, counter=sent.counter - 1)
    assert not is_namesake(1, counter=sent.counter)
    assert not is_namesake(1, digest=bytes(20))
    assert not is_namesake(1, source=LOWER, digest=bytes(20))
    assert not is_namesake(3)
    assert node.group("eth0", 1).state is State.MASTER


def test_we_draw_another_id_when_a_peer_has_ours() -> None:
    """An echo of our own adverts does not make us do so."""
    drawn = count(5)
    node = Node([ONE], lambda: CounterSequence(0, ns(0), drawn.__next__))
    node.group("eth0", 1).handle(Start(), ns(0))
    ids = []
    for second in (3, 4, 5):
        (step,) = node.tick(ns(second))
        (sent,) = [a for a in step.actions if isinstance(a, SendAdvert)]
        stamp = split(sent.counter)
        assert stamp is not None
        ids.append(stamp[1])
        if second > 3:
            echo = node.receive("eth0", received(1, counter=sent.counter), ns(second))
            assert isinstance(echo, Step)
            assert echo.refused
    worse = payload(config(vhid=1), join(LATE, 5), advskew=200)
    node.receive("eth0", Datagram(LOWER, GROUP, 255, True, worse), ns(5))
    (step,) = node.tick(ns(6))
    (stamp,) = [split(a.counter) for a in step.actions if isinstance(a, SendAdvert)]

    assert ids == [5, 5, 5]
    assert stamp is not None
    assert stamp[1] > 5


# The replay guard.

WALL_S = EPOCH_S + 1000
LATE = 1000 * UNITS_PER_S + 100_000
"""What a counter says that is an hour ahead of us."""


def guarded(mode: GuardMode = GuardMode.ENFORCE, **changes: Any) -> Node:
    """Return a node whose only group is a backup since 0 s, with a deadline at 3 s."""
    host = config(vhid=1, replay_guard=mode, **changes)
    node = Node([host], lambda: CounterSequence(WALL_S * NS_PER_S, ns(0), lambda: 9))
    node.group("eth0", 1).handle(Start(), ns(0))
    return node


def heard(node: Node, counter: int, second: float, **changes: Any) -> str:
    """Return what became of an advert with this counter, in a word or two."""
    body = payload(config(vhid=1), counter, **changes)
    datagram = Datagram(LOWER, GROUP, 255, True, body, bytes(6))
    outcome = node.receive("eth0", datagram, ns(second))
    assert isinstance(outcome, Step)
    assert isinstance(outcome.event, AdvertReceived)
    assert outcome.event == AdvertReceived(
        LOWER, changes.get("advbase", 1), changes.get("advskew", 0), counter
    )
    assert outcome.event.mac == bytes(6)
    if outcome.refusal is not None:
        assert (outcome.refusal.source, outcome.refusal.vhid) == (LOWER, 1)
        assert outcome.finding is not None
        assert outcome.refusal.reason.value == outcome.finding.value
        return outcome.finding.value
    if outcome.finding is None:
        return "obeyed"
    return f"{outcome.finding.value}, obeyed"


def takeover(node: Node) -> float:
    """Return when the only group takes over; its deadline is when it asks before."""
    assert node.deadline is not None
    return (node.deadline + ns(0.3)) / NS_PER_S


def test_replays_are_refused() -> None:
    """So are adverts sent again with other claims, and adverts that are too old."""
    node = guarded()

    assert heard(node, join(LATE, 3), 1) == "obeyed"
    assert heard(node, join(LATE, 3), 2) == "replay"
    assert heard(node, join(LATE, 3), 2, advbase=255, advskew=255) == "tampered"
    assert heard(node, join(LATE - 9000, 3), 2) == "stale"
    assert takeover(node) == 4
    assert node.group("eth0", 1).state is State.BACKUP


def test_in_mode_detect_replays_are_reported_and_obeyed() -> None:
    """Each one puts off the deadline, and its step has the finding."""
    node = guarded(GuardMode.DETECT)

    assert heard(node, join(LATE, 3), 1) == "obeyed"
    assert heard(node, join(LATE, 3), 2) == "replay, obeyed"
    assert takeover(node) == 5
    assert heard(node, join(LATE - 9000, 3), 2.5) == "stale, obeyed"
    assert heard(node, join(LATE, 3), 2.5, advskew=9) == "tampered, obeyed"
    assert takeover(node) == 5.5


def test_in_mode_off_replays_are_obeyed() -> None:
    """Their steps have no finding."""
    node = guarded(GuardMode.OFF)

    assert [heard(node, join(LATE, 3), second) for second in (1, 2)] == ["obeyed"] * 2
    assert heard(node, join(LATE - 9000, 3), 2.5) == "obeyed"
    assert takeover(node) == 5.5


def test_without_a_password_replays_are_obeyed() -> None:
    """An attacker can then make new adverts, so it is no use to refuse old ones."""
    node = guarded(key=None)
    datagram = received(1)

    for second in (1, 2):
        step = node.receive("eth0", datagram, ns(second))
        assert isinstance(step, Step)
        assert (step.finding, step.refused) == (None, False)


def test_a_sender_that_repeats_its_counter_is_obeyed() -> None:
    """One step has the finding that the counter is constant."""
    node = guarded()
    found = [heard(node, 900, second) for second in range(6)]
    changed = [heard(node, 900, 6, advskew=9), heard(node, 900, 7, advskew=9)]

    assert found == ["obeyed"] * 3 + ["repeating, obeyed"] + ["obeyed"] * 2
    assert changed == ["changed, obeyed", "obeyed"]
    assert takeover(node) == 10


def test_a_sender_that_repeats_old_counters_is_probed_before_a_take_over() -> None:
    """A ucarp that was put back to an older snapshot sends its counters again."""
    node = guarded()
    for second, counter in enumerate((11, 12, 13, 14)):
        assert heard(node, counter, second) == "obeyed"
    assert takeover(node) == 6
    assert [heard(node, counter, 4) for counter in (11, 12)] == ["replay"] * 2

    (question,) = node.tick(ns(6))
    assert words(question.actions) == ["advert 1/1"]
    assert (question.state, takeover(node)) == (State.BACKUP, 7.25)


def test_a_replay_delays_a_take_over_by_one_probe() -> None:
    """However often it is sent, the delay is 1.25 of its intervals."""
    node = guarded()
    for second, counter in enumerate((11, 12, 13, 14)):
        assert heard(node, counter, second) == "obeyed"
    for part in range(40, 72):
        assert heard(node, 14, part / 10) in ("replay", "obeyed")
    node.tick(ns(6))
    (claim,) = node.tick(ns(7.25))
    assert claim.state is State.MASTER


@pytest.mark.parametrize("old", [join(LATE, 3), 11])
def test_there_is_no_probe_for_a_counter_that_was_probed_or_is_marked(old: int) -> None:
    """The sender of a marked counter gets a hint instead."""
    node = guarded()
    for second, counter in enumerate((old, 12, join(LATE + 1, 3))):
        assert heard(node, counter, second) == "obeyed"
    assert heard(node, old, 2) == "replay"
    assert heard(node, join(LATE + 2, 3), 3) == "obeyed"
    assert heard(node, old, 4) == "replay"

    (claim,) = node.tick(ns(6))
    assert claim.state is State.MASTER


def test_our_own_adverts_are_refused_long_after() -> None:
    """The replay guard remembers them for longer than the virtual host does."""
    node = guarded(advskew=1)
    sent = [
        action.counter
        for second in range(3, 80)
        for step in node.tick(ns(second + second / 256))
        for action in step.actions
        if isinstance(action, SendAdvert)
    ]

    assert len(sent) > 70
    assert heard(node, sent[0], 90) == "stale"
    assert node.group("eth0", 1).state is State.MASTER


TWINS = {"vips": (VIP, VIP6), "source6": OURS6}


def heard6(node: Node, counter: int, second: float, **changes: Any) -> Step:
    """What became of an advert over IPv6."""
    body = payload(config(vhid=1, **TWINS), counter, **changes)
    outcome = node.receive(
        "eth0", Datagram(LOWER6, GROUP6, 255, True, body), ns(second)
    )
    assert isinstance(outcome, Step)
    return outcome


@pytest.mark.parametrize("mode", [GuardMode.DETECT, GuardMode.ENFORCE])
def test_a_twin_in_the_other_family_moves_nothing(mode: GuardMode) -> None:
    """It only tells that its family is heard."""
    node = guarded(mode, **TWINS)
    for second in range(8):
        body = payload(config(vhid=1, **TWINS), 900 + 7 * second)
        datagram = Datagram(LOWER, GROUP, 255, True, body)
        first = node.receive("eth0", datagram, ns(second))
        twin = heard6(node, 900 + 7 * second, second + 0.125)

        assert isinstance(first, Step)
        assert (first.finding, first.actions) == (None, ())
        assert (twin.finding, twin.refused, twin.actions) == (None, False, ())
        # The first counter of a sender may be a constant one.
        assert takeover(node) == (second + 3 if second else 3.125)


def test_what_was_missed_without_a_link_is_not_obeyed_later() -> None:
    """Were it sent again, the master that sent it may have another id."""
    node = guarded()
    assert heard(node, join(1000 * UNITS_PER_S + 100, 3), 1) == "obeyed"
    node.group("eth0", 1).handle(LinkDown(), ns(2))
    node.group("eth0", 1).handle(LinkUp(), ns(60))

    def missed(second: int) -> int:
        return join((1000 + second) * UNITS_PER_S, 3)

    assert [heard(node, missed(s), 61) for s in (30, 56)] == ["stale"] * 2
    assert [heard(node, missed(s), 61) for s in (57, 61)] == ["obeyed"] * 2


# Hints.


def hint_to(counter: int, destination: Address, **changes: Any) -> Datagram:
    """Return a hint as a peer sends it."""
    sender = Egress(config(vhid=1, source=LOWER, **changes), bytes(6), lambda: 1)
    (frame,) = sender.frames(SendHint(counter, destination), 0)
    datagram = decode(frame, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    return datagram


@pytest.mark.parametrize("mode", [GuardMode.DETECT, GuardMode.ENFORCE])
def test_the_sender_of_a_stale_advert_gets_a_hint(mode: GuardMode) -> None:
    """It says what the next counter has to exceed; there is at most one each 0.25 s."""
    node = guarded(mode)
    stale = Datagram(
        LOWER, GROUP, 255, True, payload(config(vhid=1), join(5, 3)), bytes(6)
    )
    hints = []
    for second in (1, 1.125, 1.25):
        outcome = node.receive("eth0", stale, ns(second))
        assert isinstance(outcome, Step)
        assert outcome.finding is Finding.STALE
        assert outcome.refused is (mode is GuardMode.ENFORCE)
        hints.append(outcome.actions)

    floor = SendHint(join(1000 * UNITS_PER_S - START_SLACK, 3), LOWER)
    assert hints == [(floor,), (), (floor,)]


def test_a_master_adverts_at_once_after_a_hint() -> None:
    """The counter is beyond that of the hint; the same hint again has no effect."""
    node = guarded()
    (step,) = node.tick(ns(3))
    assert step.state is State.MASTER

    told = node.receive("eth0", hint_to(join(LATE, 9), OURS), ns(3.5))
    assert isinstance(told, Step)
    assert told.event == HintReceived(join(LATE, 9))
    (sent,) = told.actions
    assert isinstance(sent, SendAdvert)
    assert sent.counter == join(LATE + 1, 9)
    again = node.receive("eth0", hint_to(join(LATE, 9), OURS), ns(3.6))
    assert isinstance(again, Step)
    assert (again.actions, again.refused, again.refusal) == ((), True, None)


def test_a_backup_sends_nothing_after_a_hint() -> None:
    """Its first advert as a master has a counter beyond that of the hint."""
    node = guarded(GuardMode.OFF)

    told = node.receive("eth0", hint_to(join(LATE, 9), OURS), ns(1))
    assert isinstance(told, Step)
    assert (told.actions, told.deadline) == ((), ns(2.7))
    (step,) = node.tick(ns(3))
    (sent,) = [a for a in step.actions if isinstance(a, SendAdvert)]
    assert sent.counter == join(LATE + 1 + 2 * UNITS_PER_S, 9)


def test_hints_without_effect() -> None:
    """They are for an id that is not ours, for another host, or forged."""
    node = guarded()

    other_id = node.receive("eth0", hint_to(join(LATE, 8), OURS), ns(1))
    assert isinstance(other_id, Step)
    assert (other_id.actions, other_id.refused) == ((), True)
    assert node.receive("eth0", hint_to(join(LATE, 9), HIGHER), ns(1)) is None
    forged = node.receive("eth0", hint_to(join(LATE, 9), OURS, key=Key(b"x")), ns(1))
    assert isinstance(forged, Rejection)
    assert forged.reason is RejectReason.BADAUTH


# Solicitations.


def solicitation(counter: int, **changes: Any) -> Datagram:
    """Return a solicitation as a peer sends it."""
    sender = Egress(config(vhid=1, source=LOWER, **changes), bytes(6), lambda: 1)
    (frame,) = sender.frames(SendSolicitation(counter), 0)
    datagram = decode(frame, LinkType.ETHERNET)
    assert isinstance(datagram, Datagram)
    return datagram


def asked(node: Node, counter: int, second: float) -> Step:
    step = node.receive("eth0", solicitation(counter), ns(second))
    assert isinstance(step, Step)
    assert step.event == SolicitationReceived(counter, LOWER)
    assert step.refusal is None
    return step


@pytest.mark.parametrize("mode", GuardMode)
def test_a_master_answers_each_solicitation_once(mode: GuardMode) -> None:
    """With an advert of its sequence; what is sent again changes nothing."""
    node = guarded(mode)
    (claim,) = node.tick(ns(3))
    before = node.deadline

    answered = asked(node, join(LATE, 3), 3.5)
    again = asked(node, join(LATE, 3), 3.5)

    assert words(answered.actions) == ["advert 1/0"]
    assert (answered.refused, answered.deadline) == (False, before)
    assert (again.actions, again.refused, again.finding) == ((), True, Finding.REPLAY)
    counters = [
        action.counter
        for step in (claim, answered)
        for action in step.actions
        if isinstance(action, SendAdvert)
    ]
    assert counters == sorted(counters)


def test_a_backup_answers_no_solicitation() -> None:
    """It says nothing, and waits as long as before."""
    node = guarded()
    step = asked(node, join(LATE, 3), 1)

    assert (step.actions, step.refused, takeover(node)) == ((), False, 3)


def test_an_asker_whose_clock_went_back_gets_a_hint() -> None:
    """So that it is answered when it asks again."""
    node = guarded()
    node.tick(ns(3))
    step = asked(node, join(5, 3), 3.5)

    latest = join(1000 * UNITS_PER_S - START_SLACK, 3)
    assert step.actions == (SendHint(latest, LOWER),)
    assert (step.refused, step.finding) == (True, Finding.STALE)
    assert asked(node, join(5, 3), 3.5).actions == ()


def test_a_solicitation_with_our_id_makes_us_draw_another() -> None:
    """The two hosts would take each other's adverts for old ones."""
    node = Node([ONE], lambda: CounterSequence(0, ns(0), count(5).__next__))
    node.group("eth0", 1).handle(Start(), ns(0))
    (step,) = node.tick(ns(2.7))
    asked(node, join(LATE, 5), 2.8)
    (later,) = node.tick(ns(2.9))

    ids = [
        (split(action.counter) or (0, 0))[1]
        for action in (*step.actions, *later.actions)
        if isinstance(action, SendSolicitation)
    ]
    assert ids == [5, 6]


@pytest.mark.parametrize("mode", GuardMode)
@pytest.mark.parametrize(
    ("first", "second", "is_copy"),
    [
        (False, True, True),
        (True, False, True),
        (False, False, False),
        (True, True, False),
    ],
)
def test_one_advert_to_the_group_and_to_us(
    mode: GuardMode, first: bool, second: bool, is_copy: bool
) -> None:
    """The one that comes second is a copy, whichever it is, and no event."""
    node = guarded(mode)
    body = payload(config(vhid=1), join(LATE, 3))
    forged = payload(config(vhid=1), join(LATE, 3), advskew=1)
    ways = {
        to_us: Datagram(LOWER, goal, 255, True, body, is_broadcast=to_us)
        for to_us, goal in ((False, GROUP), (True, OURS))
    }

    assert isinstance(node.receive("eth0", ways[first], ns(1)), Step)
    again = node.receive("eth0", ways[second], ns(2))
    assert (again is None) is is_copy
    if is_copy:
        assert takeover(node) == 4
    other_claims = replace(ways[second], payload=forged)
    assert isinstance(node.receive("eth0", other_claims, ns(3)), Step)
