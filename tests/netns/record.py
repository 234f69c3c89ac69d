"""Records real sessions as fixtures: `python -m tests.netns.record [CASE ...]`.

A case is written to `fixtures/CASE`, as the files `capture.pcap`, `README.rst` and
`node.conf`; the last has the flags of an onlooking host, for `carppcap replay`.
Without arguments all cases are recorded again.
"""

import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.netns.daemons import ROOT, UCARP_PATH
from tests.netns.lab import PASSWORD, VHID, VIP, Lab, wait_for
from tests.netns.scenes import await_adverts, await_rule, await_state
from tests.netns.wire import parse

FIXTURES = ROOT / "fixtures"
CAPTURE_BYTES_MAX = 20_000
ONLOOKER = f"-i eth0 -s 10.9.0.3 -v {VHID} -p {PASSWORD} -a {VIP}"


@dataclass(frozen=True, slots=True)
class Case:
    """One session; `play` lets it happen in a lab of two hosts.

    `members` are (program, flags) of the two hosts, which `play` starts.  `text`
    describes the session in the README; `onlooker` has flags of the host in
    `node.conf`.
    """

    play: Callable[[Lab, "Case"], None]
    members: tuple[tuple[str, str], tuple[str, str]]
    text: str
    onlooker: str = "-k 200"


def _both(lab: Lab, case: Case) -> None:
    """Start the first host's daemon as master, then the second's as its backup."""
    first, second = lab.hosts
    await_rule(lab, first, first.start(*case.members[0]))
    await_state(second.start(*case.members[1]), "BACKUP")
    await_adverts(lab, first, 3)


def _kill(lab: Lab, case: Case) -> None:
    _both(lab, case)
    first, second = lab.hosts
    first.power_off()
    await_rule(lab, second, second.daemons[0], adverts=3)
    first.create_interface()
    first.start(*case.members[0])
    await_adverts(lab, second, 5)


def _preempt(lab: Lab, case: Case) -> None:
    first, second = lab.hosts
    await_rule(lab, first, first.start(*case.members[0]), adverts=3)
    await_rule(lab, second, second.start(*case.members[1]), adverts=5)


def _stop(lab: Lab, case: Case) -> None:
    _both(lab, case)
    first, second = lab.hosts
    first.daemons[0].signal(signal.SIGTERM)
    first.daemons[0].wait()
    await_rule(lab, second, second.daemons[0], adverts=5)


def _hand_over(lab: Lab, case: Case) -> None:
    _both(lab, case)
    first, second = lab.hosts
    first.daemons[0].signal(signal.SIGUSR2)
    await_rule(lab, second, second.daemons[0], adverts=5)


def _together(lab: Lab, case: Case) -> None:
    for host, member in zip(lab.hosts, case.members, strict=True):
        host.start(*member)
    wait_for("a master", lambda: len(lab.wire.adverts()) >= 3)
    wait_for("one holder", lambda: len(lab.holders) == 1)
    await_adverts(lab, lab.holders[0], 5)


def _divided(lab: Lab, case: Case) -> None:
    for host, member in zip(lab.hosts, case.members, strict=True):
        host.start(*member)
    for host in lab.hosts:
        await_state(host.daemons[0], "MASTER")
    for host in lab.hosts:
        await_adverts(lab, host, 5)


def _restless(lab: Lab, case: Case) -> None:
    for host, member in zip(lab.hosts, case.members, strict=True):
        host.start(*member)
    wait_for("sixty adverts", lambda: len(lab.wire.adverts()) >= 60)


_CALM = (("ucarp", "-k 0"), ("ucarp", "-k 100"))

