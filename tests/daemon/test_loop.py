"""One live process on a cable: what it does, in which order, and how it ends.

The daemon runs in this very process; a second thread plays the world around it.
"""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from carppcap.daemon.loop import ENDING_SIGNALS, Daemon, NamedGroup
from carppcap.election.actions import AnnounceAddresses, SendAdvert, State
from carppcap.election.events import (
    AdvertReceived,
    FormChanged,
    RivalHeard,
    SendSucceeded,
    Start,
    StepDown,
    Tick,
)
from carppcap.node.counter import join, split
from carppcap.node.groups import Step
from carppcap.options.command_line import parse
from carppcap.system.capture import SendError
from carppcap.system.syslog import Level
from carppcap.wire.encode import build_announcement
from carppcap.wire.header import Advert
from carppcap.wire.header import decode as decode_advert
from tests.builders import LOWER, VIP, config, frame, payload
from tests.node.rerun import RecordedGroup, record, run_again
from tests.shell import (
    COMMAND,
    MemoryLog,
    environment,
    ip,
    make_link,
    network,
    wait_for,
)

pytestmark = pytest.mark.netns

FLAGS = "-s 10.1.1.5 -v 7 -p love -a 10.1.1.252 -b 0 -k 8"
"""An advert every 31 ms, and master after 94 ms of silence."""

BACKUP, MASTER = "Switching to state: BACKUP", "Switching to state: MASTER"
ADVERT_OF_A_WORSE = frame(payload(config(source=LOWER), counter=77))
ADVERT_OF_A_BETTER = frame(payload(config(source=LOWER, advbase=0, advskew=1)))
FORGED = frame(payload(config(source=LOWER), digest=bytes(20)))
OLD_ADVERT = frame(payload(config(source=LOWER), join(1, 3)))
FAREWELL = (255, 255)
ADVERT = SendAdvert(0, 8, 77)


ADD = 'ip address add "$2/32" dev "$1"'
DELETE = 'ip address delete "$2/32" dev "$1" 2> /dev/null'


