"""The simulated ucarp does what was measured of the real one."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from carppcap.election.actions import AnnounceAddresses, SendAdvert
from carppcap.election.events import AddressesAcquired
from carppcap.simulation.output.report import Run
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

SEEDS = range(25)
SOMETIME = {"start": "0s..1s"}
SLOW = {"up_script": "10s, address first"}


def two_ucarps(
    story: str = "",
    group: dict[str, str] | None = None,
    node: dict[str, dict[str, str]] | None = None,
    duration: str = "60s",
) -> Callable[[int], Run]:
    """Return what runs two ucarps with a seed; the second starts at random."""
    return lambda seed: play(
        "ucarp",
        "ucarp",
        seed=seed,
        story=story,
        group=group or {},
        node={"node2": SOMETIME} | (node or {}),
        duration=duration,
    )


@pytest.mark.parametrize(
    ("skew", "least", "measured", "most"),
    [
        (0, 3.0, 3.38, 4.02),
        (50, 3.58, 4.11, 4.62),
        (100, 4.17, 4.73, 5.2),
        (200, 5.3, 5.85, 6.4),
    ],
)
@pytest.mark.parametrize("deed", ["crash", "kill", "stop"])
def test_fail_over(
    deed: str, skew: int, least: float, measured: float, most: float
) -> None:
    """It takes a multiple of the interval and up to 1 s more, also after a stop."""
    run = two_ucarps(
        story=f"at 20s {deed} node1",
        group={"flags": "-z"},
        node={
            "node1": {"flags": "-k 0"},
            "node2": {"flags": f"-k {skew}"} | SOMETIME,
        },
    )
    times = [fail_over_s(run(seed), "node1", "node2") for seed in SEEDS]

    assert least <= min(times) < measured < max(times) <= most


@pytest.mark.parametrize(
    ("least", "most", "run"),
    [
        pytest.param(
            0.96,
            1.0,
            lambda seed: play("ucarp", "ucarp", seed=seed, group={"flags": "-k 0"}),
            id="two equal ones start together",
        ),
        pytest.param(
            0.03,
            0.99,
            two_ucarps(
                story="at 20s..21s start node2",
                node={
                    "node1": {"flags": "-k 100"},
                    "node2": {"flags": "-k 0 -P", "start": "never"},
                },
            ),
            id="the preferred one joins",
        ),
        pytest.param(
            10.0,
            10.5,
            two_ucarps(node={"node1": SLOW, "node2": SLOW}),
            id="slow up scripts",
        ),
        pytest.param(
            10.0,
            11.0,
            two_ucarps(
                story="at 20s..21s start node2",
                node={
                    "node1": {"flags": "-k 100", "down_script": "10s"},
                    "node2": {"flags": "-k 0 -P", "start": "never"},
                },
            ),
            id="a slow down script",
        ),
        pytest.param(
            0.8,
            3.0,
            two_ucarps(story="at 30s..31s step clock of node1 by -5s"),
            id="the master's clock is set back by 5 s",
        ),
        pytest.param(
            24.0,
            27.0,
            two_ucarps(story="at 30s..31s step clock of node1 by -1h"),
            id="the master's clock is set back by an hour",
        ),
    ],
)  # fmt: skip
def test_two_holders(least: float, most: float, run: Callable[[int], Run]) -> None:
    """Each known weakness gives two holders for as long as was measured."""
    for seed in range(8):
        assert least <= several_s(run(seed)) <= most


def test_a_clock_set_back_by_an_hour_silences_the_master() -> None:
    """A master whose clock is set back sends nothing until the clock has caught up."""
    result = two_ucarps(story="at 30s step clock of node1 by -1h")(1)

    assert max(at for at, _ in adverts(result, "node1")) < 31.1


def test_a_clock_set_forward_sends_at_once_and_goes_on() -> None:
    """A clock that is set forward makes one advert early, without harm."""
    result = two_ucarps(story="at 30.5s step clock of node1 by 1h")(1)

    assert causes(result, "node1") == ["BACKUP startup", "MASTER master_down"]
    assert result.report.nobody_ns == 0


def test_a_backup_counts_by_the_clock_it_reads() -> None:
    """A backup whose clock is set back recovers with the next advert."""
    story = "at 20s step clock of node2 by -1h\nat 30s crash node1"

    assert 3 <= fail_over_s(two_ucarps(story=story)(1), "node1", "node2") <= 5.2


def test_hand_over_leaves_a_gap() -> None:
    """The address is not held for about three seconds; then the peer holds it."""
    run = two_ucarps(story="at 20s..21s step down node1", group={"flags": "-k 0"})
    results = [run(seed) for seed in SEEDS]

    assert all(2 <= nobody_s(result) <= 4.1 for result in results)
    assert any(2.9 <= nobody_s(result) <= 3.4 for result in results)
    assert {causes(result, "node1")[-1] for result in results} == {"BACKUP step_down"}
    assert {causes(result, "node2")[-1] for result in results} == {"MASTER master_down"}


def test_after_stepping_down_it_pauses_and_then_listens() -> None:
    """Alone, it is master again after script, 3 s and its master-down interval."""
    result = play("ucarp", story="at 20s step down node1")
    (down, _), (up, _) = changes(result, "node1")[2:]

    assert down == pytest.approx(20, abs=0.01)
    assert 6.0 <= up - down <= 6.1


def test_a_backup_does_not_step_down() -> None:
    """It has nothing to hand over."""
    result = two_ucarps(
        story="at 20s step down node2", node={"node2": {"flags": "-k 99"}}
    )

    assert causes(result(1), "node2")[-1] != "BACKUP step_down"


def test_a_replayed_advert_keeps_the_address_from_everyone() -> None:
    """No host takes over during a replay and one master-down interval more."""
    story = "at 20s crash node1\nat 20s for 24s replay node1 every 1s"
    result = two_ucarps(story=story, duration="45s")(1)

    assert nobody_s(result) == pytest.approx(25, abs=0.001)
    assert result.report.nobody_at_end


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ("10.9.1.1", "10.9.0.2", "node1"),
        ("10.9.0.2", "10.9.1.1", "node2"),
        ("10.9.0.1", "10.9.0.2", "node1"),
    ],
)
def test_the_last_octet_of_the_address_decides_a_tie(
    first: str, second: str, stays: str
) -> None:
    """The loser sends a last advert, and the winner announces the address by ARP."""
    result = play(
        "ucarp",
        "ucarp",
        group={"flags": "-k 0"},
        node={"node1": {"flags": f"-s {first}"}, "node2": {"flags": f"-s {second}"}},
    )
    goes = {"node1": "node2", "node2": "node1"}[stays]
    yielded = next(
        step
        for host, step in every_step(result)
        if host == goes and step.actions and "better_master" in str(step.actions)
    )
    heard = [
        step
        for host, step in every_step(result)
        if host == stays
        and step.at > yielded.at
        and AnnounceAddresses() in step.actions
    ]

    assert causes(result, stays) == ["BACKUP startup", "MASTER master_down"]
    assert causes(result, goes)[-1] == "BACKUP better_master"
    assert isinstance(yielded.actions[0], SendAdvert)
    assert heard


def test_script_then_arp_then_advert() -> None:
    """Claims wait for the up script; ARP comes again two adverts later."""
    result = play("ucarp", node={"node1": {"up_script": "2s"}})
    steps = [step for _, step in every_step(result) if step.actions]
    up, claim, second, third = steps[1:5]

    assert [type(action).__name__ for action in up.actions] == [
        "StateChanged",
        "AcquireAddresses",
    ]
    assert claim.event == AddressesAcquired(True)
    assert claim.at - up.at == 2_000_000_000
    assert [type(a).__name__ for a in claim.actions] == [
        "AnnounceAddresses",
        "SendAdvert",
    ]
    # Counted from before the script, the next advert is overdue when it ends.
    assert second.at - claim.at < 5_000_000
    assert [len(second.actions), len(third.actions)] == [1, 2]


def test_while_a_script_runs_nothing_is_said() -> None:
    """A master sends nothing for the ten seconds of its script."""
    result = play("ucarp", node={"node1": {"up_script": "10s"}})
    first, *_ = adverts(result, "node1")

    assert first[0] == pytest.approx(13, abs=0.1)


@pytest.mark.parametrize("script", ["1s, exit 1", "none"])
def test_a_failing_script_makes_no_difference_to_it(script: str) -> None:
    """It becomes MASTER although no host has the address."""
    result = play("ucarp", node={"node1": {"up_script": script}})

    assert causes(result, "node1") == ["BACKUP startup", "MASTER master_down"]
    assert result.report.first_held_ns is None


def test_carrier() -> None:
    """Without a carrier it sleeps for ten seconds, whatever happens meanwhile."""
    result = play("ucarp", story="at 20s for 2s pull node1")
    (lost, why), (back, _) = changes(result, "node1")[2:]

    assert why == "BACKUP link_down"
    assert 20 <= lost <= 21.1
    assert 13.0 <= back - lost <= 13.1


def test_starting_without_a_carrier() -> None:
    """It sleeps as long at the start; with -S it ignores the carrier."""
    story = "at 0s for 5s pull node1"

    (_, (careful, _)) = changes(play("ucarp", story=story), "node1")
    (_, (careless, _)) = changes(
        play("ucarp", story=story, group={"flags": "-S"}), "node1"
    )

    assert careful == pytest.approx(13, abs=0.1)
    assert careless == pytest.approx(3, abs=0.1)


def test_it_obeys_a_farewell_but_says_none() -> None:
    """With -z it runs its down script and ends without a farewell."""
    quiet = play("ucarp", "ucarp", story="at 20s stop node1", group={"flags": "-z"})
    polite = play("carppcap", "ucarp", story="at 20s stop node1", group={"flags": "-z"})

    assert all(advert.advbase == 1 for _, advert in adverts(quiet, "node1"))
    assert causes(quiet, "node1")[-1] == "INIT shutdown"
    assert adverts(polite, "node1")[-1][1].advbase == 255
    assert causes(polite, "node2")[-1] == "MASTER master_too_slow"
    assert fail_over_s(polite, "node1", "node2") < 1.1


def test_a_backup_told_to_stop_just_goes() -> None:
    """A backup runs no script; without -z the process ends at once."""
    gentle = play("ucarp", "ucarp", story="at 20s stop node2", group={"flags": "-z"})
    rude = play("ucarp", story="at 20s stop node1")

    assert causes(gentle, "node2")[-1] == "INIT shutdown"
    assert causes(rude, "node1")[-1] == "MASTER master_down"
    assert rude.holders[-1].until == 60_000_000_000


def test_a_signal_waits_for_a_script() -> None:
    """A signal during a script is handled after it."""
    result = play(
        "ucarp", story="at 5s step down node1", node={"node1": {"up_script": "10s"}}
    )

    assert changes(result, "node1")[2][0] == pytest.approx(13, abs=0.1)


def test_neutral_runs_no_script_at_start() -> None:
    """With -n an address that was there stays."""
    story = "at 10s kill node1\nat 11s start node1"

    assert len(play("ucarp", story=story, group={"flags": "-n"}).holders) == 1
    assert len(play("ucarp", story=story).holders) == 2


def test_a_wrong_password_makes_two_masters() -> None:
    """Each of the two rejects the adverts of the other."""
    result = play("ucarp", "ucarp", node={"node2": {"flags": "-p other"}})

    assert several_s(result) > 50
    assert all(member.rejected["badauth"] > 30 for member in result.report.hosts)


def test_a_second_password_is_not_read() -> None:
    """It reads the first line of its passfile only."""
    old, new = {"flags": "-p old"}, {"flags": "-p new", "second_password": "old"}
    result = play("ucarp", "ucarp", node={"node1": old, "node2": new})

    assert all(member.rejected["badauth"] > 30 for member in result.report.hosts)


def test_counters_follow_those_of_the_peer() -> None:
    """Counters begin at random; after an advert was heard they continue its counter."""
    result = play("ucarp", "ucarp", group={"flags": "-k 0"})
    numbers = [advert.counter for _, advert in adverts(result, "node1")]
    steps = [b - a for a, b in pairwise(numbers)]

    assert steps[0] != 1
    assert steps[5:] == [1] * len(steps[5:])


def test_subsecond_intervals() -> None:
    """With advbase 0 a single advert that libpcap kept back is a fail-over."""
    result = play(
        "ucarp",
        "ucarp",
        group={"flags": "-b 0"},
        node={"node1": {"flags": "-k 20"}, "node2": {"flags": "-k 40"}},
    )

    assert len(changes(result, "node2")) > 30
