"""The play: two hosts share an address, a client pings it, and much goes wrong."""

import signal
import time
from collections.abc import Callable
from datetime import datetime
from itertools import chain

from tests.demo.timeline import (
    BOLD,
    DIM,
    GREEN,
    RED,
    YELLOW,
    Moment,
    daemons,
    milliseconds,
    moments,
    paint,
    pings,
    seconds,
)
from tests.netns.daemons import Daemon
from tests.netns.lab import VIP, Host, Lab, wait_for
from tests.netns.ping import Outage, Pinger
from tests.netns.wire import NS_PER_S, Advert

SHARED_FLAGS = "--own-addresses -z"
FLAGS = (f"{SHARED_FLAGS} -k 0", f"{SHARED_FLAGS} -k 100")
PING_INTERVAL_S = 0.02

MASTER_DOWN_NS = 3 * NS_PER_S + 100 * NS_PER_S // 256
TOLERANCE_NS = NS_PER_S
"""For a machine that has better things to do; `make bench` is about milliseconds."""

DEAF_NS = 6 * NS_PER_S
"""Longer than a backup waits for a silent master."""

PATIENCE_S = 8.0
"""Longer than anything here takes."""


class DemoError(Exception):
    """Something did not happen as it should."""


class Demo:
    """The play, in five acts."""

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
            verdicts = [act(pinger) for act in (self.crash, self.stop, self.kill)]
            verdicts.append(self.deafen(pinger))
        return "\n".join(f"  {verdict}" for verdict in verdicts)

    def introduce(self) -> None:
        began = datetime.fromtimestamp(self.start_ns / NS_PER_S)
        per_second = round(1 / PING_INTERVAL_S)
        print(
            paint(f"Two hosts share {VIP}", BOLD) + f"  ({began:%Y-%m-%d %H:%M:%S})\n\n"
            f"  client {self.client.address}  ──┬──  host1 {self.first.address}   "
            "-k 0     the preferred one\n"
            f"  pings {VIP}   └──  host2 {self.second.address}   "
            "-k 100   stands by\n"
            f"  {per_second} times a second\n\n"
            f"Both run `carppcap {SHARED_FLAGS}`.  The master says once a second that\n"
            "it is there.  A backup that hears nothing for 3 s + skew/256 s takes the\n"
            "address and tells the network by ARP."
        )

    def elect(self, pinger: Pinger) -> None:
        self.begin_act("1. Election: both start; the lower skew runs out first")
        for host, flags in zip((self.first, self.second), FLAGS, strict=True):
            self.begin(host, flags)
        self.wait_for("host1 to hold the address", lambda: self.holds(self.first))
        pinger.await_answer(self.start_ns)
        answered_ns = pinger.answers[0].time_ns
        self.say(answered_ns, "client", f"gets answers from {VIP}", GREEN)
        self.await_adverts(self.first, 2)
        self.end_act(pinger)

    def crash(self, pinger: Pinger) -> str:
        self.begin_act("2. Crash: the power of host1 fails")
        self.say(time.time_ns(), self.first.name, "has no power any more", RED)
        self.first.isolate()  # Nothing may leave any more, not even a last will.
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
            f"crash: new master {seconds(silent_ns)} after the last advert "
            f"(by the rules: {seconds(MASTER_DOWN_NS)}), {pings(lost)}"
        )

    def stop(self, pinger: Pinger) -> str:
        self.begin_act("3. Gentle stop: host1 is back; host2 is told to stop (SIGTERM)")
        self.first.create_interface()
        self.stand_by(self.first, FLAGS[0], self.second)
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
        self.check_single(told_ns)
        free_ns = self.lab.addresses.time_with(0, told_ns)
        return (
            f"stopped: address taken {milliseconds(free_ns)} after it was free, "
            f"{pings(self.lost_since(told_ns))}"
        )

    def kill(self, pinger: Pinger) -> str:
        self.begin_act(
            "4. Killed: the daemon of host1 dies, but its host lives on",
            "A second process of it, the keeper, takes the address away and sends the",
            "farewell that the daemon had prepared.  (If that is killed as well, the",
            "kernel removes the address in time.)",
        )
        self.stand_by(self.second, FLAGS[1], self.first)
        killed_ns = time.time_ns()
        self.say(killed_ns, self.first.name, "its daemon is killed (SIGKILL)", RED)
        self.killed.append(self.first)
        self.first.daemons[-1].kill()
        self.wait_for(
            "host2 to take over", lambda: self.is_master(self.second, killed_ns)
        )
        taken_ns = self.lab.addresses.changes[-1].time_ns - killed_ns
        pinger.await_answer(self.claim(self.second, killed_ns).time_ns)
        self.await_adverts(self.second, 1)
        self.end_act(pinger)
        self.check_single(killed_ns)
        if taken_ns > TOLERANCE_NS:
            raise DemoError(f"the address was taken after {seconds(taken_ns)}")
        lost = self.lost_since(killed_ns)
        return (
            f"daemon killed: taken by the other host after {milliseconds(taken_ns)}, "
            f"never on both hosts, {pings(lost)}"
        )

    def deafen(self, pinger: Pinger) -> str:
        self.begin_act(
            "5. Not heard: the switch forwards no multicast to host1 any more",
            "So host1 hears no adverts, and would take over from a master that lives.",
            "It first asks for an advert, by broadcast, which the switch does forward.",
        )
        self.stand_by(self.first, FLAGS[0], self.second)
        deaf_ns = time.time_ns()
        self.say(deaf_ns, "switch", "forwards no multicast to host1", RED)
        self.first.forward_multicast(False)
        self.wait_for("that time", lambda: time.time_ns() > deaf_ns + DEAF_NS)
        self.say(time.time_ns(), "switch", "forwards multicast to host1 again", GREEN)
        self.first.forward_multicast(True)
        self.await_adverts(self.second, 1)
        self.end_act(pinger)
        self.check_single(deaf_ns)
        if not self.holds(self.second) or self.lost_since(deaf_ns):
            raise DemoError("host1 took the address, although host2 lives")
        return (
            f"not heard for {DEAF_NS // NS_PER_S} s: the master is asked, answers, "
            "and keeps the address"
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

    def begin(self, host: Host, flags: str) -> Daemon:
        self.say(time.time_ns(), host.name, f"starts: carppcap {flags}")
        return host.start("carppcap", flags, scripts=False)

    def stand_by(self, host: Host, flags: str, master: Host) -> None:
        """Start a daemon on `host`; wait until it has heard the master."""
        heir = self.begin(host, flags)
        self.wait_for(f"{host} to stand by", lambda: heir.state == "BACKUP")
        self.await_adverts(master, 1)

    def check_single(self, since_ns: int) -> None:
        if shared_ns := self.lab.addresses.time_with(2, since_ns):
            raise DemoError(f"two hosts had {VIP} for {seconds(shared_ns)}")

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

    def begin_act(self, title: str, *explanation: str) -> None:
        self.act_start_ns = time.time_ns()
        print("", paint(title, BOLD), *explanation, sep="\n", flush=True)

    def end_act(self, pinger: Pinger) -> None:
        """Shows what has happened since the act began."""
        since_ns, self.act_start_ns = self.act_start_ns, time.time_ns()
        self.outages = pinger.outages()
        recorded = moments(self.lab, self.outages, since_ns)
        shown = [
            moment
            for moment in chain(self.told, recorded)
            if since_ns <= moment.time_ns < self.act_start_ns
        ]
        for moment in sorted(shown, key=lambda moment: moment.time_ns):
            at = f"{(moment.time_ns - self.start_ns) / NS_PER_S:9.3f}"
            print(
                f"{paint(at, DIM)}  {moment.who:<6}  "
                f"{paint(moment.text, moment.colour)}"
            )
        print(end="", flush=True)
