"""Runs depend on their seed alone; the story changes what hosts do."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from carppcap.election.events import AdvertReceived
from carppcap.node.groups import Step
from carppcap.simulation.model.happenings import Told
from carppcap.simulation.output.transcript import lines
from carppcap.simulation.run import measure, run
from carppcap.simulation.scenario.parts import Kind, Order, Scene, Span, Verb
from carppcap.units import NS_PER_S
from tests.simulation.groups import adverts, causes, changes, every_step, group, play

SCENARIOS = Path(__file__).parents[3] / "fixtures" / "simulations"
EVERY_KIND = [kind.value for kind in Kind]


def everything(seed: int) -> list[str]:
    """Return the lines of a run that draws as many random numbers as possible."""
    bad = dict.fromkeys(("loss", "duplicate", "reorder", "corrupt"), "10%")
    scenario = group(
        *EVERY_KIND,
        wire=bad | {"jitter": "5ms"},
        node={f"node{n}": {"start": "0s..2s"} for n in range(1, 6)},
        story="at 20s..30s crash node1\nat 20s..30s for 5s cut node2 to node3",
    )
    return list(lines(run(scenario, seed).entries, verbose=True))


def test_the_same_seed_is_the_same_run() -> None:
    """One seed gives the same lines twice, another seed gives others."""
    assert everything(1) == everything(1)
    assert everything(1) != everything(2)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_runs_do_not_depend_on_the_process(hash_seed: str) -> None:
    """The order of sets and dictionaries, which differs by process, has no effect."""
    path = SCENARIOS / "bad-wire.toml"
    command = [sys.executable, "-m", "carppcap", "simulate", str(path)]
    environment = os.environ | {"PYTHONHASHSEED": hash_seed}

    output = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout

    assert output == path.with_suffix(".txt").read_text("utf-8")


def test_one_more_host_does_not_change_the_chances_of_the_others() -> None:
    """Each host has dice of its own, so one more host leaves the others alike."""
    few, more = (
        play(*["carppcap"] * count, seed=3, wire={"jitter": "5ms"}) for count in (2, 3)
    )

    assert adverts(few, "node1")[0] == adverts(more, "node1")[0]


def test_what_is_measured_is_what_is_seen() -> None:
    """`measure` and `run` give the same report."""
    scenario = group("carppcap", "ucarp", story="at 20s crash node1")

    assert measure(scenario, 4) == run(scenario, 4).report


def test_steps_are_in_order_and_end_in_time() -> None:
    """Steps come in order, end with the duration, and name their host."""
    result = play("carppcap", "ucarp", "netbsd", duration="30s")
    instants = [step.at for _, step in every_step(result)]

    assert instants == sorted(instants)
    assert instants[-1] < 30 * NS_PER_S
    assert {name for name, _ in every_step(result)} == {"node1", "node2", "node3"}


def test_a_frame_is_handled_before_a_deadline_at_the_same_instant() -> None:
    """An advert that arrives at the very deadline keeps a backup from taking over."""
    result = play(
        "carppcap",
        "carppcap",
        group={"flags": "-b 1 -r 1"},
        node={
            "node1": {"flags": "-k 0"},
            "node2": {"flags": "-k 0 -s 10.9.0.9", "start": "1s"},
        },
        wire={"delay": "100us"},
    )

    assert causes(result, "node2") == ["BACKUP startup"]


@pytest.mark.parametrize(
    ("deed", "until_over"),
    [
        ("crash node1", ["BACKUP startup", "MASTER master_down"]),
        ("kill node1", ["BACKUP startup", "MASTER master_down"]),
        ("stop node1", ["BACKUP startup", "MASTER master_down"]),
        ("pull node1", ["BACKUP startup", "MASTER master_down", "BACKUP link_down"]),
    ],
)
def test_what_lasts_is_undone(deed: str, until_over: list[str]) -> None:
    """A host takes part again when the time of a deed is over."""
    result = play("carppcap", story=f"at 10s for 5s {deed}")
    after = [what for at, what in changes(result, "node1") if at >= 15]
    before = [what for at, what in changes(result, "node1") if at < 15]

    assert before == until_over
    assert after[-1] == "MASTER master_down"
    assert changes(result, "node1")[-1][0] == 18


def test_a_cut_heals_and_a_disturbance_passes() -> None:
    """There are two masters while the fault lasts, and one afterwards."""
    for deed in ("cut node1 from node2", "lose 100%"):
        result = play("carppcap", "carppcap", story=f"at 10s for 10s {deed}")
        assert causes(result, "node2")[-2:] == [
            "MASTER master_down",
            "BACKUP better_master",
        ]
        assert 20 < changes(result, "node2")[-1][0] < 22


@pytest.mark.parametrize(
    ("mode", "after"), [("off", 12), ("detect", 12), ("enforce", 2)]
)
def test_an_attack_ends(mode: str, after: int) -> None:
    """A host that accepts old adverts takes over only when they end."""
    story = "at 20s crash node1\nat 20s for 10s replay node1"
    group = {"flags": f"--replay-guard {mode}"}
    result = play("carppcap", "carppcap", story=story, group=group)

    taken = changes(result, "node2")[-1][0]
    assert 20 + after < taken < 21.5 + after


def test_an_attacker_repeats_one_advert_and_forges_the_latest() -> None:
    """A replay repeats one counter; a forgery uses the latest counter each time."""
    for deed, repeated in (("replay node1", 11), ("rewrite node1 to 2/0", 2)):
        story, group = f"at 20.5s for 10s {deed}", {"flags": "--replay-guard detect"}
        result = play("carppcap", "carppcap", story=story, group=group)
        heard = Counter(
            step.event.counter
            for name, step in every_step(result)
            if name == "node2" and isinstance(step.event, AdvertReceived)
        )
        assert max(heard.values()) == repeated


def test_an_attacker_who_has_heard_nothing_waits() -> None:
    """The attacker begins once there is a message to send again: a question, here."""
    result = play(
        "carppcap", "carppcap", story="at 1s for 10s replay node1 every 500ms"
    )

    assert result.report.hosts[0].rejected == {"own": 16}


def test_a_forged_claim() -> None:
    """No digest covers the claim, but the host that is imitated is not fooled."""
    story = "at 20.5s for 1s rewrite node1 to 255/255"
    refused = play("carppcap", "carppcap", story=story)
    group = {"flags": "--replay-guard off"}
    result = play("carppcap", "carppcap", story=story, group=group)

    assert changes(refused, "node2") == [(0, "BACKUP startup")]
    assert refused.report.hosts[1].rejected == {"tampered": 2}
    assert (20.5001, "MASTER master_too_slow") in changes(result, "node2")
    assert causes(result, "node1") == ["BACKUP startup", "MASTER master_down"]


def test_a_story_is_told() -> None:
    """Each scene is told when it begins and when it is over."""
    result = play("carppcap", story="at 5s for 2s lose 5%\nat 6s start all")

    told = [(e.at, e.what.over) for e in result.entries if isinstance(e.what, Told)]
    assert told == [(5 * NS_PER_S, False), (6 * NS_PER_S, False), (7 * NS_PER_S, True)]


def test_what_cannot_be_undone() -> None:
    """A clock step cannot be undone, not even by a scenario in code."""
    scene = Scene(Span(0, 0), Order(Verb.STEP_CLOCK, ("node1",), 5), lasts_ns=5)
    scenario = group("carppcap")
    broken = type(scenario)(scenario.members, (scene,))

    with pytest.raises(AssertionError):
        run(broken)


def test_orders_by_hand() -> None:
    """A scenario may be written in code, without the language."""
    scenario = group("carppcap", "carppcap")
    scene = Scene(Span(10 * NS_PER_S, 10 * NS_PER_S), Order(Verb.CRASH, ("node1",)))
    result = run(type(scenario)(scenario.members, (scene,)), 5)

    assert result.seed == result.report.seed == 5
    assert [tenure.name for tenure in result.holders] == ["node1", "node2"]
    assert all(isinstance(step, Step) for _, step in every_step(result))
