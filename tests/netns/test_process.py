"""Tests the daemon as a process: exit status, signals, secrets, start-up hooks."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from carppcap.wire.header import BOW_OUT
from tests.netns.daemons import PROGRAMS, UCARP_PATH, Daemon, environment
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import (
    IS_OURS_TESTED,
    OURS,
    UCARP,
    any_program,
    await_adverts,
    await_rule,
    await_state,
    only_ours,
)

FEDORA_UNIT = """
. {directory}/vip-common.conf
. {directory}/vip-001.conf
exec ucarp --interface=$BIND_INTERFACE --srcip=$SOURCE_ADDRESS --vhid=$VIP_ID \\
    --passfile=$PASSFILE --addr=$VIP_ADDRESS $OPTIONS \\
    --upscript=$UPSCRIPT --downscript=$DOWNSCRIPT
"""
"""What `ucarp@001.service` does, as a script: two files of variables, one command."""

DEBIAN_HOOK = Path("/etc/network/if-up.d/ucarp")


def _run(host: Host, program: str, flags: str) -> subprocess.CompletedProcess[str]:
    """Run `program` to its end with the flags that it needs; `flags` override those."""
    lab = host.lab
    return host.run(
        *PROGRAMS[program],
        *("-i", "eth0", "-s", host.address, "-v", "7", "-p", "love", "-a", lab.vip),
        *("-u", str(lab.up), "-d", str(lab.down), "-f", "none", *flags.split()),
        check=False,
        timeout_s=20,
    )


@any_program
def test_usr1_logs_a_status_line(program: str) -> None:
    """SIGUSR1 logs the line that users look for: STATE on INTERFACE id VHID."""
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(program, "-r 1")
        await_state(daemon, "BACKUP")
        daemon.signal(signal.SIGUSR1)
        wait_for("a status line", lambda: daemon.logged("BACKUP on eth0 id 7"))

        await_rule(lab, host, daemon)
        daemon.signal(signal.SIGUSR1)
        wait_for("another", lambda: daemon.logged("MASTER on eth0 id 7"))


@any_program
def test_daemonized_it_lives_on(program: str) -> None:
    """With -B the command returns 0 at once, and the daemon goes on."""
    with Lab(1) as lab:
        [host] = lab.hosts

        assert _run(host, program, "-B -r 1").returncode == 0

        await_adverts(lab, host, 3)
        assert lab.holders == (host,)


@only_ours
@pytest.mark.parametrize("background", ["", "-B"])
@pytest.mark.parametrize(
    ("flags", "status"),
    [("-i nothing/0", 2), ("-v 0", 1), ("-b 0 -k 0", 1), ("-s 10.9.0.300", 1)],
)
def test_failed_start_says_so(background: str, flags: str, status: int) -> None:
    """A failed start prints one line and has its exit status, also with -B."""
    with Lab(1) as lab:
        ended = _run(lab.hosts[0], OURS, f"{flags} {background}")

        assert ended.returncode == status
        lines = ended.stderr.splitlines()
        assert len(lines) == 1, ended.stderr


@only_ours
@pytest.mark.parametrize(
    "spelling",
    [
        "-p keepitdark",
        "-pkeepitdark",
        "-zpkeepitdark",
        "--pass keepitdark",
        "--pass=keepitdark",
        "-p keepitdark --pass=keepitalsodark",
    ],
)
def test_password_does_not_stay_in_the_command_line(spelling: str) -> None:
    """The password is removed from /proc/PID/cmdline, which every user can read."""
    with Lab(1) as lab:
        [host] = lab.hosts
        flags = f"-i eth0 -s {host.address} -v 7 -a {lab.vip} -f none {spelling}"
        daemon = host.start_bare(OURS, flags.split())
        await_state(daemon, "BACKUP")

        words = Path(f"/proc/{daemon.pid}/cmdline").read_bytes()

        assert b"dark" not in words
        assert b"eth0" in words


def _install_as_ucarp(host: Host) -> None:
    """Put carppcap in the place of ucarp, on this host only."""
    stand_in = host.lab.directory / "ucarp"
    stand_in.write_text(
        f"#!{sys.executable}\nimport sys\nfrom carppcap.cli import main\n"
        "sys.exit(main())\n"
    )
    stand_in.chmod(0o755)
    host.run("mount", "--bind", str(stand_in), UCARP_PATH)


def _ifup(host: Host, **stanza: str) -> None:
    """Run Debian's hook as ifupdown does when it has added the address.

    `stanza` has further variables, from the stanza in interfaces(5).
    """
    defaults = {
        "IFACE": "eth0",
        "IF_ADDRESS": host.address,
        "IF_UCARP_VID": "7",
        "IF_UCARP_VIP": host.lab.vip,
        "IF_UCARP_PASSWORD": "love",
        "IF_UCARP_ADVBASE": "1",
        "IF_UCARP_DEADRATIO": "2",
        "IF_UCARP_UPSCRIPT": str(host.lab.up),
        "IF_UCARP_DOWNSCRIPT": str(host.lab.down),
    }
    called = subprocess.run(
        host.command([str(DEBIAN_HOOK)]),
        check=False,
        timeout=40,
        env=environment() | defaults | stanza,
    )
    assert called.returncode == 0


def _pids(host: Host, name: str = "ucarp") -> list[str]:
    """Return the pids of the processes called `name` in the network of `host`."""
    where = ("--ns", str(host.namespace.pid), "--nslist", "net")
    found = host.run("pgrep", "--exact", *where, name, check=False)
    return found.stdout.split()


debian_only = pytest.mark.skipif(
    not DEBIAN_HOOK.exists(), reason="no hook of Debian's package here"
)


@debian_only
@any_program
def test_debian_hook(program: str) -> None:
    """Debian's hook starts ucarp or carppcap with the settings of the stanza."""
    with Lab(1) as lab:
        [host] = lab.hosts
        if program == OURS and IS_OURS_TESTED:
            _install_as_ucarp(host)
        notes = lab.directory / "notes"

        _ifup(
            host,
            IF_UCARP_MASTER="yes",
            IF_UCARP_ADVSKEW="12",
            IF_UCARP_XPARAM="rack4",
            IF_UCARP_UPSCRIPT=str(lab.script("up", notes=notes)),
        )
        await_adverts(lab, host, 3)

        assert notes.read_text().split()[1:] == ["eth0", lab.vip, "rack4"]
        assert {a.advskew for a in lab.wire.adverts()} == {12}
        assert lab.holders == (host,)


