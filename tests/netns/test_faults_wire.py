"""Tests faults of the wire: lost, late and doubled frames, flapping links."""

import os
import time
from itertools import pairwise

import pytest

from tests.netns.cable import CUT, SOUND, Cable, Quality, bad_cables
from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import (
    OURS,
    all_pairs,
    any_peer,
    await_adverts,
    await_rule,
    await_state,
    only_ours,
    start_group,
)
from tests.netns.wire import NS_PER_S

SKEW_NS = NS_PER_S // 256
SLACK_NS = NS_PER_S // 100
"""How far the kernel's time stamp of an advert may be from that of the relay."""

STAYED_MASTER, STAYED_BACKUP = ["BACKUP", "MASTER"], ["BACKUP"]


def _turn_bad(cable: Cable, weather: Quality) -> None:
    """Give `cable` the quality `weather` once it has delivered an advert.

    Every take-over is judged by the last advert delivered before it.
    """
    wait_for("an advert through the cable", lambda: cable.inward.delivered)
    cable.treat(weather)


def _deserved_take_overs(cable: Cable, backup: Daemon, master_down_ns: int) -> int:
    """Return how often `backup` became master.

    Check that each time no advert was delivered during the master-down interval.
    """
    claims = backup.logged("Switching to state: MASTER")
    for claim in claims:
        heard_ns = max(
            advert.time_ns
            for advert in cable.inward.delivered
            if advert.time_ns < claim.time_ns
        )
        silence_ns = claim.time_ns - heard_ns
        assert silence_ns > master_down_ns - SLACK_NS, "the master was heard"
    return len(claims)


@all_pairs
def test_loss_and_jitter(first: str, second: str) -> str:
    """With one advert in ten lost, and the rest 10 to 50 ms late, the master stays."""
    weather = Quality(loss=0.1, delay_ms=30, jitter_ms=20)
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 0"), (second, "-k 50"))
        with bad_cables(lab.hosts[1], quality=SOUND) as [cable]:
            _turn_bad(cable, weather)
            await_adverts(lab, lab.hosts[0], 12)
            cable.treat(SOUND)
            await_rule(lab, lab.hosts[0], master, adverts=2)

            claims = _deserved_take_overs(cable, backup, 3 * NS_PER_S + 50 * SKEW_NS)
            assert master.states == STAYED_MASTER
            lost, heard = len(cable.inward.lost), len(cable.inward.delivered)
            return f"{lost} of {lost + heard} adverts lost, {claims} take-overs"


@only_ours
@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_loss_and_jitter_at_100_ms(loss: float) -> str:
    """At 100 ms only three lost adverts in a row make two masters, and only briefly."""
    weather = Quality(loss=loss, delay_ms=30, jitter_ms=20)
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-b 0 -k 26"), (OURS, "-b 0 -k 30"))
        with bad_cables(lab.hosts[1], quality=SOUND, seed=8) as [cable]:
            _turn_bad(cable, weather)
            started_ns = time.time_ns()
            await_adverts(lab, lab.hosts[0], 120)
            cable.treat(SOUND)
            healed_ns = time.time_ns()
            await_rule(lab, lab.hosts[0], master, adverts=10)

            claims = _deserved_take_overs(cable, backup, 3 * 30 * SKEW_NS)
            assert master.states == STAYED_MASTER
            lost, heard = len(cable.inward.lost), len(cable.inward.delivered)
            dual_ms = lab.addresses.time_with(2, started_ns) // 1_000_000
            dual_ns = lab.addresses.time_with(2, healed_ns)
            assert dual_ns < NS_PER_S + lab.stalled_ns(healed_ns)
            return (
                f"{lost} of {lost + heard} adverts lost, {claims} take-overs, "
                f"two holders for {dual_ms} ms in all"
            )


@all_pairs
def test_doubled_and_overtaking_frames(first: str, second: str) -> str:
    """Frames that arrive twice, up to 1.9 s late and in any order, change nothing."""
    weather = Quality(doubling=1.0, delay_ms=950, jitter_ms=950)
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 0"), (second, "-k 50"))
        with bad_cables(lab.hosts[1], quality=weather, seed=3) as [cable]:
            await_adverts(lab, lab.hosts[0], 8)

            arrived = [advert.counter for advert in cable.inward.delivered]
            sent = [a.counter for a in lab.wire.adverts(lab.hosts[0].address)]
            order = [sent.index(counter) for counter in arrived]
            overtaken = sum(b < a for a, b in pairwise(order))
            assert overtaken
            assert len(arrived) > len(set(arrived))
            assert (master.states, backup.states) == (STAYED_MASTER, STAYED_BACKUP)
            return f"{len(arrived)} adverts, {overtaken} overtaken, 0 changes"


