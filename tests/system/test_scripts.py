"""The up and down scripts as processes: order, time limits and what they inherit."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from carppcap.election.script_queue import Job, Outcome
from carppcap.system.scripts import RETRY_NS, ScriptRunner
from tests.shell import environment, wait_for

UP, DOWN = Job.ACQUIRE, Job.RELEASE


class Scripts:
    """A directory of scripts, and a runner that is tended until all have ended."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notes = directory / "notes"
        self.notes.touch()

    def write(self, name: str, body: str, *, shebang: str = "#!/bin/sh\n") -> str:
        path = self.directory / name
        path.write_text(f"{shebang}{body}\n")
        path.chmod(0o755)
        return str(path)

    def noting(self, name: str, body: str = "") -> str:
        """Make a script that notes its name and arguments, then runs `body`."""
        return self.write(name, f'echo "{name} $*" >> {self.notes}\n{body}')

    def held(self, name: str) -> tuple[str, Callable[[], None]]:
        """Make a script that waits to be told to end; return it and the teller."""
        gate = self.directory / f"{name}.gate"
        os.mkfifo(gate)
        path = self.noting(name, f"read word < {gate}")

        def let_go() -> None:
            gate.write_text("go\n")

        return path, let_go

    @property
    def noted(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


def runner(
    up: str | None = None, down: str | None = None, *, timeout_ns: int = 0
) -> ScriptRunner:
    arguments = ["eth0", "10.1.1.252", "rack 4"]
    return ScriptRunner(up, down, arguments, timeout_ns, {"PLACE": "here"})


def settle(runner: ScriptRunner, now: int = 0) -> list[Outcome]:
    """Tend the scripts until none runs; return every outcome."""

    def is_over() -> bool:
        runner.reap(now)
        return not runner.command

    wait_for(is_over, "the scripts")
    outcomes = list(runner.outcomes)
    runner.outcomes.clear()
    assert runner.idle
    return outcomes


def codes(outcomes: list[Outcome]) -> list[tuple[Job, int | None]]:
    return [(outcome.job, outcome.exit_code) for outcome in outcomes]


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        ([UP], [UP]),
        ([UP, DOWN], [UP, DOWN]),
        ([UP, DOWN, UP], [UP]),
        ([UP, DOWN, UP, DOWN], [UP, DOWN]),
        ([DOWN, UP, DOWN, UP, DOWN], [DOWN]),
    ],
)
def test_order(scripts: Scripts, requests: list[Job], expected: list[Job]) -> None:
    """They run one after the other; a pair that cancels out meanwhile is not run."""
    up, let_up = scripts.held("up")
    down, let_down = scripts.held("down")
    subject = runner(up, down)
    for job in requests:
        subject.request(job, 0, {})

    for job in expected:
        wait_for(lambda: subject.command)
        assert subject.command[0] == (up if job is UP else down)
        (let_up if job is UP else let_down)()
        before = len(subject.outcomes)
        while len(subject.outcomes) == before:
            subject.reap(0)
            time.sleep(0.001)

    assert codes(settle(subject)) == [(job, 0) for job in expected]
    assert [line.split()[0] for line in scripts.noted] == [j.value for j in expected]
    assert [command[0] for command in subject.started] == [
        up if job is UP else down for job in expected
    ]


def test_arguments(scripts: Scripts) -> None:
    """They are interface, address and extra parameter, which may contain a space."""
    up = scripts.write("up", f'printf "%s|" "$@" > {scripts.notes}')
    subject = runner(up)

    subject.request(UP, 0, {})

    assert list(subject.started) == [(up, "eth0", "10.1.1.252", "rack 4")]
    assert settle(subject) == [Outcome(UP, subject.started[0], 0)]
    assert scripts.noted == ["eth0|10.1.1.252|rack 4|"]


def saying_why(scripts: Scripts, name: str) -> tuple[str, Callable[[], None]]:
    """Make a script that notes its environment, and ends when told to."""
    gate = scripts.directory / f"{name}.gate"
    os.mkfifo(gate)
    note = f'echo "{name} $PLACE $OCCASION $HOME" >> {scripts.notes}'
    path = scripts.write(name, f"{note}\nread word < {gate}")

    def let_go() -> None:
        gate.write_text("go\n")

    return path, let_go


