"""Measures how long two hosts or no host have the address in case of a fault.

There is a scenario for each weakness of ucarp that was measured.
"""

import signal
import time
from pathlib import Path

from tests.bench.holders.play import (
    CHANGES,
    NONE,
    TWO,
    Case,
    Scenario,
    Span,
    UnplayableError,
    lasting,
    outcomes,
    rows,
)
from tests.bench.report import Row
from tests.bench.stage import (
    BOTH,
    OURS,
    UCARP,
    await_adverts,
    await_holder,
    await_state,
)
from tests.netns.daemons import PROGRAMS, Daemon
from tests.netns.lab import PASSWORD, VHID, Host, Lab, wait_for
from tests.netns.wire import NS_PER_S, open_packet_socket

FAKETIME = "usr/lib/*/faketime/libfaketime.so.1"


def calm(lab: Lab, program: str, first: str, second: str) -> list[Daemon]:
    """Start a master on the first host, and on the second a backup that has heard it.

    `first` and `second` are their flags.  Return both daemons.
    """
    master = lab.hosts[0].start(program, first)
    await_holder(lab, lab.hosts[0])
    backup = lab.hosts[1].start(program, second)
    await_state(backup, "BACKUP")
    await_adverts(lab, lab.hosts[0], 2)
    return [master, backup]


def first_held_ns(lab: Lab) -> int:
    """Wait until a host has the address; return when the first host took it."""
    return wait_for("a holder", lambda: lab.addresses.changes)[0].time_ns


def slow_up(lab: Lab, program: str) -> Span:
    up = lab.directory / "slow-up.sh"
    # The script adds the address at once, and only then takes 10 s.
    up.write_text('#!/bin/sh\nip address add "$2/32" dev "$1"\nexec sleep 10\n')
    up.chmod(0o755)
    lab.hosts[0].start(program, "-k 0", up=up)
    lab.hosts[1].start(program, "-k 100")
    return lasting(first_held_ns(lab), 13)


def slow_down_stopped(lab: Lab, program: str) -> Span:
    down = lab.script("down", sleep_s=10)
    master = lab.hosts[0].start(program, "-z -n", down=down)
    await_holder(lab, lab.hosts[0])
    backup = lab.hosts[1].start(program, "-z")
    await_state(backup, "BACKUP")
    await_adverts(lab, lab.hosts[0], 2)
    now_ns = time.time_ns()
    master.signal(signal.SIGTERM)
    return lasting(now_ns, 15)


def slow_down_preempted(lab: Lab, program: str, own: str = "") -> Span:
    down = lab.script("down", sleep_s=10)
    lab.hosts[0].start(program, f"-n -k 100 {own}", down=down)
    await_holder(lab, lab.hosts[0])
    now_ns = time.time_ns()
    lab.hosts[1].start(program, f"-P -k 0 {own}")
    return lasting(now_ns, 15)


def slow_down_preempted_own(lab: Lab, program: str) -> Span:
    own = "--own-addresses" if program == OURS else ""
    return slow_down_preempted(lab, program, own)


def killed(lab: Lab, program: str) -> Span:
    calm(lab, program, "-k 0", "-k 0")
    now_ns = time.time_ns()
    lab.hosts[0].power_off()
    return lasting(now_ns, 7)


def stopped(lab: Lab, program: str) -> Span:
    master, _ = calm(lab, program, "-z -k 0", "-z -k 0")
    now_ns = time.time_ns()
    master.signal(signal.SIGTERM)
    return lasting(now_ns, 6)


def clock_set_back(step_s: int) -> Scenario:
    def play(lab: Lab, program: str) -> Span:
        clock = lab.directory / "clock"
        clock.write_text("+0\n")
        start_with_clock(lab.hosts[0], program, clock)
        await_holder(lab, lab.hosts[0])
        backup = lab.hosts[1].start(program, "-k 100")
        await_state(backup, "BACKUP")
        await_adverts(lab, lab.hosts[0], 2)
        now_ns = time.time_ns()
        clock.write_text(f"-{step_s}\n")
        return lasting(now_ns, 12)

    return play


