"""The process: what ps shows of it, its background, its signals, its pid file."""

import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from carppcap.errors import LinkError
from carppcap.system.process import (
    PidFile,
    SignalPipe,
    Verdict,
    allow_descriptors,
    become_daemon,
    check_pid_file,
)
from tests.shell import environment, wait_for


def python(
    script: str, *arguments: str, shell: str = 'exec "$@"', **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `script` to its end, started by the shell command `shell`."""
    return subprocess.run(
        ["sh", "-c", shell, "sh", sys.executable, "-c", script, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
        env=environment(**variables),
    )


FILL = """
import os, socket, sys
from carppcap.system.process import fill_standard_streams
fill_standard_streams()
opened = socket.socket()
with open(sys.argv[1], "w") as file:
    for number in range(3):
        print(os.readlink(f"/proc/self/fd/{number}"), file=file)
        print(os.get_inheritable(number), file=file)
    print(opened.fileno() > 2, file=file)
"""


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-", "<&-", ""])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """No socket becomes the standard output of a script."""
    said = tmp_path / "said"

    python(FILL, str(said), shell=f'exec "$@" </dev/null {closed}')

    *streams, others = said.read_text().splitlines()
    assert len(streams) == 6
    assert streams[1::2] == ["True"] * 3
    assert others == "True"
    assert sum(link == "/dev/null" for link in streams[::2]) == max(
        1, closed.count("&") + (0 if "<" in closed else 1)
    )


HIDE = """
import sys
from carppcap.system.process import hide_from_ps
hide_from_ps(word.encode("utf-8", "surrogateescape") for word in sys.argv[1].split(","))
words = open("/proc/self/cmdline", "rb").read().split(bytes(1))[4:-1]
print(b" ".join(words).decode("latin-1"))
variables = open("/proc/self/environ", "rb").read().split(bytes(1))
found = sorted(v for v in variables if b"love" in v or b"_PASS=" in v)
print(b" ".join(found).decode("latin-1"))
"""


@pytest.mark.parametrize(
    ("secrets", "words", "shown"),
    [
        ("love", "-p love -x glove", "-p **** -x glove"),
        ("love", "-plove -Pzplove", "-p**** -Pzp****"),
        ("love", "--pass=love --pass love", "--pass=**** --pass ****"),
        ("love", "--pass=lovely lovely clove", "--pass=lovely lovely clove"),
        ("love", "-x=love --xparam=love", "-x=love --xparam=love"),
        ("one,two", "-p one --pass=two", "-p *** --pass=***"),
        ("a+b*", "-p a+b* aab", "-p **** aab"),
        ("", "-p love", "-p love"),
        ("-p", "-p -p", "** **"),
    ],
)
def test_hide_from_ps(secrets: str, words: str, shown: str) -> None:
    """The secret becomes stars of the same length, and nothing else changes."""
    ended = python(HIDE, f"{secrets},", *words.split())

    assert ended.stdout.splitlines()[0] == shown


def test_hide_from_ps_in_the_environment() -> None:
    """It is starred in its own variable, and in no other."""
    ended = python(HIDE, "love,", CARPPCAP_PASS="love", MY_PASS="love", PASS2="xlove")

    assert ended.stdout.splitlines()[1] == "CARPPCAP_PASS=**** MY_PASS=love PASS2=xlove"


BACKGROUND = """
import os, sys
from carppcap.system.process import become_daemon
starter = os.getpid()
verdict = become_daemon()
code = sys.argv[1]
with open(sys.argv[2], "w") as file:
    print(os.getpid() != starter, os.getsid(0) != os.getpid(), file=file)
    if code != "silent":
        verdict.report(int(code))
        verdict.report(9)
    print(os.getcwd(), file=file)
    for number in range(3):
        print(os.readlink(f"/proc/self/fd/{number}"), file=file)
    print("end", file=file)
"""


@pytest.mark.parametrize(("code", "status"), [("0", 0), ("3", 3), ("silent", 2)])
def test_background(tmp_path: Path, code: str, status: int) -> None:
    """The parent gets the status; the child detaches from the terminal on success."""
    said = tmp_path / "said"

    ended = python(BACKGROUND, code, str(said))

    assert ended.returncode == status
    wait_for(lambda: said.exists() and said.read_text().endswith("end\n"))
    is_daemon, directory, *streams, _ = said.read_text().splitlines()
    assert is_daemon == "True True"
    if status == 0:
        assert directory == os.getcwd()  # until the paths of scripts are known
        assert streams == ["/dev/null"] * 3
    else:
        assert directory == os.getcwd()
        assert streams[2] != "/dev/null"


REAPED = """
import ctypes, os, sys, time
from carppcap.system.process import become_daemon
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
if os.fork() == 0:
    verdict = become_daemon()
    verdict.report(0)
    os._exit(0)
for _ in range(2):
    print(os.wait()[0] > 0)
try:
    os.wait()
except ChildProcessError:
    print("no more")
"""


def test_background_leaves_one_process() -> None:
    """An init that is slow to reap shows no second one of our name."""
    ended = python(REAPED)

    assert ended.stdout.splitlines() == ["True", "True", "no more"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [("ucarp", "ucarp"), ("longer than it can be", "longer than it ")],
)
def test_process_name(name: str, shown: str) -> None:
    """As pgrep(1) sees it."""
    ended = python(
        "import sys\n"
        "from carppcap.system.process import set_process_name\n"
        "set_process_name(sys.argv[1])\n"
        "print(open('/proc/self/comm').read(), end='')\n",
        name,
    )

    assert ended.stdout == f"{shown}\n"


def test_a_parent_that_was_killed() -> None:
    """The daemon lives on if its parent is killed while it waits."""
    reading, writing = os.pipe()
    os.close(reading)

    Verdict(writing).report(1)

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.close(writing)


def test_no_more_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a process limit has the words of ucarp."""

    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)

    with pytest.raises(LinkError, match=r"^Unable to get in background: Resource temp"):
        become_daemon()


