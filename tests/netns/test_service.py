"""The units under a real systemd, and the daemon as process 1 of a container."""

import json
import os
import re
import signal
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from carppcap.wire.header import BOW_OUT
from tests.installation import PREFIX, installed
from tests.netns.daemons import Daemon
from tests.netns.host import PASSWORD, VHID, Host, wait_for
from tests.netns.lab import Lab
from tests.netns.manager import Manager, obstacle, systemd
from tests.netns.scenes import OURS, await_adverts, await_rule, await_state, only_ours

pytestmark = [
    only_ours,
    pytest.mark.skipif(obstacle() != "", reason=obstacle() or "there is systemd"),
]

CONTAINERFILE = "carppcap/service/Containerfile"
TEMPLATE, NAME = "carppcap@.service", "carppcap@vip.service"

SCRIPT = """#!/bin/bash
limits=$(grep -E '^(CapBnd|NoNewPrivs):' /proc/self/status | tr -d '\\n\\t')
echo "script $CARPPCAP_STATE $limits"
echo "script $CARPPCAP_STATE notify [${NOTIFY_SOCKET}${WATCHDOG_USEC}]"
touch /etc/written 2> /dev/null && echo "script could write"
ip address replace 10.9.0.101/32 dev "$1" && echo "script $CARPPCAP_STATE has added"
ip address delete 10.9.0.101/32 dev "$1"
"""

CAPABILITIES = sum(1 << number for number in (12, 13, 14, 23, 24))
"""NET_ADMIN, NET_RAW, IPC_LOCK, SYS_NICE and SYS_RESOURCE (capability.h)."""


def _permitted() -> int:
    """Return those of them that this machine gives to anybody."""
    status = Path("/proc/self/status").read_text()
    [ours] = re.findall(r"^CapBnd:\s*(\w+)$", status, re.MULTILINE)
    return CAPABILITIES & int(ours, 16)


def _configure(
    manager: Manager, flags: str = "--own-addresses", **service: str
) -> None:
    """Write the files of the group `vip` and install its unit."""
    host = manager.host
    options = (
        f"-i eth0 -s {host.address} -v {VHID} -a {','.join(host.lab.vips)} {flags}"
    )
    lines = options.replace(" -v", " \\\n  -v")
    manager.write("/etc/carppcap/vip.conf", f'OPTIONS="{lines}"\n')
    manager.write("/etc/carppcap/vip.pass", f"{PASSWORD}\n", 0o600)
    manager.install(TEMPLATE, NAME, **service)


def _await_master(manager: Manager, host: Host) -> None:
    wait_for("the address", lambda: host.lab.holders == (host,))
    # systemd takes the status after what the kernel tells the lab.
    wait_for("the status", lambda: _status(manager).startswith("MASTER on eth0 id 7"))


def _status(manager: Manager) -> str:
    return manager.show(NAME, "StatusText")


def test_a_pair() -> None:
    """Ready when it listens; its status; real time; its scripts; a gentle end."""
    with Lab(2) as lab, systemd(lab.hosts[0]) as manager:
        host, other = lab.hosts
        manager.write("/etc/carppcap/hook", SCRIPT, 0o755)
        _configure(
            manager,
            "--own-addresses -u /etc/carppcap/hook -d /etc/carppcap/hook",
        )
        manager.control("start", NAME, check=True)
        assert _status(manager) == "BACKUP on eth0 id 7 (startup)"
        _await_master(manager, host)
        backup = other.start(OURS, "-k 50")
        await_state(backup, "BACKUP")
        await_adverts(lab, host, 2)

        assert _status(manager) == "MASTER on eth0 id 7 (master_down)"
        [line] = manager.logged("Real time:")
        refused = set(re.findall(r"not permitted: (.*)\)", line))
        assert refused <= (set() if _permitted() >> 24 else {"oom_score_adj -900"})
        locks = manager.run("ls", "/run/carppcap").split()
        assert [lock.split("-", 1)[1] for lock in locks] == ["eth0-7"]

        manager.control("stop", NAME, check=True)
        wait_for("the other host", lambda: lab.holders == (other,))
        assert manager.show(NAME, "Result") == "success"
        assert lab.addresses.time_with(2) == 0
        assert {a.advskew for a in lab.wire.adverts(host.address)} == {0, BOW_OUT}
        for state in ("BACKUP", "MASTER", "INIT"):
            assert manager.logged(
                f"script {state} CapBnd:{_permitted():016x}NoNewPrivs:1"
            )
            assert manager.logged(f"script {state} notify []")
            assert manager.logged(f"script {state} has added")
        assert not manager.logged("script could write")
        assert not manager.logged("WARNING] Warning")
        assert not manager.logged("ERROR")