@all_pairs
def test_doubled_frames_during_an_election(first: str, second: str) -> str:
    """An election over a cable that doubles frames ends with one stable master."""
    weather = Quality(doubling=1.0, delay_ms=150, jitter_ms=150)
    with Lab(2) as lab, bad_cables(lab.hosts[1], quality=weather, seed=5):
        better = lab.hosts[0].start(first, "-k 0 -P")
        worse = lab.hosts[1].start(second, "-k 1")

        await_rule(lab, lab.hosts[0], better, adverts=4)

        assert better.states == STAYED_MASTER
        assert worse.states in (STAYED_BACKUP, [*STAYED_MASTER, "BACKUP"])
        dual_ms = lab.addresses.time_with(2) // 1_000_000
        return f"two holders for {dual_ms} ms"


@all_pairs
@pytest.mark.parametrize("cut", ["to the backup", "to the master", "both ways"])
def test_partition(first: str, second: str, cut: str) -> str:
    """A backup that hears nothing takes over, and yields once it hears the master."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (first, "-k 0"), (second, "-k 50"))
        with bad_cables(lab.hosts[1], quality=SOUND) as [cable]:
            if cut != "to the master":
                cable.inward.quality = CUT
            if cut != "to the backup":
                cable.outward.quality = CUT
            if cut == "to the master":
                await_adverts(lab, lab.hosts[0], 5)
            else:
                await_state(backup, "MASTER")
                wait_for("two holders", lambda: len(lab.holders) == 2)
                await_adverts(lab, lab.hosts[0], 2)
            cable.treat(SOUND)
            healed_ns = time.time_ns()
            await_rule(lab, lab.hosts[0], master, adverts=2)
            await_adverts(lab, lab.hosts[0], 2)

            assert master.states == STAYED_MASTER
            dual_ns = lab.addresses.time_with(2, healed_ns)
            if cut == "to the master":
                assert backup.states == STAYED_BACKUP
                assert dual_ns == 0
            else:
                assert backup.states == [*STAYED_MASTER, "BACKUP"]
                # An interval until the better one is heard, and the down script;
                # ucarp hears up to a second later.
                late_ns = NS_PER_S // 2 if second == OURS else NS_PER_S
                assert dual_ns < NS_PER_S + late_ns + lab.stalled_ns(healed_ns)
            return f"one holder {dual_ns // 1_000_000} ms after healing"


def _flap(host: Host, times: int) -> None:
    """Pull and plug the cable quickly `times` times; then wait for the link."""
    for _ in range(times):
        host.pull_cable()
        time.sleep(0.05)
        host.lab.bridge_run("ip", "link", "set", host.port, "up")
        time.sleep(0.05)
    host.await_link()


@only_ours
@any_peer
def test_flapping_cable_of_the_master(peer: str) -> str:
    """Twenty quick flaps of a master's cable cause one fail-over."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-k 0"), (peer, "-k 50"))

        _flap(lab.hosts[0], 20)
        await_rule(lab, lab.hosts[1], backup)
        await_adverts(lab, lab.hosts[1], 4)

        assert master.states == [*STAYED_MASTER, "BACKUP"]
        assert backup.states == STAYED_MASTER
        return f"{len(master.states) + len(backup.states) - 3} changes in all"


@only_ours
@any_peer
def test_flapping_cable_of_the_backup(peer: str) -> str:
    """Twenty quick flaps of a backup's cable change nothing."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (peer, "-k 0"), (OURS, "-k 50"))

        _flap(lab.hosts[1], 20)
        await_adverts(lab, lab.hosts[0], 4)

        assert (master.states, backup.states) == (STAYED_MASTER, STAYED_BACKUP)
        return "0 changes"


@only_ours
@any_peer
def test_interface_that_comes_and_goes(peer: str) -> str:
    """An interface deleted and recreated five times is used again; nothing leaks."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-k 0 -P"), (peer, "-k 50"))
        before = len(os.listdir(f"/proc/{master.pid}/fd"))

        for rest_s in (0.0, 0.01, 0.03, 0.1, 0.3):
            lab.hosts[0].delete_interface()
            time.sleep(rest_s)
            lab.hosts[0].create_interface()
        made_ns = time.time_ns()
        await_rule(lab, lab.hosts[0], master)
        await_state(backup, "BACKUP")

        ruled_ns = lab.wire.adverts(lab.hosts[0].address, made_ns)[0].time_ns
        after = len(os.listdir(f"/proc/{master.pid}/fd"))
        assert after == before
        took_s = (ruled_ns - made_ns) / NS_PER_S
        return f"back {took_s:.1f} s after the last, {after - before} descriptors more"
