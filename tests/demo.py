"""`make demo`: an election, a crash and a gentle stop, on a private network, explained.

Two hosts share an address that a third one pings.  All of it happens in network
namespaces on a bridge of their own; nothing outside is touched.  Without root the
same is done as root of a user namespace, and where that is not allowed either, a
recorded election is replayed instead.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from tests.netns.daemons import ROOT, Daemon, environment
from tests.netns.lab import VIP, Host, Lab, LateError, wait_for
from tests.netns.ping import Outage, Pinger
from tests.netns.wire import NS_PER_S, Advert

FLAGS = ("-z -k 0", "-z -k 100")
PING_INTERVAL_S = 0.02
FIXTURE = ROOT / "fixtures" / "ucarp-election-and-kill"

NS_PER_MS = NS_PER_S // 1000
MASTER_DOWN_NS = 3 * NS_PER_S + 100 * NS_PER_S // 256
TOLERANCE_NS = NS_PER_S
"""For a machine that has better things to do; `make bench` is about milliseconds."""

PATIENCE_S = 8.0
"""Longer than anything here takes."""

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"

REASONS = {
    "startup": "it listens first",
    "master_down": "there was no master to be heard",
    "master_too_slow": "the farewell says: no host holds it now",
    "shutdown": "told to stop",
}


class DemoError(Exception):
    """Something did not happen as it should."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline."""

    time_ns: int
    who: str
    text: str
    colour: str = ""


