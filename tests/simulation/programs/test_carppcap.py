"""The simulated carppcap does what the daemon does around the core."""

from itertools import pairwise

import pytest

from carppcap.election.actions import AnnounceAddresses
from carppcap.simulation.model.happenings import Running
from carppcap.simulation.scenario.parts import Kind
from carppcap.units import NS_PER_S
from tests.simulation.groups import (
    adverts,
    causes,
    changes,
    every_step,
    fail_over_s,
    nobody_s,
    play,
    several_s,
)


@pytest.mark.parametrize("skew", [0, 50, 100, 200])
@pytest.mark.parametrize("deed", ["crash", "kill"])
def test_fail_over(deed: str, skew: int) -> None:
    """It takes the master-down interval and the delay of the last advert, to the ns."""
    result = play(
        "carppcap",
        "carppcap",
        story=f"at 20.5s {deed} node1",
        node={
            "node1": {"flags": "-k 0"},
            "node2": {"flags": f"-k {skew}", "start": "1s"},
        },
    )

    assert fail_over_s(result, "node1", "node2") == pytest.approx(
        3 + skew / 256 + 0.0001, abs=1e-8
    )


@pytest.mark.parametrize(
    ("story", "refused"),
    [
        ("", 0),
        ("at 20s set password of all to new", 0),
        ("at 20s for 2s crash node2\nat 20s set password of node2 to new", 73),
        ("at 20s for 2s crash node2\nat 20s set password of all to b, simulated", 0),
    ],
    ids=["never changed", "not read", "another", "second"],
)
def test_a_password_that_is_set_counts_from_the_next_start(
    story: str, refused: int
) -> None:
    """The second line is believed.

    Of two masters each refuses the adverts of the other, and the questions by which
    the other answers its announcements.
    """
    result = play("carppcap", "carppcap", story=story)

    rejected = result.report.hosts[1].rejected
    assert rejected.get("badauth", 0) == pytest.approx(refused, abs=5 * bool(refused))


@pytest.mark.parametrize("flags", ["-z", ""])
def test_stop(flags: str) -> None:
    """With -z: script, farewell, take-over at once.  Without: the address stays."""
    result = play(
        "carppcap", "carppcap", story="at 20s stop node1", group={"flags": flags}
    )

    if flags:
        assert causes(result, "node1")[-1] == "INIT shutdown"
        assert fail_over_s(result, "node1", "node2") < 0.001
        assert nobody_s(result) == pytest.approx(0.0051)
        assert several_s(result) == 0
    else:
        assert causes(result, "node1")[-1] == "MASTER master_down"
        assert several_s(result) > 35


def test_a_backup_told_to_stop_goes_at_once() -> None:
    """A backup has no script to wait for."""
    result = play(
        "carppcap", "carppcap", story="at 20s stop node2", group={"flags": "-z"}
    )

    assert changes(result, "node2")[-1] == (20, "INIT shutdown")
    ended = [e for e in result.entries if e.what == Running(False)]
    assert [(e.name, e.at) for e in ended] == [("node2", 20 * NS_PER_S)]


def test_told_twice_it_does_not_wait_for_its_script() -> None:
    """A second stop kills the script; a holder sends no farewell."""
    result = play(
        "carppcap",
        story="at 20s stop node1\nat 22s stop node1",
        group={"flags": "-z -n"},
        node={"node1": {"down_script": "1h"}},
    )

    assert changes(result, "node1")[-1] == (22, "INIT shutdown")
    assert adverts(result, "node1")[-1][1].advbase == 1


def test_adverts_never_wait_for_a_script() -> None:
    """There is one holder all the time, although the scripts of both are slow."""
    slow = {"up_script": "10s, address first", "down_script": "10s"}
    result = play("carppcap", "carppcap", node={"node1": slow, "node2": slow})

    assert several_s(result) == 0
    assert adverts(result, "node1")[0][0] == 3


def test_a_script_that_takes_too_long() -> None:
    """A script is killed at its time limit, and the peer takes over."""
    result = play(
        "carppcap",
        "carppcap",
        group={"flags": "--script-timeout 2"},
        node={"node1": {"up_script": "1h"}},
    )

    assert (5.0, "BACKUP address_failed") in changes(result, "node1")
    assert "MASTER" in causes(result, "node2")[-1]


@pytest.mark.parametrize(
    ("script", "keeps"),
    [
        ("1s", True),
        ("1s, exit 1", False),
        ("1s, exit 1, address first", True),
        ("none", True),
    ],
)
def test_how_a_script_ends(script: str, keeps: bool) -> None:
    """A script has succeeded if the address is there."""
    result = play("carppcap", node={"node1": {"up_script": script}})

    assert ("BACKUP address_failed" not in causes(result, "node1")) is keeps
    assert (result.report.first_held_ns is not None) is (keeps and script != "none")


def test_scripts_run_one_at_a_time() -> None:
    """A release that comes while the other script runs waits for its end."""
    result = play(
        "carppcap",
        "carppcap",
        story="at 10s for 5s cut node1 from node2",
        node={"node2": {"up_script": "20s"}},
    )
    held = [tenure for tenure in result.holders if tenure.name == "node2"]

    assert len(held) == 1
    assert (
        held[0].until - held[0].since == 5_000_000
    )  # as long as its down script takes