@pytest.mark.parametrize(
    ("requests", "told"),
    [
        ("up1", "up1"),
        ("up1 down2", "up1 down2"),
        ("up1 down2 up3", "up1"),
        ("up1 down2 up3 down4", "up1 down4"),
        ("up1 up2", "up1 up2"),
        ("up1 up2 up3", "up1 up2"),
        ("down1 up2 down3 up4", "down1 up4"),
    ],
)
def test_each_script_is_told_its_own_occasion(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch, requests: str, told: str
) -> None:
    """A script that had to wait gets the occasion of its own request, not the last."""
    monkeypatch.setenv("HOME", "/nowhere")
    up, let_up = saying_why(scripts, "up")
    down, let_down = saying_why(scripts, "down")
    subject = runner(up, down)
    for word in requests.split():
        job = Job(word[:-1])
        subject.request(job, 0, {"OCCASION": word[-1]})

    while subject.command:
        let_go = let_up if subject.command[0] == up else let_down
        let_go()
        before = len(subject.outcomes)
        while len(subject.outcomes) == before:
            subject.reap(0)
            time.sleep(0.001)

    assert scripts.noted == [
        f"{word[:-1]} here {word[-1]} /nowhere" for word in told.split()
    ]


def test_a_postponed_script_keeps_its_occasion(scripts: Scripts) -> None:
    """Requests that come meanwhile do not change it."""
    down = scripts.write("down", f"echo $OCCASION >> {scripts.notes}")
    subject = runner(None, down)
    with no_descriptors(3):
        subject.request(DOWN, 0, {"OCCASION": "first"})
        subject.request(DOWN, 0, {"OCCASION": "second"})
    subject.meet_deadline(RETRY_NS)

    assert codes(settle(subject)) == [(DOWN, 0), (DOWN, 0)]
    assert scripts.noted == ["first", "second"]


