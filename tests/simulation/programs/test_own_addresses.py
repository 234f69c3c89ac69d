"""A simulated carppcap with --own-addresses, its keeper and the kernel."""

import pytest

from carppcap.simulation.output.report import Run
from carppcap.units import NS_PER_S
from tests.simulation.groups import causes, changes, nobody_s, play, several_s

KEPT_S = 2.65
LIFETIME_S = 2


def own(story: str, flags: str = "", seed: int = 1, **node1: str) -> Run:
    """Return a run of two hosts; the first is master, with adverts at whole seconds."""
    return play(
        "carppcap",
        "carppcap",
        seed=seed,
        story=story,
        group={"flags": f"--own-addresses {flags}"},
        node={"node1": node1, "node2": {"start": "1s"}},
    )


def spans(result: Run, name: str) -> list[tuple[float, float]]:
    """Return when a host held the address, in seconds."""
    return [
        (held.since / NS_PER_S, held.until / NS_PER_S)
        for held in result.holders
        if held.name == name
    ]


@pytest.mark.parametrize("flags", ["", "-z"])
def test_the_last_will(flags: str) -> None:
    """A daemon that is killed is succeeded in the time of a frame."""
    result = own("at 20.5s kill node1", flags)

    assert spans(result, "node1") == [(3, 20.5)]
    assert spans(result, "node2") == [(20.5001, 60)]


def test_without_a_farewell() -> None:
    """The address is gone at once, but peers wait."""
    result = own("at 20.5s kill node1", "--no-farewell")

    assert spans(result, "node1") == [(3, 20.5)]
    assert nobody_s(result) == pytest.approx(2.8906, abs=1e-3)


def test_a_signal_to_stop_without_z() -> None:
    """It ends the daemon at once, and the keeper carries out its will."""
    result = own("at 20.5s stop node1")

    assert spans(result, "node1") == [(3, 20.5)]
    assert spans(result, "node2") == [(20.5001, 60)]


def test_both_killed() -> None:
    """The lifetime ends, late as kernels are, before the peer takes over."""
    result = own("at 20.7s kill both of node1")
    [(_, ended)] = spans(result, "node1")

    assert 20.6 + LIFETIME_S <= ended <= 20.6 + LIFETIME_S + 0.31
    assert several_s(result) == 0
    assert spans(result, "node2")[0][0] == pytest.approx(23.3907, abs=1e-3)


@pytest.mark.parametrize("word", ["hang", "for 30s stall"])
def test_a_daemon_that_hangs(word: str) -> None:
    """The keeper removes the address before a peer takes over."""
    result = own(f"at 20.5s {word} node1")

    [(_, ended), *_] = spans(result, "node1")
    assert 20.6 + LIFETIME_S <= ended <= 20 + KEPT_S
    assert several_s(result) <= 0.0001


def test_a_hang_has_no_end_unless_it_is_said() -> None:
    """With an end the host is master again, and takes the address again."""
    for_ever, for_a_while = (
        own("at 20.5s hang node1"),
        own("at 20.5s for 9s hang node1"),
    )

    assert causes(for_ever, "node2")[-1] == "MASTER master_down"
    assert causes(for_a_while, "node2")[-1] == "BACKUP better_master"
    assert spans(for_a_while, "node1")[-1] == (29.5, 60)
    assert several_s(for_a_while) == pytest.approx(0.0001)


def test_a_short_stall() -> None:
    """It costs nothing."""
    assert spans(own("at 20.5s for 1s stall node1"), "node1") == [(3, 60)]


def test_a_keeper_that_is_killed() -> None:
    """The daemon makes another, which holds the same."""
    result = own("at 20.5s kill keeper of node1\nat 40s kill node1")

    assert spans(result, "node1") == [(3, 40)]
    assert spans(result, "node2") == [(40.0001, 60)]
    assert own("at 20.5s kill keeper of node2").holders == own("").holders


def test_a_keeper_that_is_killed_while_the_daemon_is_stopped() -> None:
    """What the kernel has removed meanwhile is taken again."""
    result = own("at 20.1s for 2.8s stall node1\nat 20.2s kill keeper of node1")

    (_, ended), (again, _) = spans(result, "node1")
    assert 20 + LIFETIME_S <= ended <= 20 + LIFETIME_S + 0.31
    assert again == 22.9
    assert len(changes(result, "node1")) == 2


def test_a_lifetime_that_ends_before_the_permission() -> None:
    """Keeper or kernel: the daemon is told, and takes the address again."""
    story = "at 20.5s for 2.3s stall node1"
    runs = [own(story, seed=seed) for seed in range(36, 39)]
    ended = [spans(result, "node1")[0][1] for result in runs]

    assert all(20.6 + LIFETIME_S <= end <= 20 + KEPT_S for end in ended)
    assert min(ended) < max(ended) == 20 + KEPT_S
    for result in runs:
        assert spans(result, "node1")[1:] == [(22.8, 60)]
        assert len(changes(result, "node1")) == 2


def test_an_old_farewell_permits_nothing() -> None:
    """This host was stopped when it came, and another may have taken over."""
    result = own("at 20.1s for 9s stall node2\nat 21s kill node1")

    assert changes(result, "node2")[1:3] == [
        (29.1, "MASTER master_too_slow"),
        (29.1, "BACKUP address_failed"),
    ]
    assert nobody_s(result) > 8


def test_a_host_without_power_has_no_keeper() -> None:
    """Nothing is left to be killed."""
    result = own("at 20s crash node1\nat 21s kill keeper of node1")

    assert result.report == own("at 20s crash node1").report


def test_a_crash_takes_the_keeper_along() -> None:
    """There is no last will."""
    result = own("at 20.5s crash node1")

    assert spans(result, "node1") == [(3, 20.5)]
    assert several_s(result) == 0
    assert nobody_s(result) > 2.8


def test_what_a_crash_has_left_is_removed_at_the_start() -> None:
    """Before its lifetime ends."""
    result = own("at 20.7s for 1s kill both of node1")

    assert spans(result, "node1")[0] == (3, 21.7)


def test_a_gentle_stop() -> None:
    """First the down script, then the address goes, then the farewell."""
    result = own("at 20.5s stop node1", "-z", down_script="2s")

    assert spans(result, "node1") == [(3, 22.5)]
    assert spans(result, "node2") == [(22.5001, 60)]


@pytest.mark.parametrize("fault", ["pull node1", "demote node1 by 50"])
def test_any_other_yielding(fault: str) -> None:
    """The address goes at once, and the down script runs meanwhile."""
    result = own(f"at 20.5s {fault}", down_script="2s")

    assert spans(result, "node1")[0][1] == pytest.approx(20.5, abs=0.001)
    assert several_s(result) <= 0.0001


def test_a_down_script_that_still_runs() -> None:
    """The address is taken when it has ended."""
    result = own(
        "at 20.5s for 1s demote node1 by 50", down_script="5s", up_script="100ms"
    )
    again = own("at 20.5s demote node1 by 50\nat 22s kill node2", down_script="5s")

    assert several_s(result) <= 0.0001
    assert spans(again, "node1")[-1][0] == pytest.approx(25.5, abs=0.001)


def test_an_up_script_that_ends_when_this_host_is_no_longer_master() -> None:
    """What it may have set is removed."""
    result = own("at 5s pull node1", up_script="5s")

    assert spans(result, "node1") == [(3, 5)]


def test_no_scripts() -> None:
    """None is needed."""
    result = own("at 20.5s stop node1", "-z", up_script="none", down_script="none")

    assert spans(result, "node1") == [(3, 20.5)]
    assert spans(result, "node2") == [(20.5001, 60)]