def test_a_daemon_that_is_killed() -> None:
    """Its keeper is left to remove the addresses and to say farewell."""
    with Lab(2) as lab, systemd(lab.hosts[0]) as manager:
        host, other = lab.hosts
        _configure(manager)
        manager.control("start", NAME, check=True)
        _await_master(manager, host)
        await_state(other.start(OURS, "-k 50"), "BACKUP")
        await_adverts(lab, host, 2)

        manager.control("kill", "--signal=KILL", "--kill-whom=main", NAME, check=True)
        wait_for("a successor", lambda: lab.holders == (other,))

        assert BOW_OUT in {a.advskew for a in lab.wire.adverts(host.address)}
        assert lab.addresses.time_with(2) == 0
        wait_for("another start", lambda: manager.show(NAME, "NRestarts") == "1")
        wait_for("it to be ready", lambda: _status(manager).startswith("BACKUP"))


def test_a_daemon_that_hangs() -> None:
    """systemd ends it for want of signs of life, and starts another one."""
    with Lab(1) as lab, systemd(lab.hosts[0]) as manager:
        [host] = lab.hosts
        _configure(manager, WatchdogSec="2")
        manager.control("start", NAME, check=True)
        _await_master(manager, host)
        before_ns = time.time_ns()
        await_adverts(lab, host, 4)  # It is left alone as long as it works.
        assert time.time_ns() - before_ns > 2_000_000_000
        assert manager.show(NAME, "NRestarts") == "0"

        first = manager.main_pid(NAME)
        manager.control("kill", "--signal=STOP", "--kill-whom=main", NAME, check=True)

        wait_for("another start", lambda: manager.show(NAME, "NRestarts") == "1")
        wait_for("it to be master", lambda: lab.holders == (host,))
        assert manager.main_pid(NAME) != first


@pytest.mark.skipif(find_spec("pyroute2") is None, reason="needs pyroute2")
def test_a_virtual_mac() -> None:
    """The unit permits what --vmac needs: the settings of the network."""
    with Lab(1) as lab, systemd(lab.hosts[0]) as manager:
        [host] = lab.hosts
        _configure(manager, "--vmac --own-addresses")
        manager.control("start", NAME, check=True)

        _await_master(manager, host)

        assert not manager.logged("ERROR")
        manager.control("stop", NAME, check=True)
        assert manager.show(NAME, "Result") == "success"
        assert lab.holders == ()


@pytest.mark.parametrize("families", ["4", "6"])
def test_an_interface_that_comes_late(families: str) -> None:
    """The boot goes on, and the watchdog waits as long as the daemon does."""
    with Lab(1, families=families) as lab:
        [host] = lab.hosts
        host.delete_interface()
        with systemd(host) as manager:
            _configure(manager, "--own-addresses", WatchdogSec="2")
            if families == "6":
                options = f"-i eth0 -v {VHID} -a {lab.vip} --own-addresses"
                manager.write("/etc/carppcap/vip.conf", f'OPTIONS="{options}"\n')
            manager.control("start", NAME, check=True)
            assert _status(manager) == f"BACKUP on eth0 id {VHID} (startup)"
            first = manager.main_pid(NAME)
            time.sleep(5)  # Longer than the watchdog.

            host.create_interface()

            _await_master(manager, host)
            assert manager.main_pid(NAME) == first