@pytest.mark.parametrize(
    ("body", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", -9), ("false", 1)]
)
def test_exit_code(scripts: Scripts, body: str, code: int) -> None:
    """It is that of the script, or the negative number of the signal that ended it."""
    subject = runner(scripts.write("up", body))
    subject.request(UP, 0, {})

    [outcome] = settle(subject)

    assert outcome.exit_code == code
    assert outcome.succeeded is (code == 0)
    assert not outcome.overdue


def test_no_script() -> None:
    """Without a script the outcome is a success, and nothing is started."""
    subject = runner(None, None)
    subject.request(UP, 0, {})
    subject.request(DOWN, 0, {})

    outcomes = settle(subject)

    assert codes(outcomes) == [(UP, None), (DOWN, None)]
    assert all(outcome.succeeded for outcome in outcomes)
    assert not subject.started


def test_scripts_that_cannot_run(scripts: Scripts) -> None:
    """The outcome has the error at once, and the script that waits is run."""
    not_executable = scripts.write("plain", "true")
    os.chmod(not_executable, 0o644)
    broken = scripts.write("broken", "", shebang="#!/nonexistent/sh\n")
    cases = {
        "/nonexistent/up": "No such file or directory",
        not_executable: "Permission denied",
        scripts.write("bare", "true", shebang=""): "Exec format error",
        broken: "No such file or directory",
        str(scripts.directory): "Permission denied",
        "a\0b": "embedded null byte",
    }
    for script, why in cases.items():
        subject = runner(script, scripts.noting("down"))
        subject.request(UP, 0, {})
        subject.request(DOWN, 0, {})

        outcomes = settle(subject)

        assert codes(outcomes) == [(UP, None), (DOWN, 0)], script
        assert outcomes[0].error == why
        assert not outcomes[0].succeeded


def test_time_limit(scripts: Scripts) -> None:
    """The script and all it started are killed at the deadline, not before."""
    child = scripts.directory / "child"
    up = scripts.noting("up", f"sleep 1000 & echo $! > {child}\nwait")
    subject = runner(up, timeout_ns=5)
    subject.request(UP, 100, {})
    wait_for(lambda: child.exists() and child.read_text().endswith("\n"))

    deadlines = [subject.deadline]
    subject.meet_deadline(104)
    subject.reap(104)
    assert subject.command

    subject.meet_deadline(105)
    deadlines.append(subject.deadline)

    assert deadlines == [105, None]  # or the loop would spin until it has ended
    assert settle(subject) == [
        Outcome(UP, subject.started[0], -signal.SIGKILL, overdue=True)
    ]
    pid = int(child.read_text())
    wait_for(lambda: not is_alive(pid), "the end of the script's own child")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_no_time_limit(scripts: Scripts) -> None:
    """By default a script takes as long as it likes."""
    up, let = scripts.held("up")
    subject = runner(up)
    subject.request(UP, 0, {})

    subject.meet_deadline(1 << 62)

    assert subject.deadline is None
    let()
    assert codes(settle(subject)) == [(UP, 0)]


def test_kill(scripts: Scripts) -> None:
    """A script is killed on demand; without one nothing happens."""
    up, _ = scripts.held("up")
    subject = runner(up, scripts.noting("down"))
    subject.kill()
    subject.request(UP, 0, {})
    subject.request(DOWN, 0, {})

    subject.kill()
    subject.kill()

    assert codes(settle(subject)) == [(UP, -signal.SIGKILL), (DOWN, 0)]
    subject.kill()


def test_an_ended_script_is_no_zombie(scripts: Scripts) -> None:
    """Nothing of it is left once its outcome is known."""
    subject = runner(scripts.write("up", f"echo $$ > {scripts.notes}"))
    subject.request(UP, 0, {})
    settle(subject)

    assert not Path(f"/proc/{scripts.noted[0]}").exists()


def test_reap_without_script() -> None:
    """Without a script nothing happens: SIGCHLD may be of another child."""
    subject = runner()

    subject.reap(0)
    subject.meet_deadline(0)

    assert subject.idle
    assert subject.command == ()


def test_clean_hands(scripts: Scripts) -> None:
    """A script inherits no socket, no terminal, and no signal that we ignore."""
    up = scripts.write(
        "up",
        f"exec > {scripts.notes}\n"
        "ls -l /proc/$$/fd\n"
        # Read by the shell itself: while it starts something it blocks signals.
        'while read -r line; do echo "$line"; done < /proc/$$/status\n'
        "cut -d ' ' -f 6 /proc/$$/stat\n"
        "echo $$",
    )
    with socket.socket(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
        subject = runner(up)
        subject.request(UP, 0, {})
        settle(subject)

    *lines, session, pid = scripts.noted
    opened = [line.partition(" -> ")[2] for line in lines if " -> " in line]
    assert len(opened) == 4
    assert {"/dev/null", str(scripts.notes), up} < set(opened)
    # What was ignored before Python was there stays so, by make or a shell's "&".
    status = Path("/proc/self/status").read_text()
    ignored = int(status.partition("SigIgn:\t")[2].split()[0], 16)
    for ours in (signal.SIGPIPE, signal.SIGXFSZ):
        ignored &= ~(1 << ours - 1)
    assert {f"SigBlk:\t{0:016x}", f"SigIgn:\t{ignored:016x}"} < set(lines)
    assert session == pid


RELATIVE = """
import os, shutil, sys
from carppcap.election.script_queue import Job
from carppcap.system.scripts import ScriptRunner
os.chdir(sys.argv[1])
if sys.argv[2] == "gone":
    shutil.rmtree(sys.argv[1])
runner = ScriptRunner(sys.argv[3], None, [], 0, {})
os.chdir("/")
runner.request(Job.ACQUIRE, 0, {})
while runner.command:
    runner.reap(0)
print(runner.outcomes[0].exit_code, runner.outcomes[0].error)
"""


@pytest.mark.parametrize(
    ("directory", "name", "expected"),
    [
        ("there", "up.sh", "0 "),
        ("there", "./up.sh", "0 "),
        ("there", "/bin/true", "0 "),
        ("gone", "/bin/true", "0 "),
        ("gone", "up.sh", "None No such file or directory"),
    ],
)
def test_working_directory(
    scripts: Scripts, directory: str, name: str, expected: str
) -> None:
    """A relative path starts at the first working directory, also after `chdir`."""
    scripts.write("up.sh", "true")
    ended = subprocess.run(
        [sys.executable, "-c", RELATIVE, str(scripts.directory), directory, name],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )

    assert ended.stdout == f"{expected}\n"


@contextmanager
def no_descriptors(limit: int | None = None) -> Iterator[None]:
    """Allow no more descriptors than `limit`: by default, those open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit is None:
        limit = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    taken = []
    with suppress(OSError):
        while True:
            taken.append(os.dup(0))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


def test_no_descriptor_left(scripts: Scripts) -> None:
    """Both scripts run on the reserved descriptors, again and again."""
    subject = runner(scripts.noting("up"), scripts.noting("down"))
    outcomes: list[Outcome] = []
    with no_descriptors():
        for job in (UP, DOWN, UP, DOWN):
            subject.request(job, 0, {})
            outcomes += settle(subject)
    subject.close()

    assert codes(outcomes) == [(UP, 0), (DOWN, 0), (UP, 0), (DOWN, 0)]


def test_postponed(scripts: Scripts) -> None:
    """A down script without descriptors is retried until it runs."""
    subject = runner(scripts.noting("up"), scripts.noting("down"))
    with no_descriptors(3):
        subject.request(UP, 50, {})
        subject.request(DOWN, 100, {})
        deadlines = [subject.deadline]
        subject.meet_deadline(RETRY_NS + 99)
        subject.reap(RETRY_NS + 100)
        deadlines.append(subject.deadline)
        subject.meet_deadline(RETRY_NS + 100)
        deadlines.append(subject.deadline)

    [failed] = subject.outcomes
    assert (failed.job, failed.error) == (UP, "Too many open files")
    assert deadlines == [RETRY_NS + 100, RETRY_NS + 100, 2 * RETRY_NS + 100]
    assert [(p.command[0], p.why) for p in subject.postponed] == [
        (str(scripts.directory / "down"), "Too many open files")
    ]
    assert subject.command == subject.postponed[0].command
    assert not subject.idle

    subject.meet_deadline(2 * RETRY_NS + 100)

    assert codes(settle(subject)) == [(UP, None), (DOWN, 0)]
    assert [command[0] for command in subject.started] == [
        str(scripts.directory / name) for name in ("up", "down")
    ]
    assert subject.deadline is None


def test_postponed_and_needed_no_more(scripts: Scripts) -> None:
    """If the addresses are wanted again, the down script is not run any more."""
    subject = runner(scripts.noting("up"), scripts.noting("down"))
    with no_descriptors(3):
        subject.request(DOWN, 0, {})
    subject.request(UP, 0, {})

    assert codes(settle(subject)) == [(UP, 0)]
    subject.request(DOWN, 0, {})
    assert codes(settle(subject)) == [(DOWN, 0)]


def test_postponed_and_given_up(scripts: Scripts) -> None:
    """`kill` gives the postponed script up, with the error as its outcome."""
    subject = runner(scripts.noting("up"), scripts.noting("down"))
    with no_descriptors(3):
        subject.request(DOWN, 0, {})
    subject.kill()

    [outcome] = settle(subject)
    assert (outcome.job, outcome.exit_code) == (DOWN, None)
    assert outcome.error == "Too many open files"
    assert not outcome.succeeded
    subject.request(UP, 0, {})
    assert codes(settle(subject)) == [(UP, 0)]


def test_the_whole_session_is_killed(scripts: Scripts) -> None:
    """A process in another group of the session is killed, one outside is not."""
    pids = scripts.directory / "pids"
    up = scripts.write(
        "up",
        f"setsid sleep 1000 & echo $! >> {pids}\n"
        "set -m\n"
        f"sleep 1000 & echo $! >> {pids}\n"
        "wait",
        shebang="#!/bin/bash\n",
    )
    subject = runner(up)
    subject.request(UP, 0, {})
    wait_for(lambda: pids.exists() and pids.read_text().count("\n") == 2)
    outside, inside = map(int, pids.read_text().split())
    wait_for(lambda: os.getsid(outside) == outside)
    assert os.getpgid(inside) == inside

    subject.kill()

    assert codes(settle(subject)) == [(UP, -signal.SIGKILL)]
    wait_for(lambda: not is_alive(inside))
    assert is_alive(outside)
    os.kill(outside, signal.SIGKILL)