class World:
    """A directory for scripts, the far end of the cable, and what was heard there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notes = directory / "notes"
        self.notes.touch()
        self.far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.far.bind(("b0", 0))

    def script(self, name: str, body: str = "") -> str:
        path = self.directory / name
        path.write_text(f"#!/bin/sh\necho {name} >> {self.notes}\n{body}\n")
        path.chmod(0o755)
        return str(path)

    @property
    def up(self) -> str:
        return self.script("up", ADD)

    @property
    def down(self) -> str:
        return self.script("down", DELETE)

    @property
    def ran(self) -> list[str]:
        """Return the scripts that ran, in their order."""
        return self.notes.read_text().split()

    def heard(self) -> list[str | tuple[int, int]]:
        """Return each ARP request as "arp" and each advert as (advbase, advskew)."""
        found: list[str | tuple[int, int]] = []
        self.far.setblocking(False)
        while True:
            try:
                data, where = self.far.recvfrom(2000)
            except BlockingIOError:
                return found
            if where[2] == socket.PACKET_OUTGOING:
                continue
            if data[12:14] == b"\x08\x06":
                found.append("arp")
            elif data[12:14] == b"\x08\x00" and data[23] == 112:
                advert = decode_advert(data[34:])
                assert isinstance(advert, Advert)
                found.append((advert.advbase, advert.advskew))

    def send(self, data: bytes) -> None:
        self.far.send(data)

    def has_address(self) -> bool:
        return "10.1.1.252" in Path("/proc/thread-self/net/fib_trie").read_text()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    with network():
        make_link()
        made = World(tmp_path)
        with closing(made.far):
            yield made
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RecordedGroup]]:
    """Run each live run of this module again from its events, and compare."""
    made = record(monkeypatch)
    yield made
    for group in made:
        run_again(group)


SIGNALS = (*ENDING_SIGNALS, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD)


class Live:
    """A daemon with `flags` behind FLAGS, and a log in memory."""

    def __init__(self, flags: str, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog()
        settings, _ = parse([*FLAGS.split(), *flags.split()])
        group = NamedGroup("", settings, settings.virtual_host("a0"))
        self.daemon = Daemon([group], self.log)
        [self.driver] = self.daemon.drivers.values()
        [self.segment] = self.daemon.segments.values()

    def run(self, *acts: Callable[[], object]) -> signal.Signals | None:
        """Run it, and the acts one after the other beside it; return how it ended.

        A daemon that the acts do not end is ended afterwards.
        """
        failures: list[BaseException] = []

        def play() -> None:
            try:
                for act in acts:
                    act()
            except BaseException as failure:  # noqa: BLE001 - it is raised again below
                failures.append(failure)
            # The second one is for a script that hangs.
            while not is_over.wait(0.1):
                os.kill(os.getpid(), signal.SIGTERM)

        is_over = threading.Event()
        thread = threading.Thread(target=play)
        with closing(self.daemon):
            self.daemon.start()
            thread.start()
            try:
                return self.daemon.run()
            finally:
                is_over.set()
                thread.join()
                wait_for(self._no_script_runs)
                if failures:
                    raise failures[0]

    def _no_script_runs(self) -> bool:
        # A daemon that is killed leaves its script alone, as ucarp does.
        scripts = self.driver.vips.scripts
        scripts.reap(0)
        scripts.outcomes.clear()
        return scripts.idle

    def says(self, *texts: str) -> Callable[[], None]:
        """Return an act: wait until these are logged, each after the one before."""

        def are_said() -> bool:
            lines = iter(self.log.texts)
            return all(any(text in line for line in lines) for text in texts)

        return lambda: wait_for(are_said, f"{texts} in {self.log.texts}")

    def said(self, text: str) -> int:
        """Return how many lines contain `text`."""
        return sum(text in line for line in self.log.texts)


def kill(number: signal.Signals) -> Callable[[], None]:
    """Return an act: send this process a signal."""
    return lambda: os.kill(os.getpid(), number)


def after(seconds: float) -> Callable[[], None]:
    """Return an act: let time pass."""
    return lambda: time.sleep(seconds)


@contextmanager
def peer(*flags: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another carppcap at the far end of the cable, in a process of its own."""
    command = [*COMMAND, "-i", "b0", *FLAGS.replace("10.1.1.5", "10.1.1.6").split()]
    process = subprocess.Popen(
        [*command, *flags], env=environment(), stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_two_daemons(world: World, recorded: list[RecordedGroup]) -> None:
    """An election, a step-down, and the death of the peer that took over."""
    ip("address add 10.1.1.6/24 dev b0")
    live = Live("")

    def heard() -> set[int]:
        """Return the skews of the adverts that the group has heard."""
        steps = [step for group in recorded for step in group.steps]
        return {s.event.advskew for s in steps if isinstance(s.event, AdvertReceived)}

    def play() -> None:
        live.says(MASTER)()
        with peer("-k", "16", "-P") as other:
            time.sleep(1)  # it listens, and hears a better master
            kill(signal.SIGUSR2)()
            wait_for(lambda: 16 in heard(), "adverts of the peer")
            assert other.poll() is None

    live.run(play, live.says(MASTER, BACKUP, MASTER))

    [group] = recorded
    kinds = {type(step.event) for step in group.steps}
    assert {Start, Tick, StepDown, AdvertReceived, SendSucceeded} <= kinds


def test_becoming_master(world: World) -> None:
    """The claim goes out before the script is started, the announcement after it."""
    live = Live(f"-u {world.up} -d {world.down}")

    ended_by = live.run(
        live.says(BACKUP, "Spawning [", MASTER, "Spawning ["),
        lambda: wait_for(world.has_address),
        after(0.15),
        kill(signal.SIGTERM),
    )

    heard = world.heard()
    assert ended_by is signal.SIGTERM
    assert heard[0] == (0, 8)
    assert heard.count("arp") == 2
    first, second = (place for place, what in enumerate(heard) if what == "arp")
    assert second - first == 2  # one advert in between
    assert heard[second + 1] == (0, 8)
    assert world.ran == ["down", "up"]
    assert world.has_address()  # without -z it stays, as with ucarp
    assert FAREWELL not in heard


def test_leaving_gently(world: World) -> None:
    """With -z the down script runs, then the farewell leaves, then status 0."""
    live = Live(f"-u {world.up} -d {world.down} -z")

    ended_by = live.run(
        live.says(MASTER),
        lambda: wait_for(world.has_address),
        kill(signal.SIGTERM),
        live.says("Switching to state: INIT"),
    )

    assert ended_by is None
    assert world.heard()[-1] == FAREWELL
    assert world.ran == ["down", "up", "down"]
    assert not world.has_address()


def test_leaving_as_backup(world: World) -> None:
    """Nothing to hand over: no farewell, and no script but the one at the start."""
    live = Live(f"-u {world.up} -d {world.down} -z -r 100")

    assert live.run(live.says(BACKUP), kill(signal.SIGHUP)) is None
    assert world.heard() == []
    assert world.ran == ["down"]


def test_leaving_without_a_word(world: World) -> None:
    """With --no-farewell the down script runs, and no farewell is sent."""
    live = Live(f"-u {world.up} -d {world.down} -z --no-farewell")

    assert live.run(live.says(MASTER), kill(signal.SIGTERM)) is None
    assert FAREWELL not in world.heard()


def test_a_down_script_that_hangs(world: World) -> None:
    """We say what we wait for, go on adverting, and a second signal kills it."""
    hanging = world.script("down", '[ "$3" ] || exit 0; sleep 1000')
    live = Live(f"-n -u {world.up} -d {hanging} -x hang -z")

    def adverts_go_on() -> None:
        world.heard()
        wait_for(lambda: world.heard().count((0, 8)) > 0, "another advert")

    ended_by = live.run(
        live.says(MASTER),
        lambda: wait_for(world.has_address),
        kill(signal.SIGINT),
        live.says("Waiting for ["),
        adverts_go_on,
        kill(signal.SIGINT),
        live.says("was ended by signal 9"),
    )

    assert ended_by is None
    # It still holds the address: no peer must be invited to take it.
    assert live.said("this host still has 10.1.1.252") == 1
    assert FAREWELL not in world.heard()


def test_signals_for_people(world: World) -> None:
    """USR1 logs the state; USR2 hands over, and the address is left alone for 3 s."""
    live = Live(f"-u {world.up} -d {world.down}", MemoryLog(debug=True))

    live.run(
        live.says(MASTER),
        kill(signal.SIGUSR1),
        live.says("MASTER on a0 id 7"),
        lambda: wait_for(world.has_address),
        kill(signal.SIGUSR2),
        live.says("Caught signal (USR2) considering going down", BACKUP),
        lambda: wait_for(lambda: not world.has_address()),
        kill(signal.SIGUSR1),
        live.says("BACKUP on a0 id 7"),
        after(0.3),
    )

    assert live.said(MASTER) == 1


def test_a_script_that_takes_too_long(world: World) -> None:
    """It is killed, and a master without the address steps aside."""
    slow = world.script("up", "sleep 1000")
    live = Live(f"-u {slow} -d {world.down} --script-timeout 1")

    live.run(
        live.says(MASTER, "took too long and was killed", "stepping aside", BACKUP)
    )

    assert live.said("Spawning [") == 3
    assert len(world.heard()) > 10


@pytest.mark.parametrize(
    ("body", "is_aside"),
    [
        ("exit 1", True),
        ('ip address add "$2/32" dev "$1"; exit 1', False),
        ("exit 0", False),
    ],
)
def test_what_the_up_script_says(world: World, body: str, is_aside: bool) -> None:
    """An up script succeeded if the address is there or, if unknown, if it exits 0."""
    live = Live(f"-u {world.script('up', body)} -d {world.down}")

    live.run(live.says(MASTER), after(0.3))

    assert live.said("stepping aside") == is_aside
    assert ("arp" in world.heard()) is not is_aside


def test_scripts_are_told_why(world: World) -> None:
    """One call for all addresses; which they are, and why, is in the environment."""
    told = world.directory / "told"
    told.touch()
    names = "PREVIOUS_STATE STATE CAUSE INTERFACE VHID ADDRESSES"
    note = " ".join(f"$CARPPCAP_{name}" for name in names.split())
    up = world.script("up", f'echo "$*: {note}" >> {told}\n{ADD}')
    down = world.script("down", f'echo "$*: {note}" >> {told}\n{DELETE}')
    live = Live(f"-u {up} -d {down} -z -a 10.1.1.253/24,10.1.1.252 -x rack")

    live.run(
        lambda: wait_for(world.has_address),
        live.says("Spawning"),
        after(0.1),
        lambda: ip("address delete 10.1.1.252/32 dev a0"),
        lambda: wait_for(lambda: len(told.read_text().splitlines()) == 3),
        after(0.1),
        kill(signal.SIGUSR2),
        lambda: wait_for(lambda: len(told.read_text().splitlines()) == 4),
    )

    place = "a0 7 10.1.1.252 10.1.1.253/24"
    assert told.read_text().splitlines() == [
        f"a0 10.1.1.252 rack: {why} {place}"
        for why in (
            "INIT BACKUP startup",
            "BACKUP MASTER master_down",
            "MASTER MASTER address_lost",
            "MASTER BACKUP step_down",
        )
    ]


@pytest.mark.parametrize(
    ("place", "up", "trigger"),
    [
        pytest.param("transmit", ADD, b"", id="periodic advert"),
        pytest.param("record", ADD, ADVERT_OF_A_BETTER, id="on its way to BACKUP"),
        pytest.param("transmit", f"sleep 1; {ADD}", b"", id="up script runs"),
        pytest.param("transmit", f"{ADD}; sleep 1000", b"", id="up script hangs"),
    ],
)
def test_out_of_memory(
    world: World, monkeypatch: pytest.MonkeyPatch, place: str, up: str, trigger: bytes
) -> None:
    """In the middle of a step: the address goes, as a peer is about to take it."""
    monkeypatch.setattr("carppcap.daemon.vips.ABANDON_NS", 2 * 10**9)
    live = Live(f"-u {world.script('up', up)} -d {world.down}")

    def fail(*arguments: object) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        live.run(
            live.says(MASTER),
            lambda: wait_for(lambda: "sleep 1;" in up or world.has_address()),
            lambda: wait_for(lambda: "up" in world.ran),
            lambda: monkeypatch.setattr(live.driver, place, fail),
            lambda: world.send(trigger or FORGED),
        )

    assert world.ran == ["down", "up", "down"]
    assert not world.has_address()


def test_out_of_memory_as_backup(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to let go of."""
    live = Live(f"-u {world.up} -d {world.down} -r 100")

    def fail(*arguments: object) -> None:
        raise MemoryError

    with pytest.raises(MemoryError):
        live.run(
            live.says(BACKUP),
            lambda: monkeypatch.setattr(live.segment, "read_frames", fail),
            lambda: world.send(ADVERT_OF_A_BETTER),
        )

    assert world.ran == ["down"]


def test_without_scripts(world: World) -> None:
    """Something else adds the address; it is announced at once."""
    live = Live("-z")

    assert live.run(live.says(MASTER), after(0.1), kill(signal.SIGQUIT)) is None
    heard = world.heard()
    assert "arp" in heard
    assert heard[-1] == FAREWELL


def test_a_better_master(world: World) -> None:
    """One last advert, then BACKUP and the down script."""
    live = Live(f"-u {world.up} -d {world.down}")

    live.run(
        live.says(MASTER),
        lambda: world.send(ADVERT_OF_A_BETTER),
        live.says(BACKUP, "Preferred master advertised", BACKUP),
    )

    assert live.said("Non-preferred") == 0


@pytest.mark.parametrize("is_new", [False, True])
def test_another_form_of_the_digest(
    world: World,
    recorded: list[RecordedGroup],
    monkeypatch: pytest.MonkeyPatch,
    is_new: bool,
) -> None:
    """A master shows its peer at once that it signs in the peer's form from now on."""
    live = Live("-z")
    monkeypatch.setattr(live.driver._egress, "heed", lambda _: is_new)

    live.run(
        live.says(MASTER),
        lambda: world.send(ADVERT_OF_A_WORSE),
        live.says("Non-preferred"),
    )

    [group] = recorded
    steps = [step for step in group.steps if isinstance(step.event, FormChanged)]
    assert [len(step.actions) for step in steps] == [1] * is_new


def test_frames_of_a_slow_start(world: World, recorded: list[RecordedGroup]) -> None:
    """Adverts that came before the start do not count, and leave room for the next."""
    live = Live("-r 200")
    for _ in range(9):
        world.send(ADVERT_OF_A_BETTER)
        time.sleep(0.02)

    def heard() -> int:
        [group] = recorded
        return sum(isinstance(step.event, AdvertReceived) for step in group.steps)

    def play() -> None:
        live.says(BACKUP)()
        assert heard() == 0
        world.send(ADVERT_OF_A_BETTER)
        wait_for(lambda: heard() == 1, "the next advert")

    live.run(play)


@pytest.mark.parametrize("mode", ["detect", "enforce"])
def test_an_old_advert(world: World, mode: str) -> None:
    """It is logged, obeyed or not, and a hint tells its sender what to count beyond."""
    live = Live(f"-r 200 --replay-guard {mode}")
    hints: list[Advert] = []

    def hear() -> bool:
        world.far.setblocking(False)
        while True:
            try:
                data = world.far.recv(2000)
            except BlockingIOError:
                return bool(hints)
            advert = decode_advert(data[34:]) if data[23:24] == b"\x70" else None
            if advert is not None and advert.type == 2:
                hints.append(advert)
                assert data[30:34] == LOWER.packed

    def send() -> None:
        world.send(OLD_ADVERT)
        wait_for(hear)

    live.run(live.says(BACKUP), send, live.says("Old advert from 10.1.1.4"))

    outcome = {"detect": "obeyed", "enforce": "ignored"}[mode]
    assert live.said("Old advert from 10.1.1.4 (00:00:5e:00:00:07)") == 1
    assert live.said(f"went back; {outcome}") == 1
    [hint] = hints
    stamp = split(hint.counter)
    assert stamp is not None
    assert stamp[1] == 3
    assert stamp[0] > 6 * 365 * 86_400 * 32


def test_frames_that_move_nothing(world: World) -> None:
    """Each is logged once; frames of another protocol are not looked at."""
    live = Live("")

    def send() -> None:
        for _ in range(10):
            world.send(FORGED)
            world.send(frame(b"short"))

    live.run(live.says(MASTER), send, live.says("Bad digest"), after(0.1))

    assert live.said("Bad digest") == 1
    assert live.said("Bogus size") == 1


def test_a_pulled_cable(world: World) -> None:
    """BACKUP at once, no promotion while deaf, and a full wait on return."""
    live = Live("")

    live.run(
        live.says(MASTER),
        lambda: ip("link set b0 down"),
        live.says("a0 has no carrier", BACKUP),
        after(0.3),
        lambda: live.said(MASTER) == 1 or pytest.fail("promoted while deaf"),
        lambda: ip("link set b0 up"),
        live.says("a0 can be used again", MASTER),
    )


def test_a_start_without_carrier(world: World) -> None:
    """It waits in BACKUP until it can hear."""
    ip("link set b0 down")
    live = Live("")

    live.run(
        live.says("a0 has no carrier", BACKUP),
        after(0.3),
        lambda: live.said(MASTER) == 0 or pytest.fail("promoted while deaf"),
        lambda: ip("link set b0 up"),
        live.says(MASTER),
    )


def test_ignoring_the_link(world: World) -> None:
    """With -S it stays master on a dead cable, and failing to send does not end it."""
    live = Live("-S")

    live.run(
        live.says(MASTER),
        lambda: ip("link set a0 down"),
        live.says("write() has failed: "),
        lambda: ip("link set a0 up"),
        world.heard,
        lambda: wait_for(lambda: (0, 8) in world.heard(), "its own skew again"),
    )

    assert live.said("write() has failed") == 1
    assert live.said("Switching to state") == 2


def test_an_address_that_was_taken_away(world: World) -> None:
    """An administrator or DHCP removes it by mistake; the master adds it again."""
    live = Live(f"-u {world.up} -d {world.down}")

    live.run(
        live.says(MASTER),
        lambda: wait_for(world.has_address),
        after(0.1),
        lambda: ip("address delete 10.1.1.252/32 dev a0"),
        live.says("is no longer on a0", "was removed while this host is master"),
        lambda: wait_for(world.has_address),
    )


def test_a_rival(world: World, recorded: list[RecordedGroup]) -> None:
    """A host that claims our address is named and answered; the up script is told.

    The adverts of the loop do not change.
    """
    told = world.directory / "told"
    up = world.script("up", f'echo "$CARPPCAP_CAUSE" >> {told}\n{ADD}')
    live = Live(f"-u {up} -d {world.down} --on-conflict script --announce-interval 0")
    claim = build_announcement(b"\2\0\0\0\0\x09", VIP)

    live.run(
        live.says(MASTER),
        lambda: wait_for(world.has_address),
        after(0.3),  # It has been announced twice.
        world.heard,
        lambda: world.send(build_announcement(b"\2\0\0\0\0\x09", LOWER)),
        lambda: world.send(claim),
        live.says("Another host (02:00:00:00:00:09) answers for 10.1.1.252, while "),
        lambda: wait_for(lambda: "rival" in told.read_text(), "the up script"),
        after(0.1),
        kill(signal.SIGUSR1),
        live.says("MASTER on a0 id 7, conflicts: 1"),
    )

    assert world.heard().count("arp") == 1
    assert told.read_text() == "master_down\nrival\n"
    assert live.said("Switching to state") == 2
    [group] = recorded
    assert sum(isinstance(step.event, RivalHeard) for step in group.steps) == 1


def test_what_a_script_about_a_rival_takes_away(world: World) -> None:
    """It may take the address away and add it again without consequences.

    If the address is missing at the end of the script, it is taken again.
    """
    up = world.script(
        "up", f'[ "$CARPPCAP_CAUSE" = rival ] && {DELETE}; sleep .2; {ADD}'
    )
    live = Live(f"-u {up} -d {world.down} --on-conflict script --announce-interval 0")
    claim = build_announcement(b"\2\0\0\0\0\x09", VIP)

    live.run(
        live.says(MASTER),
        lambda: wait_for(world.has_address),
        after(0.3),
        lambda: world.send(claim),
        live.says("Another host", "is no longer on a0"),
        after(0.5),
    )

    assert world.ran[:3] == ["down", "up", "up"]
    assert live.said("Switching to state") == 2
    assert live.said("adding it again") == 0


def test_a_flood(world: World) -> None:
    """Forged adverts from everywhere: our adverts go on, and the log stays short."""
    live = Live("-b 1 -k 0 -r 1")
    sources = [
        frame(
            payload(config(source=LOWER), digest=os.urandom(20)), source=LOWER + number
        )
        for number in range(2000)
    ]
    heard: list[str | tuple[int, int]] = []

    def flood() -> None:
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            for data in sources[:200]:
                world.send(data)
            sources[:] = sources[200:] + sources[:200]
            heard.extend(world.heard())

    live.run(live.says(MASTER), flood)

    assert heard.count((1, 0)) >= 1
    assert live.said("Bad digest") < 300
    assert live.said("narrowing the capture filter") == 1


class SlowLog(MemoryLog):
    """A log that takes its time over the status line, and with it the daemon's."""

    is_slow = threading.Event()

    def write(self, level: Level, text: str, translated: str | None = None) -> None:
        super().write(level, text, translated)
        if "on a0 id 7" in self.texts[-1]:
            self.is_slow.set()
            time.sleep(0.5)


def test_held_up(world: World) -> None:
    """Frames were lost, so the silence of the master proves nothing."""
    log = SlowLog()
    live = Live("-r 10", log)  # master after 312 ms

    def fill_the_ring() -> None:
        log.is_slow.wait(10)
        for _ in range(40_000):
            world.send(FORGED)

    live.run(
        live.says(BACKUP),
        kill(signal.SIGUSR1),
        fill_the_ring,
        live.says("Frames were lost while this process was stalled", MASTER),
    )


@pytest.mark.parametrize(("flags", "ended_by"), [("", signal.SIGTERM), ("-z", None)])
def test_ignored_signals(
    world: World, flags: str, ended_by: signal.Signals | None
) -> None:
    """A signal that was ignored at the start stays ignored, unless -z is given."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    live = Live(flags)

    assert live.run(live.says(BACKUP), kill(signal.SIGHUP), after(0.2)) is ended_by


def test_a_kernel_that_does_not_answer(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address cannot be looked for, so the exit status of the script counts."""
    live = Live(f"-u {world.script('up', 'exit 1')} -d {world.down}")

    def refuse(wanted: object) -> None:
        raise OSError(105, "No buffer space available")

    monkeypatch.setattr(live.segment.interface, "held", refuse)

    live.run(live.says(MASTER, "exited with code 1", "stepping aside", BACKUP))


def test_nothing_is_left_open(world: World) -> None:
    """No descriptor is left after the end, or after many changes of the interface."""

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    live = Live(f"-u {world.up} -d {world.down}")
    during: list[int] = []

    def flap() -> None:
        during.append(descriptors())
        for _ in range(10):
            ip("link delete a0")
            make_link()
        ip("link set a0 up")

    live.run(
        live.says(BACKUP),
        flap,
        live.says("a0 is gone", "a0 can be used again"),
        after(0.2),
        lambda: during.append(descriptors()),
    )

    assert during[1] <= during[0]
    assert descriptors() == before


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize(
    ("flags", "actions", "refused", "permits"),
    [
        pytest.param("", [ADVERT, ADVERT], 0, True, id="all-left"),
        pytest.param("", [ADVERT, ADVERT], 1, True, id="one-left"),
        pytest.param("", [ADVERT, ADVERT], 2, False, id="none-left"),
        pytest.param("--peer 10.1.1.77", [ADVERT], 0, True, id="dead-peer"),
        pytest.param("", [AnnounceAddresses()], 0, False, id="no-advert"),
        pytest.param("", [], 0, False, id="nothing"),
    ],
)
def test_adverts_that_permit_to_keep_the_addresses(
    monkeypatch: pytest.MonkeyPatch,
    flags: str,
    actions: list[SendAdvert | AnnounceAddresses],
    refused: int,
    permits: bool,
) -> None:
    """Those that the kernel did not refuse, and those that are for a dead peer only."""
    live = Live(flags)
    wills: list[list[bytes] | None] = []
    failures = [SendError("no room")] * refused

    def send(frame: bytes) -> None:
        if failures:
            raise failures.pop()

    def note(step: Step, will: Callable[[], list[bytes]] | None) -> None:
        wills.append(None if will is None else will())

    driver = live.driver
    with closing(live.daemon):
        monkeypatch.setattr(live.segment.interface, "send", send)
        monkeypatch.setattr(driver.vips, "note", note)
        for action in actions:
            driver.transmit(action, 0)
        for _ in range(2):
            driver.record(Step(0, "a0", 7, Tick(), (), State.MASTER, None))

    first, second = wills
    assert second is None
    assert (first is not None) is permits
    if first:
        [advert] = [decode_advert(each[34:]) for each in first]
        assert isinstance(advert, Advert)
        assert (advert.advbase, advert.advskew) == FAREWELL


@pytest.mark.usefixtures("world")
def test_no_last_will() -> None:
    """--no-farewell holds for that of the keeper, too."""
    live = Live("--no-farewell")
    with closing(live.daemon):
        assert live.driver._last_will(0) == []
