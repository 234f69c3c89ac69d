"""What the story can do to a host, and how the host reacts."""

import pytest

from carppcap.election.events import LinkDown
from carppcap.simulation.model.happenings import Running
from carppcap.simulation.model.ring import Ring
from carppcap.units import NS_PER_S
from tests.simulation.groups import causes, changes, every_step, play, several_s


@pytest.mark.parametrize(
    ("blocks_max", "arrivals", "kept", "lost"),
    [
        (2, [], [], False),
        (2, [0, 10, 11, 21], [0, 10, 11, 21], False),
        (2, [0, 11, 22], [0, 11], True),
        (2, [0, 11, 22, 21], [0, 11, 21], True),
        (9, [0, 11, 22], [0, 11, 22], False),
    ],
)
def test_ring(
    blocks_max: int, arrivals: list[int], kept: list[int], lost: bool
) -> None:
    """Frames that come together share a block; without a free block they are lost."""
    ring = Ring(10, blocks_max)
    for at in arrivals:
        ring.add(at, b"")

    assert [at for at, _ in ring.frames()] == kept
    assert ring.lost_frames is lost


def test_a_crash_takes_the_address_and_a_kill_leaves_it() -> None:
    """After a kill the old address stays, so that two hosts hold it."""
    crashed = play("carppcap", "carppcap", story="at 20s crash node1")
    killed = play("carppcap", "carppcap", story="at 20s kill node1")

    assert crashed.holders[0].until == 20_000_000_000
    assert killed.holders[-1].until == killed.holders[-2].until == 60_000_000_000
    assert (several_s(crashed), several_s(killed) > 30) == (0, True)


@pytest.mark.parametrize("kind", ["carppcap", "ucarp"])
def test_scripts_outlive_their_process_but_not_their_host(kind: str) -> None:
    """A script of a killed process still takes the address; a crash ends it."""
    node = {"node1": {"up_script": "5s"}}
    killed = play(kind, story="at 5s kill node1", node=node)
    crashed = play(kind, story="at 5s crash node1", node=node)

    assert killed.report.first_held_ns is not None
    assert 8.0 <= killed.report.first_held_ns / 1e9 <= 8.02
    assert crashed.report.first_held_ns is None


@pytest.mark.parametrize("kind", ["carppcap", "ucarp"])
def test_a_new_process_gives_the_address_back(kind: str) -> None:
    """A new process runs its down script first, whatever the old one left behind."""
    result = play(kind, story="at 20s kill node1\nat 30s start node1")

    assert result.holders[0].until == 30_005_000_000
    assert causes(result, "node1")[2:] == ["BACKUP startup", "MASTER master_down"]


def test_the_script_of_an_old_process_is_not_the_new_one_s() -> None:
    """A script of the old process has no effect on the new one."""
    result = play(
        "carppcap",
        story="at 4s kill node1\nat 5s start node1",
        node={"node1": {"up_script": "3s"}},
    )

    assert [at for at, _ in changes(result, "node1")] == [0, 3, 5, 8]
    assert result.holders[0].since == 6_000_000_000


def test_a_new_process_does_not_count_the_scripts_of_the_old_one() -> None:
    """Scripts of a new process run one at a time, whichever old ones end."""
    result = play(
        "carppcap",
        story="at 6s kill node1\nat 7s start node1",
        node={"node1": {"up_script": "3s", "down_script": "5s"}},
    )
    held = [(t.since / NS_PER_S, t.until / NS_PER_S) for t in result.holders]

    # 0 to 5 down, 5 to 8 up; killed at 6; 7 to 12 down, and only then up again.
    assert held == [(8, 12), (15, 60)]


def test_a_frame_that_arrives_without_a_cable_is_lost() -> None:
    """A frame on its way is lost when the cable is pulled."""
    result = play(
        "carppcap", "netbsd", story="at 20.1s pull node2", wire={"delay": "300ms"}
    )

    last = [step for name, step in every_step(result) if name == "node2"][-1]
    assert (last.at, last.event) == (20_100_000_000, LinkDown())


def test_only_its_own_script_is_killed() -> None:
    """The script that an old process has started runs to its end."""
    result = play(
        "carppcap",
        story="at 3.5s kill node1\nat 5s start node1",
        group={"flags": "--script-timeout 1"},
        node={"node1": {"up_script": "5s", "down_script": "999s"}},
    )
    released = [
        step.at for _, step in every_step(result) if "Released" in str(step.event)
    ]

    assert released[:2] == [1_000_000_000, 6_000_000_000]
    assert result.holders[0].since == 8_000_000_000