CASES = {
    "ucarp-election-and-kill": Case(
        _kill,
        _CALM,
        "The first host is master, the second joins as its backup.  The first is\n"
        "killed by SIGKILL and its interface vanishes; the second takes over when it\n"
        "has heard nothing for its master-down interval, up to a second more.  The\n"
        "first returns without preemption and stays a backup.",
    ),
    "ucarp-preemption": Case(
        _preempt,
        (("ucarp", "-k 100"), ("ucarp", "-k 10 -P")),
        "The first host is master.  The second one prefers itself (`-P`) and claims\n"
        "the address at the first advert it reads; the first sends one last advert\n"
        "and yields.",
    ),
    "ucarp-stop-without-farewell": Case(
        _stop,
        (("ucarp", "-k 0 -z"), ("ucarp", "-k 100")),
        "The master is told to stop by SIGTERM.  With `-z` it releases the address,\n"
        "but says nothing on the wire: its backup waits as if it had been killed.",
    ),
    "ucarp-usr2": Case(
        _hand_over,
        (("ucarp", "-k 0"), ("ucarp", "-k 0")),
        "The master is told to hand over by SIGUSR2: it falls silent, and the backup\n"
        "takes over after its master-down interval.",
    ),
    "ucarp-tie-started-together": Case(
        _together,
        (("ucarp", "-k 0"), ("ucarp", "-k 0")),
        "Two equal hosts start at the same instant.  For up to a second both claim\n"
        "the address; the lower one, 10.9.0.1, keeps it.",
    ),
    "ucarp-wrong-password": Case(
        _divided,
        (("ucarp", "-k 0"), ("ucarp", "-k 100 -p hate")),
        "The second host has the password `hate`: two masters side by side, each\n"
        "deaf to the other.",
        "-k 200",
    ),
    "ucarp-wrong-vhid": Case(
        _divided,
        (("ucarp", "-k 0"), ("ucarp", "-k 100 -v 8")),
        "The second host is in vhid 8: two groups with one virtual address.",
    ),
    "ucarp-subsecond": Case(
        _restless,
        (("ucarp", "-b 0 -k 20"), ("ucarp", "-b 0 -k 40")),
        "Intervals of 78 and 156 ms are too short for a program that looks at its\n"
        "timers once a second while it listens: the two change places all the time.",
        "-b 0 -k 100",
    ),
    "carppcap-ucarp-farewell": Case(
        _stop,
        (("carppcap", "-k 0 -z"), ("ucarp", "-k 100")),
        "The master, a carppcap, is told to stop by SIGTERM.  It releases the address\n"
        "and says farewell (255/255); ucarp takes over at once.",
    ),
    "ucarp-carppcap-kill": Case(
        _kill,
        (("ucarp", "-k 0"), ("carppcap", "-k 100")),
        "ucarp is master, carppcap its backup.  The master is killed, carppcap\n"
        "takes over after its master-down interval; ucarp returns as a backup.",
    ),
}


def _readme(name: str, case: Case) -> str:
    version = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Version}", "ucarp"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    members = "\n".join(
        f"* 10.9.0.{number}: ``{program} {flags}``"
        for number, (program, flags) in enumerate(case.members, 1)
    )
    return (
        f"{name}\n{'=' * len(name)}\n\n{case.text}\n\n{members}\n\n"
        f"Both with ``-v {VHID} -p {PASSWORD} -a {VIP}`` unless said otherwise.\n"
        f"``ucarp`` is Debian's {version}.  Recorded on the bridge between the hosts\n"
        f"by ``python -m tests.netns.record {name}``.\n"
    )


def record(name: str) -> None:
    """Play the case `name` and store its directory of fixtures."""
    case = CASES[name]
    directory = FIXTURES / name
    directory.mkdir(parents=True, exist_ok=True)
    with Lab(2) as lab:
        case.play(lab, case)
        adverts = len(lab.wire.adverts())
        frames = sum(parse(frame) is not None for frame in lab.wire.frames)
        shutil.copyfile(lab.wire.path, directory / "capture.pcap")
    size = (directory / "capture.pcap").stat().st_size
    assert size <= CAPTURE_BYTES_MAX, f"{name}: {size} bytes"
    (directory / "README.rst").write_text(_readme(name, case))
    (directory / "node.conf").write_text(f"{ONLOOKER} {case.onlooker}\n")
    print(f"{name}: {adverts} adverts, {frames - adverts} ARP packets, {size} bytes")


def main(names: list[str]) -> int:
    """Record the cases `names`, or all if it is empty; return the exit status."""
    if unknown := set(names) - set(CASES):
        print(f"unknown: {shlex.join(unknown)}; known: {' '.join(CASES)}")
        return 1
    if not Path(UCARP_PATH).exists():
        print(f"{UCARP_PATH} is missing: install the package ucarp")
        return 2
    for name in names or CASES:
        record(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
