"""Tests how a daemon ends: by signals, with and without -z, and its farewell."""

import signal
import time

import pytest

from tests.netns.lab import Lab, wait_for
from tests.netns.scenes import (
    OURS,
    PATIENT,
    UCARP,
    any_peer,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    longest_own_gap_ns,
    only_ours,
    start_group,
)
from tests.netns.wire import NS_PER_S

GENTLE = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP]


@only_ours
@any_peer
def test_gentle_stop_hands_over_at_once(peer: str) -> None:
    """A gentle stop runs the down script, sends the farewell (255/255) and exits.

    The exit status is 0, and the address never has two holders.  The peer takes over
    because of the farewell, as it would wait 10 s for a silent master.
    """
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-z"), (peer, PATIENT))

        master.signal(signal.SIGTERM)
        assert master.wait() == 0
        ended_ns = time.time_ns()
        await_rule(lab, lab.hosts[1], backup)

        farewell = lab.wire.adverts(lab.hosts[0].address)[-1]
        claim = lab.wire.adverts(lab.hosts[1].address)[0]
        [released] = [
            change
            for change in lab.addresses.changes
            if change.host == lab.hosts[0].name and not change.held
        ]
        assert farewell.is_farewell
        # The kernel dates frames; changes of addresses are dated when they are read.
        released_ns, farewell_ns = released.time_ns, farewell.time_ns
        stalled_ns = lab.stalled_ns(farewell_ns, released_ns)
        assert released_ns < farewell_ns + NS_PER_S // 4 + stalled_ns
        assert farewell.time_ns <= ended_ns
        assert 0 < claim.time_ns - farewell.time_ns < 5 * NS_PER_S
        assert lab.addresses.time_with(2) == 0


@only_ours
@any_peer
def test_slow_down_script_delays_the_farewell(peer: str) -> None:
    """While its down script runs, a master has the address, so it sends adverts."""
    with Lab(2) as lab:
        down = lab.script("down", sleep_s=3)
        master = lab.hosts[0].start(OURS, "-z -n", down=down)
        await_rule(lab, lab.hosts[0], master)
        backup = lab.hosts[1].start(peer)
        await_state(backup, "BACKUP")
        await_adverts(lab, lab.hosts[0], 2)

        master.signal(signal.SIGTERM)
        assert master.wait() == 0
        await_rule(lab, lab.hosts[1], backup)

        assert longest_own_gap_ns(lab, lab.hosts[0]) < 2 * NS_PER_S
        assert lab.wire.adverts(lab.hosts[0].address)[-1].is_farewell
        assert lab.addresses.time_with(2) == 0


@only_ours
def test_failed_release_is_no_farewell() -> None:
    """If the down script fails, no farewell is sent: the host still has the address."""
    with Lab(1) as lab:
        [host] = lab.hosts
        master = host.start(OURS, "-z -n -r 1", down=lab.script("down", fails=True))
        await_rule(lab, host, master)

        master.signal(signal.SIGTERM)

        assert master.wait() == 0
        assert lab.holders == (host,)
        assert not any(advert.is_farewell for advert in lab.wire.adverts())


@only_ours
@any_peer
def test_usr2_says_farewell(peer: str) -> None:
    """With -z, SIGUSR2 sends a farewell, so that the backup takes over at once."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-z"), (peer, PATIENT))

        master.signal(signal.SIGUSR2)
        await_rule(lab, lab.hosts[1], backup, adverts=4)

        assert lab.wire.adverts(lab.hosts[0].address)[-1].is_farewell
        assert master.states == ["BACKUP", "MASTER", "BACKUP"]
        assert lab.addresses.time_with(2) == 0


@only_ours
def test_no_farewell() -> None:
    """With --no-farewell the address is released without a farewell, as by ucarp."""
    with Lab(2) as lab:
        master, backup = start_group(lab, (OURS, "-z --no-farewell"), (UCARP, ""))

        master.signal(signal.SIGTERM)
        assert master.wait() == 0
        assert lab.holders == ()
        await_rule(lab, lab.hosts[1], backup)

        sent = lab.wire.adverts(lab.hosts[0].address)
        assert not any(advert.is_farewell for advert in sent)
        claim = lab.wire.adverts(lab.hosts[1].address)[0]
        assert claim.time_ns - sent[-1].time_ns > 29 * NS_PER_S // 10


@any_program
@pytest.mark.parametrize("number", GENTLE)
def test_without_shutdown_flag_signals_kill(
    program: str, number: signal.Signals
) -> None:
    """Without -z a signal just ends the daemon: the address stays, without farewell."""
    with Lab(1) as lab:
        [host] = lab.hosts
        master = host.start(program, "-r 1")
        await_rule(lab, host, master)

        master.signal(number)

        assert master.wait() == -number
        assert lab.holders == (host,)
        assert not any(advert.is_farewell for advert in lab.wire.adverts())


@any_program
@pytest.mark.parametrize("number", GENTLE)
def test_with_shutdown_flag_signals_release(
    program: str, number: signal.Signals
) -> None:
    """With -z each of the four signals runs the down script; the exit status is 0."""
    with Lab(1) as lab:
        [host] = lab.hosts
        master = host.start(program, "-z -r 1")
        await_rule(lab, host, master)

        master.signal(number)

        assert master.wait() == 0
        wait_for("the address to be free", lambda: lab.holders == ())


@any_program
def test_backup_leaves_without_down_script(program: str) -> None:
    """A backup with -z ends without its down script, which ran only at the start."""
    with Lab(1) as lab:
        [host] = lab.hosts
        notes = lab.directory / "notes"
        backup = host.start(program, "-z -r 20", down=lab.script("down", notes=notes))
        wait_for("the first down script", notes.exists)

        backup.signal(signal.SIGTERM)

        assert backup.wait() == 0
        assert len(notes.read_text().splitlines()) == 1
        assert lab.wire.adverts() == []