def start_with_clock(host: Host, program: str, clock: Path) -> None:
    """Start a daemon for which the wall clock is as the file `clock` says.

    The clock of the machine, which all namespaces share, is not changed.  Raises
    `UnplayableError` if libfaketime is missing.
    """
    libraries = sorted(Path("/").glob(FAKETIME))
    if not libraries:
        raise UnplayableError("needs the package faketime")
    settings = [
        f"LD_PRELOAD={libraries[0]}",
        f"FAKETIME_TIMESTAMP_FILE={clock}",
        "FAKETIME_NO_CACHE=1",
        "DONT_FAKE_MONOTONIC=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ]
    lab = host.lab
    arguments = [
        *("-i", "eth0", "-s", host.address, "-v", str(VHID), "-p", PASSWORD),
        *("-a", lab.vip, "-f", "none", "-u", str(lab.up), "-d", str(lab.down)),
    ]
    command = host.command(["env", *settings, *PROGRAMS[program], *arguments])
    log = lab.directory / f"{host.name}-faketime.log"
    host.daemons.append(Daemon(program, command, log))


def carrier_lost(lab: Lab, program: str) -> Span:
    calm(lab, program, "-k 0 -P", "-k 100")
    now_ns = time.time_ns()
    lab.hosts[0].pull_cable()
    time.sleep(2)
    lab.hosts[0].plug_cable()
    return lasting(now_ns, 16)


def link_down(lab: Lab, program: str) -> Span:
    calm(lab, program, "-k 0 -P", "-k 100")
    now_ns = time.time_ns()
    lab.hosts[0].link_down()
    time.sleep(2)
    lab.hosts[0].link_up()
    return lasting(now_ns, 12)


def subsecond(lab: Lab, program: str) -> Span:
    lab.hosts[0].start(program, "-b 0 -k 20")
    lab.hosts[1].start(program, "-b 0 -k 40")
    return lasting(first_held_ns(lab) + NS_PER_S, 15)


def equals(lab: Lab, program: str) -> Span:
    for host in lab.hosts:
        host.start(program, "-k 0")
    return lasting(first_held_ns(lab), 6)


def preferred_joins(lab: Lab, program: str) -> Span:
    lab.hosts[0].start(program, "-k 100")
    await_holder(lab, lab.hosts[0])
    await_adverts(lab, lab.hosts[0], 1)
    now_ns = time.time_ns()
    lab.hosts[1].start(program, "-k 0 -P")
    return lasting(now_ns, 7)


def handed_over(lab: Lab, program: str) -> Span:
    master, _ = calm(lab, program, "-z -k 0", "-z -k 0")
    now_ns = time.time_ns()
    master.signal(signal.SIGUSR2)
    return lasting(now_ns, 8)


def up_fails(lab: Lab, program: str) -> Span:
    lab.hosts[0].start(program, "-k 0", up=lab.script("up", fails=True))
    lab.hosts[1].start(program, "-k 100")
    wait_for("the first claim", lambda: lab.wire.adverts(lab.hosts[0].address))
    return lasting(lab.wire.adverts()[0].time_ns, 10)


def wrong_password(lab: Lab, program: str) -> Span:
    calm(lab, program, "-k 0", "-k 100 -p hate")
    return lasting(time.time_ns(), 12)


def wrong_vhid(lab: Lab, program: str) -> Span:
    calm(lab, program, "-k 0", f"-k 100 -v {VHID + 1}")
    return lasting(time.time_ns(), 12)


def replayed(lab: Lab, program: str) -> Span:
    """Switch the master off; an attacker then sends its last advert every second."""
    calm(lab, program, "-k 0", "-k 100")
    captured = lab.wire.adverts(lab.hosts[0].address)[-1].frame.data
    since_ns = time.time_ns()
    lab.hosts[0].power_off()
    with lab.bridge_call(lambda: open_packet_socket("bridge")) as packets:
        for _ in range(24):
            packets.send(captured)
            time.sleep(1)
    return Span(since_ns, time.time_ns())


CASES = (
    Case("up script takes 10 s", slow_up, 0.05, 0.05),
    Case("down script takes 10 s, told to stop", slow_down_stopped, 0.05, 0.05),
    Case(
        "down script takes 10 s, preferred node joins",
        slow_down_preempted,
        note="a host that yields has the address until its down script ends",
    ),
    Case("the same with --own-addresses", slow_down_preempted_own, 0.05, 0.05),
    Case("killed, and off the network", killed, 0.05, 3.1),
    Case("told to stop", stopped, 0.05, 0.05),
    Case("clock set back 1 h", clock_set_back(3600), 0.05, 0.05),
    Case("clock set back 5 s", clock_set_back(5), 0.05, 0.05),
    Case("carrier lost for 2 s", carrier_lost),
    Case("ip link set down for 2 s", link_down),
    Case("advbase 0, skew 20 against 40", subsecond, 0.05, 0.05),
    Case("two equal nodes start together", equals, 0.05, 0.05),
    Case("preferred node joins (-P)", preferred_joins, 0.05, 0.05),
    Case("USR2 hand-over", handed_over, 0.05, 0.05),
    Case("up script fails", up_fails, 0.05, 4.0),
    Case("wrong password", wrong_password, note="misconfiguration: said in the log"),
    Case("wrong vhid", wrong_vhid, note="misconfiguration: said in the log"),
    Case("one advert replayed each second", replayed, 0.05, 3.5),
)

SECTIONS = {
    TWO: "Time with two holders of the address",
    NONE: "Time with no holder of the address",
    CHANGES: "Changes of holder",
}


def run(quick: bool) -> list[Row]:
    def rounds(_case: Case, _program: str) -> int:
        return 1 if quick else 3

    found = outcomes(CASES, BOTH, rounds)
    return [
        row
        for measure, section in SECTIONS.items()
        for row in rows(section, measure, found, CASES, UCARP)
    ]