def paint(text: str, colour: str) -> str:
    """Return `text` in a colour, where the output is a terminal."""
    if not colour or not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\033[{colour}m{text}\033[0m"


def seconds(interval_ns: int) -> str:
    return f"{interval_ns / NS_PER_S:.3f} s"


def milliseconds(interval_ns: int) -> str:
    return f"{interval_ns / NS_PER_MS:.0f} ms"


def pings(count: int) -> str:
    return f"{count} ping{'' if count == 1 else 's'} lost"


class Demo:
    """The play, in three acts."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.first, self.second, self.client = lab.hosts
        self.start_ns = self.act_start_ns = time.time_ns()
        self.told: list[Moment] = []
        self.outages: list[Outage] = []
        self.killed: list[Host] = []

    def play(self) -> str:
        """Plays all acts and returns the verdict.  Raises `DemoError`, `LateError`."""
        self.introduce()
        with Pinger(self.client, VIP, PING_INTERVAL_S) as pinger:
            self.elect(pinger)
            crash = self.crash(pinger)
            stop = self.stop(pinger)
        return f"{crash}; {stop}"

    def introduce(self) -> None:
        began = datetime.fromtimestamp(self.start_ns / NS_PER_S)
        per_second = round(1 / PING_INTERVAL_S)
        print(
            paint(f"Two hosts share {VIP}", BOLD) + f"  ({began:%Y-%m-%d %H:%M:%S})\n\n"
            f"  client {self.client.address}  ──┬──  host1 {self.first.address}   "
            f"carppcap {FLAGS[0]}     the preferred one\n"
            f"  pings {VIP}   └──  host2 {self.second.address}   "
            f"carppcap {FLAGS[1]}   stands by\n"
            f"  {per_second} times a second\n\n"
            "The master says once a second that it is there.  A\n"
            "backup that hears nothing for 3 s + skew/256 s takes the address\n"
            "and tells the network by ARP."
        )

    def elect(self, pinger: Pinger) -> None:
        self.begin_act("1. Election: both start; the lower skew runs out first")
        for host, flags in zip((self.first, self.second), FLAGS, strict=True):
            self.say(time.time_ns(), host.name, f"starts: carppcap {flags}")
            host.start("carppcap", flags)
        self.wait_for("host1 to hold the address", lambda: self.holds(self.first))
        pinger.await_answer(self.start_ns)
        answered_ns = pinger.answers[0].time_ns
        self.say(answered_ns, "client", f"gets answers from {VIP}", GREEN)
        self.await_adverts(self.first, 2)
        self.end_act(pinger)

    def crash(self, pinger: Pinger) -> str:
        self.begin_act("2. Crash: host1 is killed (SIGKILL) and silent from now on")
        self.say(time.time_ns(), self.first.name, "is killed, and off the network", RED)
        self.first.power_off()
        self.killed = [self.first]
        off_ns = time.time_ns()
        self.wait_for("host2 to take over", lambda: self.is_master(self.second, off_ns))
        pinger.await_answer(self.claim(self.second, off_ns).time_ns)
        self.await_adverts(self.second, 1)
        self.end_act(pinger)
        last = self.lab.wire.adverts(self.first.address)[-1]
        silent_ns = self.claim(self.second, off_ns).time_ns - last.time_ns
        if abs(silent_ns - MASTER_DOWN_NS) > TOLERANCE_NS:
            raise DemoError(
                f"fail-over after {seconds(silent_ns)}, not {seconds(MASTER_DOWN_NS)}"
            )
        lost = self.lost_since(off_ns)
        return (
            f"killed: new master {seconds(silent_ns)} after the last advert "
            f"(by the rules: {seconds(MASTER_DOWN_NS)}), {pings(lost)}"
        )

    def stop(self, pinger: Pinger) -> str:
        self.begin_act("3. Gentle stop: host1 is back; host2 is told to stop (SIGTERM)")
        self.say(time.time_ns(), self.first.name, f"starts: carppcap {FLAGS[0]}")
        self.first.create_interface()
        heir = self.first.start("carppcap", FLAGS[0])
        self.wait_for("host1 to stand by", lambda: heir.state == "BACKUP")
        self.await_adverts(self.second, 1)
        leaving = self.second.daemons[-1]
        told_ns = time.time_ns()
        self.say(told_ns, self.second.name, "is told to stop", YELLOW)
        leaving.signal(signal.SIGTERM)
        self.wait_for("host1 to take over", lambda: self.is_master(self.first, told_ns))
        status = leaving.wait()
        pinger.await_answer(self.claim(self.first, told_ns).time_ns)
        self.await_adverts(self.first, 1)
        self.end_act(pinger)
        return self.judge_stop(told_ns, status)

    def judge_stop(self, told_ns: int, status: int) -> str:
        farewell = self.lab.wire.adverts(self.second.address)[-1]
        claim_ns = self.claim(self.first, told_ns).time_ns
        if status != 0 or not farewell.is_farewell:
            raise DemoError(f"host2 left without a farewell, with status {status}")
        if not 0 <= claim_ns - farewell.time_ns <= TOLERANCE_NS:
            raise DemoError(f"taken {seconds(claim_ns - farewell.time_ns)} too late")
        if shared_ns := self.lab.addresses.time_with(2, told_ns):
            raise DemoError(f"two hosts had {VIP} for {seconds(shared_ns)}")
        free_ns = self.lab.addresses.time_with(0, told_ns)
        return (
            f"stopped: address taken {milliseconds(free_ns)} after it was free, "
            f"{pings(self.lost_since(told_ns))}"
        )

    # What the acts are made of.

    def holds(self, host: Host) -> bool:
        return self.lab.holders == (host,)

    def is_master(self, host: Host, since_ns: int) -> bool:
        return bool(self.lab.wire.adverts(host.address, since_ns)) and self.holds(host)

    def wait_for(self, what: str, condition: Callable[[], bool]) -> None:
        """Returns when `condition` is true, and at once if a daemon failed."""

        def is_over() -> bool:
            failed = [host for host, one in daemons(self.lab) if one.exit_status]
            if failed and failed != self.killed:
                raise DemoError(f"carppcap ended on {failed[-1]}")
            return condition()

        wait_for(what, is_over, PATIENCE_S)

    def claim(self, host: Host, since_ns: int) -> Advert:
        return self.lab.wire.adverts(host.address, since_ns)[0]

    def await_adverts(self, host: Host, count: int) -> None:
        since_ns = time.time_ns()
        self.wait_for(
            f"{count} adverts of {host}",
            lambda: len(self.lab.wire.adverts(host.address, since_ns)) >= count,
        )

    def lost_since(self, since_ns: int) -> int:
        return sum(one.lost for one in self.outages if one.end_ns > since_ns)

    def say(self, time_ns: int, who: str, text: str, colour: str = "") -> None:
        self.told.append(Moment(time_ns, who, text, colour))

    def begin_act(self, title: str) -> None:
        self.act_start_ns = time.time_ns()
        print(f"\n{paint(title, BOLD)}", flush=True)

    def end_act(self, pinger: Pinger) -> None:
        """Shows what has happened since the act began."""
        since_ns, self.act_start_ns = self.act_start_ns, time.time_ns()
        self.outages = pinger.outages()
        moments = [
            moment
            for moment in (
                *self.told,
                *self.transitions(),
                *self.adverts(since_ns),
                *self.announcements(),
                *self.holdings(),
                *self.losses(),
            )
            if since_ns <= moment.time_ns < self.act_start_ns
        ]
        for moment in sorted(moments, key=lambda moment: moment.time_ns):
            at = f"{(moment.time_ns - self.start_ns) / NS_PER_S:9.3f}"
            print(
                f"{paint(at, DIM)}  {moment.who:<6}  "
                f"{paint(moment.text, moment.colour)}"
            )
        sys.stdout.flush()

    # What there is to tell.

    def transitions(self) -> Iterator[Moment]:
        for host, daemon in daemons(self.lab):
            for line in daemon.logged(" -> "):
                change, _, cause = line.text.partition(": ")[2].rpartition(" (")
                reason = REASONS.get(cause.rstrip(")"), cause.rstrip(")"))
                colour = GREEN if change.endswith("MASTER") else CYAN
                yield Moment(line.time_ns, host.name, f"{change}: {reason}", colour)

    def adverts(self, since_ns: int) -> Iterator[Moment]:
        """The first of each row of adverts, and the last one in this act."""
        names = {host.address: host.name for host in self.lab.hosts}
        for (source, is_farewell), row in groupby(
            self.lab.wire.adverts(), lambda advert: (advert.source, advert.is_farewell)
        ):
            adverts = list(row)
            first, who = adverts[0], names[str(source)]
            text = f"advert {first.advbase}/{first.advskew}"
            if is_farewell:
                text += ": farewell, a host that hears it may take over"
                yield Moment(first.time_ns, who, text, YELLOW)
                continue
            yield Moment(
                first.time_ns, who, f"{text}: the master is here, more to follow"
            )
            in_act = [advert for advert in adverts[1:] if advert.time_ns >= since_ns]
            if in_act:
                every_ns = (adverts[-1].time_ns - first.time_ns) // (len(adverts) - 1)
                text += f", number {len(adverts)}, every {seconds(every_ns)}"
                yield Moment(in_act[-1].time_ns, who, text)

    def announcements(self) -> Iterator[Moment]:
        names = {host.mac: host.name for host in self.lab.hosts}
        for arp in self.lab.wire.announcements():
            mac = arp.sender_mac.hex(":")
            text = f"ARP to all: {arp.sender} is at {mac}"
            yield Moment(arp.time_ns, names.get(arp.sender_mac, "?"), text)

    def holdings(self) -> Iterator[Moment]:
        for change in self.lab.addresses.changes:
            text = f"{'has' if change.held else 'no longer has'} {VIP}"
            yield Moment(change.time_ns, change.host, text)

    def losses(self) -> Iterator[Moment]:
        for one in self.outages:
            yield Moment(one.start_ns, "client", "its last answer for a while", RED)
            text = f"gets answers again: {pings(one.lost)}"
            yield Moment(one.end_ns, "client", text, GREEN)


def daemons(lab: Lab) -> Iterator[tuple[Host, Daemon]]:
    for host in lab.hosts:
        for daemon in host.daemons:
            yield host, daemon


def perform() -> int:
    """The live demo, where it can be given; its exit status."""
    with ExitStack() as stack:
        try:
            lab = stack.enter_context(Lab(3))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"No network namespaces here: {error}")
            return replay()
        try:
            verdict = Demo(lab).play()
        except (DemoError, LateError, subprocess.SubprocessError) as error:
            print(f"\n{paint('Something went wrong', RED)}: {error}\n", file=sys.stderr)
            for host, daemon in daemons(lab):
                for line in daemon.lines:
                    print(f"{host} {line.level:<7} {line.text}", file=sys.stderr)
            return 1
    print(f"\n{paint('All as it should be', GREEN)}: {verdict}.")
    return 0


def replay() -> int:
    """A recorded election instead."""
    flags = (FIXTURE / "node.conf").read_text().split()
    story = (FIXTURE / "README.rst").read_text().split("\n\n")[1]
    command = [sys.executable, "-m", "carppcap", "replay", "capture.pcap", *flags]
    print(
        f"So here is a recording, {FIXTURE.relative_to(ROOT)}, and what a third host\n"
        f"would have done: carppcap {' '.join(flags)}\n\n{story}\n",
        flush=True,
    )
    return subprocess.run(
        command, cwd=FIXTURE, env=environment(), check=False
    ).returncode


def enter_user_namespace() -> None:
    """Start again as root of a user namespace; return only if that is not allowed."""
    prefix = ["unshare", "-Urnm"]
    if (
        shutil.which("unshare")
        and not subprocess.run(
            [*prefix, "true"], capture_output=True, check=False
        ).returncode
    ):
        print("Not root, so this happens in a user namespace.\n", flush=True)
        os.execvp(prefix[0], [*prefix, sys.executable, "-m", "tests.demo"])


def main() -> int:
    os.chdir(ROOT)  # `-m tests.demo` is found from here
    # Debian keeps `bridge` where only root looks.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    if os.geteuid() != 0:
        enter_user_namespace()
        print("Neither root nor allowed to make user namespaces.")
        return replay()
    needed = ("ip", "bridge", "ping", "nsenter")
    missing = [name for name in needed if not shutil.which(name)]
    if missing:
        print(f"Not installed: {', '.join(missing)}.")
        return replay()
    try:
        return perform()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