@debian_only
@pytest.mark.parametrize(
    ("program", "goes_down"),
    [
        pytest.param(UCARP, True, id="ucarp with ifdown"),
        pytest.param(OURS, True, id="carppcap with ifdown", marks=only_ours),
        pytest.param(OURS, False, id="carppcap without ifdown", marks=only_ours),
    ],
)
def test_any_number_of_ifups_is_one_daemon(program: str, goes_down: bool) -> None:
    """However often the hook starts a daemon, only the last one runs.

    The hook does not end the daemon before, which has to end by itself.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        if program == OURS and IS_OURS_TESTED:
            _install_as_ucarp(host)
        for skew in (1, 2, 3):
            _ifup(host, IF_UCARP_ADVSKEW=str(skew))
            await_adverts(lab, host, 2)
            if goes_down and skew < 3:
                host.delete_address()
                host.link_down()
                time.sleep(1)
                host.add_address()
                host.link_up()
                host.await_link()
        since_ns = time.time_ns()
        await_adverts(lab, host, 4)

        assert len(_pids(host)) == 1
        assert {a.advskew for a in lab.wire.adverts(since_ns=since_ns)} == {3}
        assert lab.holders == (host,)


@debian_only
@only_ours
def test_a_second_ifup_of_a_master_beside_ucarp() -> None:
    """At a second ifup the first daemon hands over gently to the peer."""
    with Lab(2) as lab:
        host, other = lab.hosts
        _install_as_ucarp(host)
        _ifup(host, IF_UCARP_ADVSKEW="1")
        wait_for("a master", lambda: lab.holders == (host,))
        peer = other.start(UCARP, "-k 100")
        await_state(peer, "BACKUP")
        await_adverts(lab, host, 2)

        _ifup(host, IF_UCARP_ADVSKEW="2")

        await_rule(lab, other, peer, adverts=4)
        assert len(_pids(host)) == 1
        assert (BOW_OUT, BOW_OUT) in {
            (advert.advbase, advert.advskew) for advert in lab.wire.adverts()
        }


FINDERS = [
    "pgrep -x {name}",
    "pidof -x {name}",
    "killall -0 {name}",
    "start-stop-daemon --status --name {name}",
    "start-stop-daemon --status --pidfile {pidfile}",
    "start-stop-daemon --status --name {name} --pidfile {pidfile}",
    "pgrep -F {pidfile}",
]
"""The commands that carppcap(8) recommends for finding the daemon."""

BLIND = ["pidof {name}", "start-stop-daemon --status --exec {path} --pidfile {pidfile}"]
"""Commands that do not find the daemon: they look for a program, which is Python."""


@only_ours
@pytest.mark.parametrize("name", ["ucarp", "carppcap"])
@pytest.mark.parametrize("background", [True, False])
def test_commands_that_find_it(name: str, background: bool) -> None:
    """Common commands find the daemon by its name or by its pid file."""
    with Lab(1) as lab:
        [host] = lab.hosts
        pidfile = lab.directory / "x.pid"
        flags = f"-i eth0 -s {host.address} -v 7 -p love -a {lab.vip} -f none"
        command = [*flags.split(), "--pidfile", str(pidfile)]
        if name == "ucarp":
            _install_as_ucarp(host)
        run = [UCARP_PATH] if name == "ucarp" else PROGRAMS[OURS]
        if background:
            host.run(*run, *command, "-B")
        else:
            daemon = Daemon(name, host.command([*run, *command]), lab.directory / "log")
            host.daemons.append(daemon)
            await_state(daemon, "BACKUP")
        [pid] = pidfile.read_text().split()
        assert _pids(host, name) == [pid]

        def finds(command: str) -> bool:
            words = command.format(name=name, path=UCARP_PATH, pidfile=pidfile).split()
            ended = host.run(*words, check=False)
            pids = ended.stdout.split()  # may include daemons of other labs
            return ended.returncode == 0 and (not pids or pid in pids)

        # `pidof -x` looks for a script right after the interpreter, where `-m` stands.
        named = [line for line in FINDERS if name == "ucarp" or "pidof" not in line]
        assert {line: finds(line) for line in named + BLIND} == (
            dict.fromkeys(named, True) | dict.fromkeys(BLIND, False)
        )


@only_ours
def test_process_1_reaps_what_its_scripts_left_behind() -> None:
    """As process 1 of a container, the daemon reaps what its scripts left behind.

    It still gets the exit status of its own script.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        script = lab.script("up", fails=True)
        lines = script.read_text().splitlines()
        lines[1:1] = ["for each in 1 2 3; do (sleep 0.$each &); done"]
        script.write_text("\n".join(lines))
        alone = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
        daemon = host.start(OURS, "-r 1 -D", up=script, before=alone)
        wait_for("the script", lambda: daemon.logged("The up script failed"))
        [process_1] = _children(daemon.pid)

        wait_for("the end of what it left", lambda: not _children(process_1))


