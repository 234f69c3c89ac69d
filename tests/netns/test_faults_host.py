"""Tests faults of the host: full logs, scripts that do not end, clocks that are set."""

import fcntl
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.netns.daemons import Daemon
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.scenes import (
    OURS,
    any_peer,
    any_program,
    await_adverts,
    await_rule,
    longest_own_gap_ns,
    only_ours,
)
from tests.netns.wire import NS_PER_S

STAYED_MASTER, STAYED_BACKUP = ["BACKUP", "MASTER"], ["BACKUP"]

F_SETPIPE_SZ = 1031
PIPE_BYTES = 4096
LINES = 150
"""Number of lines that neither such a pipe nor a syslog socket can hold."""


def _printing_to(path: Path | str) -> tuple[str, ...]:
    """Return the words to put before a command so that it prints to `path`."""
    return ("sh", "-c", f'exec "$@" >>{path} 2>&1', "sh")


def _chatter(daemon: Daemon) -> None:
    """Let `daemon` log `LINES` lines, one by one."""
    for _ in range(LINES):
        daemon.signal(signal.SIGUSR1)
        time.sleep(0.005)


def _survives(lab: Lab, daemon: Daemon) -> str:
    """Check that a master whose log is full sends adverts in time and stops gently.

    `daemon` runs on the first host of `lab`.  Return what was measured, in words.
    """
    host = lab.hosts[0]
    wait_for("the address", lambda: lab.holders == (host,))
    await_adverts(lab, host, 1)
    jammed_ns = time.time_ns()
    _chatter(daemon)
    await_adverts(lab, host, 4)
    gap_ns = longest_own_gap_ns(lab, host, jammed_ns)
    daemon.signal(signal.SIGTERM)

    assert daemon.wait() == 0
    wait_for("no holder of the address", lambda: not lab.holders)
    assert gap_ns < 1.5 * NS_PER_S
    return f"{LINES} lines, longest gap between adverts {gap_ns / NS_PER_S:.2f} s"


def _full_disk(host: Host) -> Path:
    """Return a directory on a small disk that is full because of its file `fill`."""
    mounted = host.lab.directory / "mounted"
    mounted.mkdir()
    host.run("mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(mounted))
    host.run("sh", "-c", f"cat /dev/zero >{mounted}/fill", check=False)
    return mounted


@any_program
@pytest.mark.parametrize("disk", ["/dev/full", "tmpfs"])
def test_full_disk(program: str, disk: str) -> str:
    """With no room for its log a daemon sends adverts, runs scripts, stops as usual."""
    with Lab(1) as lab:
        [host] = lab.hosts
        log = _full_disk(host) / "log" if disk == "tmpfs" else Path(disk)
        daemon = host.start(program, "-r 1 -z", before=_printing_to(log))

        return _survives(lab, daemon)


@only_ours
def test_disk_with_room_again() -> str:
    """As soon as the disk has room again, the log goes on."""
    with Lab(1) as lab:
        [host] = lab.hosts
        mounted = _full_disk(host)
        daemon = host.start(OURS, "-r 1", before=_printing_to(mounted / "log"))
        await_adverts(lab, host, 1)

        def logged() -> str:
            return host.run("cat", str(mounted / "log")).stdout

        assert logged() == ""
        host.run("rm", str(mounted / "fill"))
        daemon.signal(signal.SIGUSR1)

        wait_for("a line", lambda: "MASTER on eth0 id 7" in logged())
        return "the next line is there"


@only_ours
def test_reader_that_stops_reading() -> str:
    """A full pipe or a terminal held by Ctrl-S delays nothing; the log tells losses."""
    with Lab(1) as lab:
        [host] = lab.hosts
        pipe = lab.directory / "pipe"
        os.mkfifo(pipe)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        try:
            fcntl.fcntl(reader, F_SETPIPE_SZ, PIPE_BYTES)
            daemon = host.start(OURS, "-r 1 -z", before=_printing_to(pipe))
            wait_for("the address", lambda: lab.holders == (host,))
            _chatter(daemon)
            assert 0 < len(_read(reader)) <= PIPE_BYTES
            daemon.signal(signal.SIGUSR1)
            confession = wait_for("a line", lambda: _read(reader)).splitlines()[0]
            assert "the terminal could not take" in confession
            _chatter(daemon)
            return _survives(lab, daemon)
        finally:
            os.close(reader)


def _read(reader: int) -> str:
    """Return the text in the pipe, empty if there is none."""
    with suppress(BlockingIOError):
        return os.read(reader, 65536).decode()
    return ""


@contextmanager
def _jammed_syslog(host: Host) -> Iterator[socket.socket]:
    """Give `host` a /dev/log that no process reads; yield its socket."""
    own = host.lab.directory / "dev"
    own.mkdir()
    host.run(
        *("sh", "-c"),
        f"for node in null zero full random urandom tty; do touch {own}/$node; "
        f"mount --bind /dev/$node {own}/$node || exit; done; "
        f"mount --rbind {own} /dev",
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(own / "log"))
        syslog.setblocking(False)
        yield syslog


@only_ours
def test_syslog_that_blocks() -> str:
    """A syslog that takes no lines delays nothing; lost lines are counted."""
    with Lab(1) as lab:
        [host] = lab.hosts
        with _jammed_syslog(host) as syslog:
            daemon = host.start(OURS, "-r 1 -z -f daemon")
            wait_for("the address", lambda: lab.holders == (host,))
            _chatter(daemon)
            taken = _read_all(syslog)
            daemon.signal(signal.SIGUSR1)
            wait_for("a line", lambda: daemon.logged("MASTER on eth0 id 7"))
            time.sleep(0.2)
            [confession, _] = _read_all(syslog)

            assert 0 < len(taken) < LINES
            assert "syslog could not take" in confession
            return _survives(lab, daemon)


def _read_all(syslog: socket.socket) -> list[str]:
    lines = []
    with suppress(BlockingIOError):
        while True:
            lines.append(syslog.recv(4096).decode())
    return lines


def _processes(host: Host) -> list[str]:
    """Return the command lines of the processes in the network of `host`."""
    wanted = os.readlink(f"/proc/{host.namespace.pid}/ns/net")
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.readlink(directory / "ns/net") == wanted:
                found.append((directory / "cmdline").read_bytes().decode())
    return found


def _script(lab: Lab, name: str, *lines: str) -> Path:
    path = lab.directory / name
    path.write_text("\n".join(["#!/bin/bash", *lines]) + "\n")
    path.chmod(0o755)
    return path


@any_program
def test_script_that_leaves_a_process_behind(program: str) -> str:
    """No daemon waits for a process that a script left behind, not even at its end."""
    with Lab(1) as lab:
        [host] = lab.hosts
        up = _script(lab, "leaves", "setsid sleep 1000 &", f'exec {lab.up} "$@"')
        daemon = host.start(program, "-r 1 -z", up=up)
        await_rule(lab, host, daemon)
        assert any("1000" in words for words in _processes(host))

        claimed_ns = lab.wire.adverts()[0].time_ns
        announced_ns = lab.wire.announcements()[0].time_ns
        told_ns = time.time_ns()
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0
        ended_s = (time.time_ns() - told_ns) / NS_PER_S

        stalled_ns = lab.stalled_ns(claimed_ns, announced_ns)
        assert announced_ns - claimed_ns < NS_PER_S + stalled_ns
        assert ended_s < 5
        return f"ends in {ended_s * 1000:.0f} ms"


@only_ours
def test_script_that_hangs_with_all_it_started() -> str:
    """A script that hangs is killed with its whole session; meanwhile adverts go on."""
    with Lab(1) as lab:
        [host] = lab.hosts
        up = _script(
            lab,
            "hangs",
            f'{lab.up} "$@"',
            "set -m",
            "sleep 1001 & sh -c 'sleep 1002; true' &",
            "wait",
        )
        daemon = host.start(OURS, "-r 1 --script-timeout 2", up=up)
        wait_for("the script", lambda: _count_sleeping(host) == 2)

        wait_for("its end", lambda: daemon.logged("took too long"))
        wait_for("the end of all it started", lambda: _count_sleeping(host) == 0)
        await_rule(lab, host, daemon)
        gap_ns = longest_own_gap_ns(lab, host)

        # The script added the address before it hung, so the host stays master.
        assert daemon.states == STAYED_MASTER
        assert gap_ns < 1.5 * NS_PER_S
        return f"longest gap between adverts {gap_ns / NS_PER_S:.2f} s, nothing left"


def _count_sleeping(host: Host) -> int:
    return sum(words.startswith("sleep\x00100") for words in _processes(host))


FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))

