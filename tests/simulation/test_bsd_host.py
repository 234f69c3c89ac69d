"""The simulated kernels do what PROTOCOL has of the real ones."""

import pytest

from carppcap.actions import AnnounceAddresses
from carppcap.simulation.scenario import Kind
from tests.simulation.groups import (
    adverts,
    causes,
    changes,
    fail_over_s,
    nobody_s,
    play,
)

KERNELS = [kind.value for kind in Kind if kind.is_kernel]
every_kernel = pytest.mark.parametrize("kind", KERNELS)


@every_kernel
@pytest.mark.parametrize("skew", [0, 100])
def test_fail_over(kind: str, skew: int) -> None:
    """Three intervals and the skew, which OpenBSD takes three times; and a tick."""
    result = play(
        kind,
        kind,
        story="at 20s crash node1",
        node={
            "node1": {"flags": "-k 0"},
            "node2": {"flags": f"-k {skew}", "start": "1s"},
        },
    )
    skews = 3 if kind == "openbsd" else 1
    theory = 3 + skews * skew / 256

    assert theory < fail_over_s(result, "node1", "node2") <= theory + 0.011


@pytest.mark.parametrize(("kind", "expected_s"), [("netbsd", 1.01), ("freebsd", 1.001)])
def test_a_tick_more_between_adverts(kind: str, expected_s: float) -> None:
    """1.010 s is what was captured at a hundred ticks a second."""
    sent = [at for at, _ in adverts(play(kind), "node1")]

    assert sent[5] - sent[4] == pytest.approx(expected_s, abs=1e-9)


@every_kernel
def test_a_new_master_speaks_at_once(kind: str) -> None:
    """Advert and ARP in the step that makes it MASTER, and it answers from then on."""
    result = play(kind)
    step = next(step for _, step in result.steps if AnnounceAddresses() in step.actions)

    assert [type(action).__name__ for action in step.actions] == [
        "StateChanged",
        "SendAdvert",
        "AnnounceAddresses",
    ]
    assert result.holders[0].since == step.at


@every_kernel
def test_it_yields_every_tie(kind: str) -> None:
    """Also by a lower address, to a peer that would have yielded."""
    story = "at 10s for 10s cut node1 from node2"
    result = play(
        kind,
        "ucarp",
        group={"flags": "-k 0"},
        story=story,
        node={"node2": {"start": "1s"}},
    )

    assert "BACKUP better_master" in causes(result, "node1")


@every_kernel
def test_preemption(kind: str) -> None:
    """Only with -P (net.inet.carp.preempt)."""
    for flags, expected in (("-P", "MASTER preemption"), ("", "BACKUP startup")):
        result = play(
            kind,
            kind,
            story="at 20s start node1",
            node={"node1": {"start": "never", "flags": flags}},
        )
        assert causes(result, "node1")[-1] == expected


@pytest.mark.parametrize(
    ("kind", "says_farewell"), [("freebsd", False), ("netbsd", True), ("openbsd", True)]
)
def test_farewell(kind: str, says_farewell: bool) -> None:
    """Two of them bow out; all take over at once when someone does."""
    result = play(kind, "freebsd", story="at 20.5s stop node1")

    assert (adverts(result, "node1")[-1][1].advbase == 255) is says_farewell
    assert (nobody_s(result) < 0.001) is says_farewell
    expected = "MASTER master_too_slow" if says_farewell else "MASTER master_down"
    assert causes(result, "node2")[-1] == expected
    assert causes(result, "node1")[-1] == "INIT shutdown"


@every_kernel
def test_a_backup_goes_without_a_word(kind: str) -> None:
    """It was not the one to be missed."""
    result = play(kind, kind, story="at 20s stop node2\nat 30s stop node2")

    assert adverts(result, "node2") == []
    assert causes(result, "node2") == ["BACKUP startup", "INIT shutdown"]

    unplugged = play(kind, story="at 9s pull node1\nat 20s stop node1")
    assert causes(unplugged, "node1")[-1] == "INIT link_down"


@every_kernel
def test_step_down(kind: str) -> None:
    """`ifconfig state backup` takes effect at once, and only on a master."""
    result = play(kind, kind, story="at 20s step down all")

    assert (20.0, "BACKUP step_down") in changes(result, "node1")
    assert "BACKUP step_down" not in causes(result, "node2")


@every_kernel
def test_link(kind: str) -> None:
    """INIT without a carrier, BACKUP with it, also at the start."""
    story = "at 0s for 5s pull node1\nat 20s for 5s pull node1"
    result = play(kind, story=story, node={"node1": {"start": "1s"}})

    assert causes(result, "node1") == [
        "BACKUP startup",
        "MASTER master_down",
        "INIT link_down",
        "BACKUP startup",
        "MASTER master_down",
    ]
    assert [at for at, _ in changes(result, "node1")][::3] == [5, 25]


@pytest.mark.parametrize(
    ("kind", "expected"), [("freebsd", True), ("netbsd", True), ("openbsd", False)]
)
def test_its_own_advert_come_back(kind: str, expected: bool) -> None:
    """Most kernels tie with themselves; OpenBSD knows its cookie."""
    result = play(kind, story="at 20.3s for 2s replay node1")

    assert ("BACKUP better_master" in causes(result, "node1")) is expected
    (member,) = result.report.members
    assert (member.rejected.get("own", 0) == 2) is not expected


def test_counters() -> None:
    """OpenBSD has one for all its life; the others follow who they hear."""
    constant = [a.counter for _, a in adverts(play("openbsd"), "node1")]
    fresh = [a.counter for _, a in adverts(play("freebsd"), "node1")]
    result = play("freebsd", "carppcap", story="at 10s for 5s cut node1 from node2")
    following = [a.counter for _, a in adverts(result, "node1")][-5:]

    assert len(set(constant)) == 1
    assert len(set(fresh)) == len(fresh)
    assert following == list(range(following[0], following[0] + 5))


def test_a_frame_that_is_none_of_its_business() -> None:
    """Rejected like everywhere else."""
    result = play("netbsd", "carppcap", node={"node2": {"flags": "-v 9"}})

    assert result.report.members[0].rejected["badvhid"] > 30