@pytest.mark.parametrize(("flags", "expected"), [("", 5.0 + 3.0), ("-S", 3.0)])
def test_link(flags: str, expected: float) -> None:
    """It listens first after the carrier is back; -S ignores the carrier."""
    result = play(
        "carppcap",
        group={"flags": flags},
        story="at 0s for 5s pull node1\nat 20s pull node1",
    )
    up = [at for at, what in changes(result, "node1") if "MASTER" in what]

    assert up == [expected]
    assert (causes(result, "node1")[-1] == "BACKUP link_down") is (flags == "")


def test_step_down() -> None:
    """It runs its script, sends a farewell and pauses for three seconds."""
    result = play("carppcap", story="at 20s step down node1")
    (down, why), (up, _) = changes(result, "node1")[2:]

    assert (down, why) == (20.005, "BACKUP step_down")
    assert up == pytest.approx(26.005)


def test_a_clock_that_is_set_changes_nothing() -> None:
    """Only the monotonic clock counts."""
    quiet = play("carppcap", "carppcap")
    busy = play("carppcap", "carppcap", story="at 9s step clock of all by -1h")

    assert [step for _, step in every_step(busy)] == [
        step for _, step in every_step(quiet)
    ]


def test_a_stalled_master_yields_when_it_goes_on() -> None:
    """It first reads the frames that wait, and finds adverts of a preferred peer."""
    result = play(
        "carppcap",
        "carppcap",
        story="at 10.5s for 6s stall node1",
        group={"flags": "-k 5"},
        node={"node2": {"flags": "-k 4"}, "node1": {"flags": "-k 3"}},
    )

    assert causes(result, "node1") == ["BACKUP startup", "MASTER master_down"]
    assert causes(result, "node2")[-1] == "BACKUP better_master"


def test_a_stalled_backup_doubts_the_silence() -> None:
    """After a stall that lost adverts a backup listens once more."""
    result = play("carppcap", "carppcap", story="at 20.5s for 10s stall node2")
    words = [
        type(step.event).__name__
        for host, step in every_step(result)
        if host == "node2"
    ]

    assert causes(result, "node2") == ["BACKUP startup"]
    assert words.count("FramesLost") == 1


def test_without_lost_frames_silence_is_proof() -> None:
    """After a stall that lost no adverts a backup takes over at once."""
    story = "at 20.5s for 10s stall node2\nat 22.5s crash node1"
    result = play("carppcap", "carppcap", story=story)
    words = [
        type(step.event).__name__
        for host, step in every_step(result)
        if host == "node2"
    ]

    assert changes(result, "node2")[-1] == (30.5, "MASTER master_down")
    assert "FramesLost" not in words


@pytest.mark.parametrize("kind", [kind.value for kind in Kind])
def test_a_tie_with_any_kind_settles(kind: str) -> None:
    """After a cut one master remains, whichever has the lower address."""
    for first, second in (("10.9.0.1", "10.9.0.2"), ("10.9.0.2", "10.9.0.1")):
        for seed in range(4):
            result = play(
                "carppcap",
                kind,
                seed=seed,
                duration="90s",
                story="at 20s..25s for 10s cut node1 from node2",
                group={"flags": "-k 10"},
                node={
                    "node1": {"flags": f"-s {first}", "start": "0s..2s"},
                    "node2": {"flags": f"-s {second}", "start": "0s..2s"},
                },
            )
            calm = [
                at for name in ("node1", "node2") for at, _ in changes(result, name)
            ]
            states = {
                causes(result, name)[-1].split()[0] for name in ("node1", "node2")
            }
            assert max(calm) < 45
            assert states == {"MASTER", "BACKUP"}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("-k 10", [0, 100, 0]), ("-k 10 --demotion 200", [200, 255, 200])],
)
def test_demotion(flags: str, expected: list[int]) -> None:
    """Demotion counts while it lasts, and at most 255 in all."""
    story = "at 20.5s for 5s demote node1 by 100"
    result = play("carppcap", story=story, node={"node1": {"flags": flags}})
    sent = [advert.demotion for _, advert in adverts(result, "node1")]

    assert [now for before, now in pairwise([-1, *sent]) if now != before] == expected


def test_unicast() -> None:
    """Peers send to each other only; a third host hears nothing."""
    node = {
        "node1": {"flags": "--peer 10.9.0.2"},
        "node2": {"flags": "--peer 10.9.0.1"},
    }
    result = play("carppcap", "carppcap", "carppcap", node=node)

    assert causes(result, "node2") == ["BACKUP startup"]
    assert causes(result, "node3")[-1] == "MASTER master_down"


@pytest.mark.parametrize("peer", ["carppcap", "ucarp"])
def test_the_last_announcement_after_a_partition_is_the_holders(peer: str) -> None:
    """Two masters, as each heard nothing, and then one: neighbours find it."""
    result = play(
        "carppcap",
        peer,
        story="at 20.3s for 12s cut node1 from node2",
        node={"node1": {"flags": "-k 0"}, "node2": {"flags": "-k 100"}},
        group={"flags": "--announce-interval 0"},
    )

    assert several_s(result) > 0
    announced = [
        (step.at, name)
        for name, step in every_step(result)
        if AnnounceAddresses() in step.actions
    ]
    assert max(announced)[1] == "node1"
    assert next(name for at, name in announced if at > 20 * NS_PER_S) == "node2"