needs_faketime = pytest.mark.skipif(
    not FAKETIME, reason="needs the package faketime, to set one process's clock"
)


def with_clock(clock: Path) -> tuple[str, ...]:
    """Return the words before a command so that its clock follows the file `clock`."""
    clock.write_text("+0\n")
    return (
        "env",
        f"LD_PRELOAD={FAKETIME[0]}",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    )


STEPS = ("-3600", "+3600", "+0", "-5", "+1.5")


@only_ours
@needs_faketime
@any_peer
def test_clock_of_the_master_is_set(peer: str) -> str:
    """A master whose clock is set by an hour or by seconds sends adverts as before."""
    with Lab(2) as lab:
        clock = lab.directory / "clock"
        host = lab.hosts[0]
        master = host.start(OURS, "-k 0", before=with_clock(clock))
        await_rule(lab, host, master, adverts=1)
        backup = lab.hosts[1].start(peer, "-k 50")

        for step in STEPS:
            clock.write_text(f"{step}\n")
            await_adverts(lab, host, 2)

        gap_ns = longest_own_gap_ns(lab, host)
        assert (master.states, backup.states) == (STAYED_MASTER, STAYED_BACKUP)
        assert gap_ns < 1.5 * NS_PER_S
        return f"0 changes, longest gap between adverts {gap_ns / NS_PER_S:.2f} s"


@only_ours
@needs_faketime
@any_peer
def test_clock_of_the_backup_is_set(peer: str) -> str:
    """A backup whose clock is set waits for the master exactly as long as before."""
    with Lab(2) as lab:
        clock = lab.directory / "clock"
        master = lab.hosts[0].start(peer, "-k 0")
        await_rule(lab, lab.hosts[0], master, adverts=1)
        host = lab.hosts[1]
        backup = host.start(OURS, "-k 50", before=with_clock(clock))
        for step in STEPS:
            await_adverts(lab, lab.hosts[0], 2)
            clock.write_text(f"{step}\n")
        assert (master.states, backup.states) == (STAYED_MASTER, STAYED_BACKUP)

        lab.hosts[0].power_off()
        clock.write_text("-3600\n")
        await_rule(lab, host, backup, adverts=1)

        last = lab.wire.adverts(lab.hosts[0].address)[-1]
        claim = lab.wire.adverts(host.address)[0]
        silence_s = (claim.time_ns - last.time_ns) / NS_PER_S
        assert 3.1 < silence_s < 4.2
        return f"takes over after {silence_s:.2f} s (theory 3.20)"