def test_a_start_that_fails_is_tried_for_ever() -> None:
    """Oftener than systemd does by default; it succeeds when the mistake is gone."""
    with Lab(1) as lab, systemd(lab.hosts[0]) as manager:
        _configure(manager, "--vhid=0", RestartSec="100ms")
        manager.control("start", NAME)
        wait_for(
            "many starts",
            lambda: int(manager.show(NAME, "NRestarts")) > 6,
            timeout_s=60,
        )

        _configure(manager, RestartSec="100ms")

        _await_master(manager, lab.hosts[0])
        assert manager.show(NAME, "ActiveState") == "active"


GROUPS = """
passfile = "/etc/carppcap/vip.pass"
interface = "eth0"
srcip = "{address}"

[group.one]
vhid = 7
addr = ["{vips[0]}"]

[group.two]
vhid = 8
addr = ["{vips[1]}"]
"""


def test_all_groups_of_a_host() -> None:
    """Two groups of /etc/carppcap.toml in one process, with the same restrictions."""
    vips = ("10.9.0.100", "10.9.0.102")
    with Lab(1, vips=vips) as lab, systemd(lab.hosts[0]) as manager:
        [host] = lab.hosts
        text = GROUPS.format(address=host.address, vips=vips)
        manager.write("/etc/carppcap.toml", text)
        manager.write("/etc/carppcap/vip.pass", f"{PASSWORD}\n", 0o600)
        manager.install("carppcap.service", "carppcap.service")
        manager.control("start", "carppcap", check=True)
        wait_for("both addresses", lambda: host.holds_all)
        wait_for(
            "the status", lambda: manager.show("carppcap", "StatusText") == "2 MASTER"
        )

        manager.control("stop", "carppcap", check=True)

        assert manager.show("carppcap", "Result") == "success"
        assert lab.holders == ()
        assert not manager.logged("ERROR")


CONTAINER = """
mount --make-rprivate /
mount --bind "$0" /opt
mount -t tmpfs tmpfs /run -o mode=755
mount -o bind,remount,ro /
exec setpriv --bounding-set=-all,$1 --inh-caps=-all --no-new-privs "${@:2}"
"""


def test_a_container() -> None:
    """As in the Containerfile: process 1, few capabilities, a read-only file system."""
    text = Path(__file__).parents[2].joinpath(CONTAINERFILE).read_text()
    capabilities = re.findall(r"--cap-add=(\w+)", text)
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    assert len(capabilities) == 4
    with Lab(2) as lab:
        host, other = lab.hosts
        directory = installed() / "opt"
        command = [
            *("unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"),
            *("bash", "-c", CONTAINER, str(directory)),
            ",".join(f"+{name.lower()}" for name in capabilities),
            entry[0].replace("/usr", PREFIX),
            *entry[1:],
            *("-i", "eth0", "-s", host.address, "-v", str(VHID), "-a", lab.vip),
            *("-p", PASSWORD, "--own-addresses"),
        ]
        log = lab.directory / f"{host.name}-0.log"
        daemon = Daemon(OURS, host.command(command), log)
        host.daemons.append(daemon)
        await_rule(lab, host, daemon)
        backup = other.start(OURS, "-k 50")
        await_state(backup, "BACKUP")
        await_adverts(lab, host, 2)
        [line] = daemon.logged("Real time:")
        assert "SCHED_RR 10, memory locked" in line.text
        assert not daemon.logged("Warning")

        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text()
        os.kill(int(children), signal.SIGTERM)

        assert daemon.wait() == 0
        await_rule(lab, other, backup)
        assert lab.addresses.time_with(2) == 0