def test_starting_what_runs_changes_nothing() -> None:
    """Starting a live process changes nothing, nor does any order to a dead one."""
    story = "at 20s start node1"
    dead = "at 20s kill node1\nat 21s kill node1\nat 22s stop node1\n"
    dead += "at 23s for 1s stall node1\nat 25s step down node1"

    assert causes(play("carppcap", story=story), "node1")[2:] == []
    assert causes(play("carppcap", story=dead), "node1")[2:] == []


def test_a_pulled_cable_hides_the_address() -> None:
    """Without a cable a configured address is not held."""
    result = play("carppcap", story="at 20s for 5s pull node1", group={"flags": "-S"})

    ends = [(tenure.since, tenure.until) for tenure in result.holders]
    assert ends == [
        (3_005_000_000, 20_000_000_000),
        (25_000_000_000, 60_000_000_000),
    ]
    assert causes(result, "node1") == ["BACKUP startup", "MASTER master_down"]


def test_nothing_leaves_or_reaches_a_host_without_a_cable() -> None:
    """With -S each of two separated hosts is master until the cable is back."""
    result = play(
        "carppcap", "carppcap", story="at 10s for 10s pull node1", group={"flags": "-S"}
    )

    assert ("MASTER master_down") in causes(result, "node2")
    assert changes(result, "node2")[-1][1] == "BACKUP better_master"
    assert 20 < changes(result, "node2")[-1][0] < 21.1


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ("at 21s stop node1", (25, "INIT shutdown")),
        ("at 21s step down node1", (25.005, "BACKUP step_down")),
        ("at 21s pull node1", (25, "BACKUP link_down")),
    ],
)
def test_what_happens_during_a_stall_is_noticed_afterwards(
    story: str, expected: tuple[float, str]
) -> None:
    """Signals and changes of the link wait until the process continues."""
    result = play(
        "carppcap",
        story=f"at 20s for 5s stall node1\n{story}",
        group={"flags": "-z"},
        node={"node1": {"down_script": "5ms"}},
    )
    found = [(round(at, 2), what) for at, what in changes(result, "node1")]

    assert (round(expected[0], 2), expected[1]) in found


def test_a_script_that_ends_during_a_stall() -> None:
    """The address is there at once, but the process notices it afterwards."""
    result = play(
        "carppcap",
        story="at 4s for 5s stall node1",
        node={"node1": {"up_script": "3s"}},
    )
    told = [
        step
        for _, step in every_step(result)
        if "Acquired" in type(step.event).__name__
    ]

    assert result.report.first_held_ns == 6_000_000_000
    assert [step.at for step in told] == [9_000_000_000]
    # As in the daemon, what is due comes before it.
    late = [
        type(step.event).__name__
        for _, step in every_step(result)
        if step.at == 9 * NS_PER_S
    ]
    assert late == ["Tick", "SendSucceeded", "AddressesAcquired"]


def test_two_stalls_are_over_when_both_are() -> None:
    """A process that was stopped twice continues at the later end."""
    story = "at 20s for 5s stall node1\nat 22s for 6s stall node1"
    result = play("carppcap", story=story)
    silent = [step.at for _, step in every_step(result) if 20e9 < step.at < 28e9]

    assert silent == []


def test_a_stalled_process_that_is_killed_stays_dead() -> None:
    """The end of a stall does not revive a killed process or touch a new one."""
    story = "at 20s for 5s stall node1\nat 21s kill node1\nat 22s start node1"
    result = play("carppcap", story=story)

    assert changes(result, "node1")[-1] == (25, "MASTER master_down")


@pytest.mark.parametrize(
    ("drift", "expected_s"), [("100000ppm", 2.727), ("-100000ppm", 3.334)]
)
def test_drift(drift: str, expected_s: float) -> None:
    """A clock ten percent fast or slow changes the fail-over in true time."""
    result = play("carppcap", node={"node1": {"drift": drift}})
    up = changes(result, "node1")[1][0]
    steps = [step for _, step in every_step(result)]

    assert up == pytest.approx(expected_s, abs=0.001)
    assert all(step.deadline is None or step.deadline > step.at for step in steps)


def test_who_runs() -> None:
    """Each start and each end of a program is told once."""
    story = (
        "at 20s kill node1\nat 30s start node1\nat 40s crash node1\nat 50s crash node1"
    )
    result = play("carppcap", story=story)
    told = [
        (e.at // 10**9, e.what.runs)
        for e in result.entries
        if isinstance(e.what, Running)
    ]

    assert told == [(0, True), (20, False), (30, True), (40, False)]