REAP = """
import os, subprocess, sys
from carppcap.system.process import reap_orphans
def children():
    with open("/proc/thread-self/children") as file:
        return [int(word) for word in file.read().split()]
pid = int(sys.argv[1]) or os.getpid()
os.getpid = lambda: pid
ended = [subprocess.Popen(["sh", "-c", f"exit {code}"]) for code in (3, 4)]
running = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
for process in ended:
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
left, own = ended
reap_orphans(spare={own.pid})
print(left.pid in children(), own.poll())
reap_orphans(spare=set())
running.stdin.close()
print(running.wait())
reap_orphans(spare=set())
"""


@pytest.mark.parametrize(("pid", "is_left"), [(1, False), (0, True)])
def test_what_scripts_left_behind(pid: int, is_left: bool) -> None:
    """Process 1 reaps it, and nothing else; others have an init for that."""
    ended = python(REAP, str(pid))

    assert (ended.stdout, ended.stderr) == (f"{is_left} 4\n0\n", "")


def test_pid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It exists while the process does, whatever its working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pid"
    path.write_text("an old one")

    with PidFile("x.pid"):
        content = path.read_text()
        monkeypatch.chdir("/")

    assert content == f"{os.getpid()}\n"
    assert not path.exists()


@pytest.mark.parametrize("other", ["4711\n", "\udc80", None])
def test_pid_file_of_another_process(tmp_path: Path, other: str | None) -> None:
    """A file that another process has overwritten or removed is left alone."""
    path = tmp_path / "x.pid"
    with PidFile(str(path)):
        if other is None:
            path.unlink()
        else:
            path.write_text(other, errors="surrogateescape")

    assert path.exists() is (other is not None)


@pytest.mark.parametrize("path", ["/nonexistent/x.pid", "/"])
def test_pid_file_that_cannot_be_written(path: str) -> None:
    """It is a `LinkError` with exit status 2, as for other files."""
    for attempt in (check_pid_file, PidFile):
        with pytest.raises(LinkError, match=f"^Unable to write {path}: ") as caught:
            attempt(path)

        assert caught.value.exit_status == 2


@pytest.mark.parametrize("content", ["4711\n", None])
def test_a_check_leaves_the_pid_file_as_it_is(
    tmp_path: Path, content: str | None
) -> None:
    """The file may belong to the daemon that is still running."""
    path = tmp_path / "x.pid"
    if content is not None:
        path.write_text(content)

    check_pid_file(str(path))

    assert (path.read_text() if path.exists() else None) == content


def test_pid_file_in_a_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory may have been removed before the start."""
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()

    with pytest.raises(LinkError, match=r"^Unable to write x.pid: No such file"):
        PidFile("x.pid")


@pytest.fixture
def pipe() -> Iterator[SignalPipe]:
    numbers = (signal.SIGUSR1, signal.SIGUSR2)
    before = [signal.getsignal(number) for number in numbers]
    opened = SignalPipe(numbers)
    yield opened
    opened.close()
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_signals(pipe: SignalPipe) -> None:
    """They make the pipe readable, and are read in their order."""
    assert pipe.read() == []
    os.kill(os.getpid(), signal.SIGUSR2)
    os.kill(os.getpid(), signal.SIGUSR1)

    ready, _, _ = select.select([pipe], [], [], 5)

    assert ready == [pipe]
    assert pipe.read() == [signal.SIGUSR2, signal.SIGUSR1]
    assert pipe.read() == []
    assert select.select([pipe], [], [], 0)[0] == []


def test_a_storm_of_signals(pipe: SignalPipe) -> None:
    """A full pipe blocks no signal, and works again after a read."""
    for _ in range(20_000):
        os.kill(os.getpid(), signal.SIGUSR1)
    while pipe.read():
        pass
    os.kill(os.getpid(), signal.SIGUSR2)

    assert pipe.read() == [signal.SIGUSR2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_end_by_signal(number: signal.Signals) -> None:
    """The exit status tells the signal, as if there had been no handler."""
    ended = python(
        "import signal, sys\n"
        "from carppcap.system.process import end_by_signal\n"
        "number = signal.Signals(int(sys.argv[1]))\n"
        "signal.signal(number, print)\n"
        "end_by_signal(number)\n"
        "print('still here')\n",
        str(number.value),
    )

    assert ended.returncode == -number
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("groups", "before", "after"),
    [(1, (1024, 4096), 1024), (200, (1024, 4096), 2512), (4000, (1024, 4096), 4096)],
)
def test_open_files_for_many_groups(
    monkeypatch: pytest.MonkeyPatch, groups: int, before: tuple[int, int], after: int
) -> None:
    """The soft limit is raised if that is needed, as far as it may be."""
    limits = [before]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))

    allow_descriptors(groups)

    assert limits[-1] == (after, before[1])