def _children(pid: int) -> list[int]:
    """Return the pids of the children of process `pid`, zombies included."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@any_program
def test_fedora_unit(program: str) -> None:
    """Fedora's unit starts ucarp or carppcap with its settings.

    These are in vip-common.conf and vip-001.conf, and the password in vip-001.pwd.
    """
    with Lab(1) as lab:
        [host] = lab.hosts
        if program == OURS and IS_OURS_TESTED:
            _install_as_ucarp(host)
        directory = lab.directory
        directory.joinpath("vip-001.pwd").write_text("love\n")
        directory.joinpath("vip-001.conf").write_text(
            f'VIP_ID="001"\nVIP_ADDRESS="{lab.vip}"\n'
            f'PASSFILE="{directory}/vip-001.pwd"\n'
        )
        directory.joinpath("vip-common.conf").write_text(
            f'BIND_INTERFACE="eth0"\nSOURCE_ADDRESS="{host.address}"\n'
            f'UPSCRIPT="{lab.up}"\nDOWNSCRIPT="{lab.down}"\n'
            'OPTIONS="--shutdown --preempt --daemonize"\n'
        )

        called = subprocess.run(
            host.command(["sh", "-c", FEDORA_UNIT.format(directory=directory)]),
            check=False,
            timeout=20,
            env=environment(),
        )

        assert called.returncode == 0
        await_adverts(lab, host, 2)
        assert {a.vhid for a in lab.wire.adverts()} == {1}
        wait_for("the address", lambda: lab.holders == (host,))


@only_ours
def test_a_daemon_that_is_too_busy_for_real_time_goes_on() -> None:
    """RLIMIT_RTTIME makes it an ordinary process, as it says; it stays master."""
    with Lab(1) as lab:
        [host] = lab.hosts
        daemon = host.start(OURS, "-r 1 -z")
        await_rule(lab, host, daemon)
        if os.sched_getscheduler(daemon.pid) & ~os.SCHED_RESET_ON_FORK != os.SCHED_RR:
            # Not permitted here, which the log must say.
            [line] = daemon.logged("Real time: ")
            assert "not permitted: SCHED_RR" in line.text
            return

        daemon.signal(signal.SIGXCPU)
        await_adverts(lab, host, 2)

        policy = os.sched_getscheduler(daemon.pid) & ~os.SCHED_RESET_ON_FORK
        assert policy == os.SCHED_OTHER
        assert len(daemon.logged("This process was busy for a second")) == 1
        assert daemon.states == ["BACKUP", "MASTER"]
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
