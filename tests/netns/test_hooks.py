"""Tests the up and down scripts: their arguments, and scripts that hang or fail."""

import os
import signal
from pathlib import Path

import pytest

from tests.netns.lab import Lab, wait_for
from tests.netns.scenes import (
    OURS,
    UCARP,
    any_peer,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    longest_own_gap_ns,
    only_ours,
)
from tests.netns.wire import NS_PER_S


def _words(notes: Path) -> list[list[str]]:
    """Return the arguments of each call of a script from the lines in `notes`."""
    if not notes.exists():
        return []
    return [line.split()[1:] for line in notes.read_text().splitlines()]


@any_program
@pytest.mark.parametrize(
    ("flags", "extra"), [("", []), ("-x rack4", ["rack4"]), ("--xparam=a", ["a"])]
)
def test_scripts_are_told_interface_and_address(
    program: str, flags: str, extra: list[str]
) -> None:
    """The arguments of scripts are INTERFACE VIRTUAL-ADDRESS [XPARAM].

    The down script also runs at the start.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        ups, downs = lab.directory / "ups", lab.directory / "downs"
        daemon = host.start(
            program,
            f"-r 1 {flags}",
            up=lab.script("up", notes=ups),
            down=lab.script("down", notes=downs),
        )
        await_rule(lab, host, daemon)

        arguments = ["eth0", lab.vip, *extra]
        assert (_words(downs), _words(ups)) == ([arguments], [arguments])


@any_program
def test_neutral_start_runs_no_script(program: str) -> None:
    """With -n no script runs at the start."""
    with Lab(1) as lab:
        [host] = lab.hosts
        downs = lab.directory / "downs"
        daemon = host.start(program, "-r 1 -n", down=lab.script("down", notes=downs))
        await_rule(lab, host, daemon)

        assert _words(downs) == []


@only_ours
@any_peer
def test_slow_up_script_delays_no_advert(peer: str) -> None:
    """A new master sends adverts while its up script runs, and announces after it."""
    with Lab(2) as lab:
        slow_up = lab.script("up", sleep_s=4)
        master = lab.hosts[0].start(OURS, "-r 1", up=slow_up)
        await_state(master, "MASTER")
        backup = lab.hosts[1].start(peer, "-k 50")

        await_rule(lab, lab.hosts[0], master)
        await_adverts(lab, lab.hosts[0], 3)

        assert longest_own_gap_ns(lab, lab.hosts[0]) < 2 * NS_PER_S
        assert backup.states == ["BACKUP"]
        first_advert = lab.wire.adverts()[0]
        first_announcement = lab.wire.announcements()[0]
        assert first_announcement.time_ns - first_advert.time_ns > 3 * NS_PER_S


@only_ours
@any_peer
def test_slow_down_script_delays_nothing_else(peer: str) -> None:
    """While its down script runs, a host yields, and keeps hearing the new master."""
    with Lab(2) as lab:
        slow_down = lab.script("down", sleep_s=4)
        old = lab.hosts[0].start(OURS, "-n -k 100", down=slow_down)
        await_rule(lab, lab.hosts[0], old)
        new = lab.hosts[1].start(peer, "-k 0 -P")

        await_state(old, "BACKUP")
        await_rule(lab, lab.hosts[1], new, adverts=5)

        assert old.states == ["BACKUP", "MASTER", "BACKUP"]


@only_ours
@any_peer
@pytest.mark.parametrize("missing", [False, True])
def test_failing_up_script_leaves_it_to_the_peer(peer: str, missing: bool) -> None:
    """A master whose up script fails steps down and logs that; its peer takes over."""
    with Lab(2) as lab:
        up = lab.directory / "none.sh" if missing else lab.script("up", fails=True)
        broken = lab.hosts[0].start(OURS, "-k 0", up=up)
        wait_for("a master", lambda: "MASTER" in broken.states)
        sound = lab.hosts[1].start(peer, "-k 100")

        wait_for("the address somewhere", lambda: lab.holders == (lab.hosts[1],))
        await_adverts(lab, lab.hosts[1], 3)

        assert sound.state == "MASTER"
        assert broken.state == "BACKUP"
        complaints = [line for line in broken.lines if line.level == "ERROR"]
        assert complaints or broken.logged("script")


SCHEDULED = """
{ chrt -p $$ | sed "s/pid .*:/:/"; ulimit -r; ulimit -R; cat /proc/self/oom_score_adj
} >"$(dirname "$0")/scheduled.$$"
"""


@only_ours
@pytest.mark.parametrize("flags", ["", "--no-realtime"])
def test_scripts_do_not_inherit_real_time(flags: str) -> None:
    """Scheduler, limits and score of a script are those of what started the daemon.

    The daemon itself is scheduled in real time where that is permitted, says so once,
    and not with --no-realtime.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        hook = lab.directory / "hook.sh"
        hook.write_text(f"#!/bin/bash\n{SCHEDULED}")
        hook.chmod(0o755)
        ordinary = host.run("bash", str(hook))
        assert ordinary.returncode == 0
        daemon = host.start(OURS, f"-r 1 -z {flags}", up=hook, down=hook)
        await_state(daemon, "MASTER")
        await_adverts(lab, host, 2)
        policy = os.sched_getscheduler(daemon.pid) & ~os.SCHED_RESET_ON_FORK
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0

        said = [path.read_text() for path in lab.directory.glob("scheduled.*")]
        lines = daemon.logged("Real time: ")
        is_taken = bool(lines) and "Real time: SCHED_RR 10" in lines[0].text

        assert len(said) == 4  # by hand, at the start, up, down
        assert len(set(said)) == 1
        assert len(lines) == (not flags)
        assert policy == (os.SCHED_RR if is_taken else os.SCHED_OTHER)


@any_program
def test_missing_script_options_are_a_warning(program: str) -> None:
    """Without scripts the daemon logs a warning and becomes master all the same."""
    with Lab(1) as lab:
        [host] = lab.hosts
        arguments = f"-i eth0 -s {host.address} -v 7 -p love -a {lab.vip} -r 1 -f none"
        daemon = host.start_bare(program, arguments.split())

        await_state(daemon, "MASTER")
        await_adverts(lab, host, 2)

        warnings = [line.text for line in daemon.lines if line.level == "WARNING"]
        assert any("script" in text for text in warnings)


@only_ours
def test_script_over_its_time_is_ended() -> None:
    """A script that exceeds --script-timeout counts as one that failed."""
    with Lab(2) as lab:
        endless = lab.script("up", sleep_s=600)
        stuck = lab.hosts[0].start(OURS, "-k 0 --script-timeout=2", up=endless)
        wait_for("a master", lambda: "MASTER" in stuck.states)
        lab.hosts[1].start(UCARP, "-k 100")

        wait_for("the address somewhere", lambda: lab.holders == (lab.hosts[1],))

        assert stuck.states[:3] == ["BACKUP", "MASTER", "BACKUP"]
