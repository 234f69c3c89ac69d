"""The command: its output and exit status, above all for errors."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap import __version__
from carppcap.cli import main
from carppcap.options.table import OPTIONS
from carppcap.text import catalogues
from tests.options.test_command_line import BAD, WORDS
from tests.shell import (
    COMMAND,
    TIMEOUT_S,
    environment,
    make_link,
    network,
    run,
    wait_for,
)

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}: ")
COMPLETE = "-i no/0 -s 10.1.1.5 -v 7 -p love -a 10.1.1.252 -f none".split()
SCRIPTS = ["-u", "/bin/true", "-d", "/bin/true"]


def lines(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the lines on stderr, without their times."""
    return [STAMP.sub("", line) for line in ended.stderr.splitlines()]


@pytest.mark.parametrize(("arguments", "sentence"), BAD)
def test_bad_arguments(
    capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """One line on stderr, with our name, and status 1; nothing is even opened."""
    status = main([*COMPLETE, *arguments])

    assert status == 1
    captured = capfd.readouterr()
    assert captured.err == f"carppcap: {sentence}\n"
    assert captured.out == ""


def test_a_trailing_word(capfd: pytest.CaptureFixture[str]) -> None:
    """ucarp ignores it, and with it the misspelt option."""
    assert main([*COMPLETE, "k", "100"]) == 1

    expected = "carppcap: Unexpected argument: [k] (options only, see --help)\n"
    assert capfd.readouterr().err == expected


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "chekc x.toml --strict",
            "Unknown command: [chekc] (did you mean check?)",
        ),
        (
            "x.toml",
            (
                "Unknown command: [x.toml] (allowed: options, or run, init, check, "
                "convert, replay, simulate)"
            ),
        ),
        (
            "run -D x.toml",
            (
                "Usage: carppcap run FILE (as in carppcap.toml(5); options are keys "
                "of FILE, such as debug = true)"
            ),
        ),
    ],
)
def test_a_wrong_command(
    words: str, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """What is allowed there, and what was probably meant."""
    assert main(words.split()) == 1

    assert capfd.readouterr().err == f"carppcap: {sentence}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence", "status"),
    [
        ("-s 10.1.1.5", "You must supply a valid virtual host id (--vhid, 1-255)", 1),
        ("-v 7", "You must supply a password (--passfile or --pass)", 1),
        ("-v 7 -p 12345678901234567890", "Password too long: 20 bytes", 2),
        ("-v 7 -p x -b 0", "You must supply an advertisement time base", 1),
        ("-v 7 -p x", "You must supply a persistent source address (--srcip)", 1),
        ("-v 7 -p x -s 1.2.3.4", "You must supply a virtual host address (--addr)", 1),
        ("-v 7 -o /none -s 1.2.3.4", "unable to open passfile /none for reading: ", 1),
        ("-v 7 -p x -s 1.2.3.4 -a 1.2.3.5 -m 1.2.3.6", "1.2.3.6 is not a multi", 1),
        ("-v 7 -p x -s 1.2.3.4 -a 1.2.3.5", "Unable to open interface [no/0]", 2),
        (
            f"-v 7 -p x -s 1.2.3.4 -a 1.2.3.5 -i {'a' * 300}",
            f"Unable to open interface [{'a' * 300}]: no such interface",
            2,
        ),
    ],
)
@pytest.mark.parametrize("background", [[], ["-B"]], ids=["foreground", "background"])
def test_a_start_that_fails(
    arguments: str, sentence: str, status: int, background: list[str]
) -> None:
    """One line in the format of the log and ucarp's status, also with -B."""
    ended = run("-i", "no/0", "-f", "none", *SCRIPTS, *arguments.split(), *background)

    [line] = ended.stderr.splitlines()
    if status == 2 and sentence.startswith("Password"):
        assert line.startswith(f"carppcap: {sentence}")
    else:
        assert STAMP.match(line)
        assert STAMP.sub("", line).startswith(f"[ERROR] {sentence}")
    assert ended.returncode == status
    assert ended.stdout == ""


def test_warnings_of_ucarp() -> None:
    """Missing scripts are usually a mistake."""
    ended = run(*COMPLETE, "-r", "1")

    assert lines(ended)[:-1] == [
        "[WARNING] Warning: no script called when going up",
        "[WARNING] Warning: no script called when going down",
        "[WARNING] Warning: with --deadratio 1 a single late advert is a fail-over",
    ]


GERMAN = {"LC_ALL": "de_DE.UTF-8", "LANGUAGE": ""}


def test_people_read_their_language_and_programs_english() -> None:
    """Help and errors are translated; lines that log watchers match are not."""
    catalogues.compile_all()

    assert run("--help", **GERMAN).stdout.startswith("Aufruf: carppcap [OPTIONEN]")
    refused = run(*COMPLETE, "--bogus", **GERMAN)
    assert refused.stderr == "carppcap: Unbekannte Option: --bogus (siehe --help)\n"
    warnings = [
        "[WARNING] Warning: no script called when going up",
        "[WARNING] Warning: no script called when going down",
    ]
    english = "[ERROR] Unable to open interface [no/0]: no such interface"
    assert lines(run(*COMPLETE, **GERMAN)) == [*warnings, english]

    german = "Schnittstelle [no/0] kann nicht geöffnet werden: es gibt sie nicht"
    shown = [STAMP.sub("", line) for line in on_a_terminal(*COMPLETE, **GERMAN)]
    assert shown == [*warnings, f"[ERROR] {german}"]


def on_a_terminal(*arguments: str, **variables: str) -> list[str]:
    """Return the lines that the command prints on a terminal of its own."""
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        subprocess.run(
            [*COMMAND, *arguments],
            check=False,
            timeout=20,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        return terminal.read(4096).decode().splitlines()


@pytest.mark.parametrize("flag", ["--vmac", "--own-addresses"])
def test_an_interface_of_our_own_needs_no_scripts(flag: str) -> None:
    """No warning where carppcap itself adds and removes the addresses."""
    assert lines(run(*COMPLETE, flag))[:-1] == []


def test_own_addresses_without_permission() -> None:
    """One line, before anything else happens."""
    unprivileged = ["unshare", "--user", *COMMAND]
    ended = run(*COMPLETE, "--own-addresses", command=unprivileged)

    assert ended.returncode == 2
    [line] = lines(ended)
    assert line.startswith("[ERROR] Unable to set addresses: Operation not permitted")
    assert line.endswith("(--own-addresses needs CAP_NET_ADMIN)")


@pytest.mark.parametrize(
    ("flags", "seconds"), [("", ""), ("-r 1", "0.9"), ("-b 0 -k 64", "0.7")]
)
def test_own_addresses_with_an_overlap(flags: str, seconds: str) -> None:
    """Said, and how long it may take."""
    shown = lines(run(*COMPLETE, "--own-addresses", *flags.split()))
    said = [line for line in shown if f"may have the address for {seconds} s" in line]

    assert len(said) == bool(seconds)


@pytest.mark.parametrize(
    ("flags", "warned"), [("-b 255 -k 255", True), ("-b 255", False), ("-k 255", False)]
)
def test_a_farewell_without_end(flags: str, warned: bool) -> None:
    """An interval of 255/255 tells every peer to take over, with every advert."""
    ended = run(*COMPLETE, *SCRIPTS, *flags.split())

    warning = "[WARNING] Warning: with an interval of 255/255 each advert is a farewell"
    assert lines(ended)[:-1] == [warning] * warned


@pytest.mark.parametrize("name", [".", "../..", "a b", ":1", "\n", "f\udcfc" * 8])
def test_impossible_interface_names(name: str) -> None:
    """The error names the interface; it is not waited for."""
    ended = run(*COMPLETE, *SCRIPTS, "-i", name)

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert "]: no such interface" in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], [*COMPLETE, "-h"]])
def test_help(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Also without arguments, as with ucarp; with every option, in 80 columns."""
    assert main(arguments) == 0

    shown = capfd.readouterr().out
    assert shown.startswith("Usage: carppcap [OPTIONS]\n")
    for row in OPTIONS:
        assert f"  -{row.short}, --{row.long}" in shown or not row.short
        assert f"  --{row.long}" in shown or row.short
    assert "/etc/vip-up.sh eth0 10.1.1.252" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_version(capfd: pytest.CaptureFixture[str]) -> None:
    """One line, for scripts."""
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"carppcap {__version__}\n"


@pytest.fixture
def named_ucarp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/sbin/ucarp", "--bogus"])


@pytest.mark.usefixtures("named_ucarp")
def test_under_the_name_of_ucarp(capfd: pytest.CaptureFixture[str]) -> None:
    """It uses that name and has no subcommands."""
    assert main() == 1
    assert capfd.readouterr().err.startswith("ucarp: Unknown option: --bogus")

    assert main(["replay", "x.pcap"]) == 1
    assert "Unexpected argument: [replay]" in capfd.readouterr().err

    assert main(["-h"]) == 0
    assert "Usage: ucarp [OPTIONS]" in capfd.readouterr().out


def test_replay(capfd: pytest.CaptureFixture[str]) -> None:
    """The first word decides."""
    assert main(["replay", "/nonexistent.pcap"]) == 2
    assert "/nonexistent.pcap: No such file or directory" in capfd.readouterr().err


@given(st.lists(WORDS, max_size=6))
def test_any_words_end_in_a_line(arguments: list[str]) -> None:
    """Random command lines: a status of ours, and never an exception."""
    # The last words make sure that no daemon comes of it.
    assert main([*arguments, "-v", "0"]) in {0, 1, 2}


@pytest.mark.parametrize(
    ("redirection", "status"),
    [
        (">&-", 0),
        ("2>&-", 0),
        ("<&-", 0),
        (">/dev/full", 2),
        ("| true", 0),
        ("| head -n 1", 0),
    ],
)
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_without_a_reader(option: str, redirection: str, status: int) -> None:
    """A closed, full or broken stdout is no reason for a traceback."""
    ended = subprocess.run(
        ["sh", "-c", f'"$@" {option} {redirection}', "sh", *COMMAND],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=20,
    )

    assert ended.returncode == status
    complaint = "carppcap: Unable to go on: No space left on device\n"
    assert ended.stderr == (complaint if status else "")


@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "xx_XX.broken", "LANGUAGE": "../../etc:\n"},
        {"LANG": "tlh", "LC_ALL": ""},
        {"HOME": "/nonexistent", "TZ": "Nowhere/At_All", "TMPDIR": "/nonexistent"},
        {"COLUMNS": "nonsense", "TERM": ""},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
)
def test_a_broken_environment(variables: dict[str, str]) -> None:
    """The output is the usual one."""
    ended = run(*COMPLETE, *SCRIPTS, **variables)

    assert lines(ended) == [
        "[ERROR] Unable to open interface [no/0]: no such interface"
    ]
    assert ended.returncode == 2


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """The working directory was removed before the start."""
    command = f'cd {tmp_path} && rmdir {tmp_path} && exec "$@"'
    ended = subprocess.run(
        ["sh", "-c", command, "sh", *COMMAND, *COMPLETE, *SCRIPTS],
        check=False,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=20,
    )

    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert lines(ended)[-1].endswith("[no/0]: no such interface")


@pytest.mark.parametrize("module", ["carppcap", "carppcap.cli"])
def test_as_a_module(module: str) -> None:
    """`python -m` is the command."""
    ended = run("--version", command=[sys.executable, "-m", module])

    assert ended.stdout == f"carppcap {__version__}\n"


def test_the_daemon_imports_little() -> None:
    """Large modules that it does not need are not imported."""
    script = (
        "import sys\nimport carppcap.cli, carppcap.daemon.loop\nprint(*sys.modules)\n"
    )
    # Coverage would be measured there, too, and brings its own.
    ended = run("-c", script, command=[sys.executable], COVERAGE_PROCESS_CONFIG="")

    loaded = set(ended.stdout.split())
    assert "carppcap.daemon.loop" in loaded
    assert (
        loaded & set("asyncio http random uuid ssl argparse gettext".split()) == set()
    )


class Started:
    """A daemon in the background of a test, with its output."""

    def __init__(self, directory: Path, *arguments: str, shell: str = "") -> None:
        self.log = directory / "log"
        command = [*COMMAND, *COMPLETE, "-i", "a0", *SCRIPTS, *arguments]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                ["sh", "-c", f'{shell} exec "$@"', "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(CARPPCAP_PASS="never used"),
            )

    def says(self, words: str) -> None:
        wait_for(lambda: words in self.log.read_text(), words)

    def proc(self, name: str) -> bytes:
        return Path(f"/proc/{self.process.pid}/{name}").read_bytes()


@pytest.fixture
def cable() -> Iterator[None]:
    with network():
        make_link()
        yield


BACKUP = "Switching to state: BACKUP"
FAST = ["-b", "0", "-k", "10"]


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
@pytest.mark.parametrize(
    ("number", "arguments", "status"),
    [
        (signal.SIGTERM, [], -signal.SIGTERM),
        (signal.SIGINT, [], -signal.SIGINT),
        (signal.SIGQUIT, [], -signal.SIGQUIT),
        (signal.SIGHUP, [], -signal.SIGHUP),
        (signal.SIGTERM, ["-z"], 0),
        (signal.SIGINT, ["-z"], 0),
        (signal.SIGQUIT, ["-z"], 0),
        (signal.SIGHUP, ["-z"], 0),
    ],
)
def test_told_to_stop(
    tmp_path: Path, number: signal.Signals, arguments: list[str], status: int
) -> None:
    """With -z it exits with 0, else by that signal; the pid file is removed."""
    pidfile = tmp_path / "x.pid"
    daemon = Started(tmp_path, f"--pidfile={pidfile}", *arguments)
    daemon.says(BACKUP)
    assert pidfile.read_text() == f"{daemon.process.pid}\n"

    daemon.process.send_signal(number)

    assert daemon.process.wait(20) == status
    assert not pidfile.exists()
    assert "Traceback" not in daemon.log.read_text()


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
@pytest.mark.parametrize("has_keeper", [True, False])
def test_what_own_addresses_are_good_for(tmp_path: Path, has_keeper: bool) -> None:
    """A start without them says so, in one line."""
    daemon = Started(tmp_path, "-z", *["--own-addresses"] * has_keeper)
    daemon.says(BACKUP)
    text = "Without --own-addresses a daemon that is killed or hangs leaves its address"
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(20) == 0

    assert daemon.log.read_text().count(text) == (not has_keeper)


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
@pytest.mark.parametrize(("arguments", "survives"), [([], True), (["-z"], False)])
def test_nohup(tmp_path: Path, arguments: list[str], survives: bool) -> None:
    """An ignored HUP stays ignored, unless -z is given."""
    daemon = Started(tmp_path, *FAST, *arguments, shell='trap "" HUP;')
    daemon.says(BACKUP)

    daemon.process.send_signal(signal.SIGHUP)

    if survives:
        daemon.says("Switching to state: MASTER")
        daemon.process.terminate()
    assert daemon.process.wait(20) == (-signal.SIGTERM if survives else 0)


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_a_service_manager(tmp_path: Path) -> None:
    """It learns the state, that the daemon is ready, and that it works."""
    address = tmp_path / "manager"
    told: list[str] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(TIMEOUT_S)
        manager.bind(str(address))
        variables = f"export NOTIFY_SOCKET={address} WATCHDOG_USEC=60000;"
        daemon = Started(tmp_path, *FAST, "-z", shell=variables)
        while len(told) < 8:
            told.append(manager.recv(4096).decode())
        daemon.process.terminate()
        assert daemon.process.wait(TIMEOUT_S) == 0

    news = [message for message in told if message != "WATCHDOG=1"]
    assert news[:2] == ["STATUS=BACKUP on a0 id 7 (startup)", "READY=1"]
    assert set(news[2:]) <= {"STATUS=MASTER on a0 id 7 (master_down)"}
    assert len(told) > len(news)


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_the_state_is_logged_in_english(tmp_path: Path) -> None:
    """In every locale."""
    german = " ".join(f"{name}={value};" for name, value in GERMAN.items())
    daemon = Started(tmp_path, *FAST, shell=f"{german} export LC_ALL;")

    daemon.says("Switching to state: MASTER")

    daemon.process.terminate()
    daemon.process.wait(20)


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_secrets(tmp_path: Path) -> None:
    """Neither command line nor environment shows a password."""
    daemon = Started(tmp_path, "--pass=tellnobody", "-p", "keepitdark")
    daemon.says(BACKUP)

    words = daemon.proc("cmdline")
    variables = daemon.proc("environ")

    daemon.process.terminate()
    daemon.process.wait(20)
    assert not {b"love", b"tellnobody", b"keepitdark"} & set(re.split(b"[\0=]", words))
    assert b"10.1.1.252" in words
    assert b"never used" not in variables


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_closed_streams(tmp_path: Path) -> None:
    """Closed streams are opened, or a socket of ours would be a script's stdout."""
    pidfile = tmp_path / "x.pid"
    daemon = Started(
        tmp_path, f"--pidfile={pidfile}", shell="exec <&-; exec >&-; exec 2>&-;"
    )
    wait_for(lambda: pidfile.exists() and pidfile.read_text())

    opened = [os.readlink(f"/proc/{daemon.process.pid}/fd/{n}") for n in range(3)]

    daemon.process.terminate()
    daemon.process.wait(20)
    assert opened == ["/dev/null"] * 3


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_background(tmp_path: Path) -> None:
    """It returns once the daemon listens; the pid file says where to find it."""
    pidfile = tmp_path / "x.pid"

    ended = run(*COMPLETE, *SCRIPTS, "-i", "a0", "-B", "--pidfile", str(pidfile))

    assert ended.returncode == 0
    pid = int(pidfile.read_text())
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: not pidfile.exists(), "the end of the daemon")


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
@pytest.mark.parametrize("background", [[], ["-B"]], ids=["foreground", "background"])
def test_a_second_daemon(tmp_path: Path, background: list[str]) -> None:
    """It says in one line which process serves the group, which goes on."""
    daemon = Started(tmp_path, *FAST)
    daemon.says(BACKUP)

    second = run(*COMPLETE, *SCRIPTS, "-i", "a0", *background)
    other_group = run(*COMPLETE, *SCRIPTS, "-i", "a0", "-v", "8", "--pidfile=/")

    daemon.says("Switching to state: MASTER")
    daemon.process.terminate()
    daemon.process.wait(20)
    assert second.returncode == 2
    words = "[ERROR] Another daemon serves a0 id 7 already: process"
    assert lines(second) == [f"{words} {daemon.process.pid}"]
    assert lines(other_group) == ["[ERROR] Unable to write /: Is a directory"]


AS_UCARP = """
import sys
sys.argv[0] = "ucarp"
if "--vmac" in sys.argv:
    sys.modules["pyroute2"] = None
from carppcap.cli import main
sys.exit(main())
"""


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
@pytest.mark.parametrize(
    ("options", "wrapper", "error", "status"),
    [
        (["--pidfile=/"], [], "Unable to write /: Is a directory", 2),
        (["--vmac"], [], "--vmac needs pyroute2, which is not installed", 1),
        (
            [],
            ["setpriv", "--bounding-set=-net_raw"],
            "Unable to open interface [a0]: permission denied",
            2,
        ),
    ],
)
def test_a_take_over_that_would_fail(
    tmp_path: Path, options: list[str], wrapper: list[str], error: str, status: int
) -> None:
    """The running daemon is not asked to leave."""
    daemon = Started(tmp_path)
    daemon.says(BACKUP)

    command = [*wrapper, sys.executable, "-c", AS_UCARP]
    second = run(*COMPLETE, *SCRIPTS, "-i", "a0", *options, command=command)

    assert "Taking over" not in second.stdout
    assert daemon.process.poll() is None
    daemon.process.terminate()
    daemon.process.wait(20)
    [line] = lines(second)
    assert line.startswith(f"[ERROR] {error}")
    assert second.returncode == status


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
@pytest.mark.parametrize("background", [[], ["-B"]], ids=["foreground", "background"])
def test_a_pid_file_that_cannot_be_written(background: list[str]) -> None:
    """Without its pid file the daemon does not start."""
    ended = run(
        *COMPLETE, *SCRIPTS, "-i", "a0", "--pidfile=/nonexistent/x.pid", *background
    )

    assert ended.returncode == 2
    assert lines(ended) == [
        "[ERROR] Unable to write /nonexistent/x.pid: No such file or directory"
    ]


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_an_interface_that_is_not_ethernet(tmp_path: Path) -> None:
    """In ucarp's words; an advert needs a MAC."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)

    ended = run(*COMPLETE, *SCRIPTS, "-i", "lo")

    assert ended.returncode == 2
    assert lines(ended)[-1].startswith("[ERROR] Unable to find MAC address of [lo]")


class Broken:
    """A daemon with a bug."""

    def __init__(self, *arguments: object) -> None:
        raise ZeroDivisionError(arguments)


def test_a_mistake_of_ours(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is logged, as the traceback is lost in the background."""
    monkeypatch.setattr("carppcap.daemon.loop.Daemon", Broken)

    with pytest.raises(ZeroDivisionError):
        main([*COMPLETE, *SCRIPTS])

    assert "[ERROR] Unable to go on: ZeroDivisionError(" in capfd.readouterr().err


class Starved:
    """A daemon without memory."""

    def __init__(self, *arguments: object) -> None:
        raise MemoryError


def test_out_of_memory(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line and status 2, as for all that the machine does not give us."""
    monkeypatch.setattr("carppcap.daemon.loop.Daemon", Starved)

    assert main([*COMPLETE, *SCRIPTS]) == 2

    [line] = capfd.readouterr().err.splitlines()
    assert STAMP.sub("", line) == "[ERROR] Unable to go on: Cannot allocate memory"


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_the_first_interface(tmp_path: Path) -> None:
    """Without -i the first interface is used and logged."""
    arguments = [word for word in COMPLETE if word not in {"-i", "no/0"}]

    process = subprocess.Popen(
        [*COMMAND, *arguments, *SCRIPTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )

    assert process.stdout is not None
    first = process.stdout.readline()
    process.terminate()
    process.communicate(timeout=20)
    assert re.search(r"\[INFO\] Using \[[ab]0\] as a network interface$", first)


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_a_stdout_without_a_reader() -> None:
    """A pipe full of log lines must not stop adverts: the daemon still obeys."""
    process = subprocess.Popen(
        [*COMMAND, *COMPLETE, *SCRIPTS, "-i", "a0", "-z"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
    )
    assert process.stdout is not None
    fcntl(process.stdout, F_SETPIPE_SZ, 4096)
    process.stdout.readline()
    for _ in range(100):  # each is a line, as long as it comes by itself
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0
    process.stdout.close()


def test_run_needs_one_file(capfd: pytest.CaptureFixture[str]) -> None:
    """Anything else is refused with a line that says how it is used."""
    for words in ([], ["a", "b"], ["-v"]):
        assert main(["run", *words]) == 1
    assert capfd.readouterr().err.count("Usage: carppcap run FILE") == 3


def test_run_with_mistakes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """All of them are named with their lines, and nothing is started."""
    path = tmp_path / "carppcap.toml"
    path.write_text("[group.web]\nvhid = 0\n[group.db]\ncolour = 1\n")

    assert main(["run", str(path)]) == 1
    err = capfd.readouterr().err
    assert f"{path}:2: " in err
    assert f"{path}:4: " in err


@pytest.mark.netns
@pytest.mark.usefixtures("cable")
def test_run(tmp_path: Path) -> None:
    """Each line about a group begins with its name; a signal ends all of them."""
    path = tmp_path / "carppcap.toml"
    groups = [
        f'[group.{name}]\nvhid = {vhid}\naddr = "10.1.1.25{vhid}"\n'
        for name, vhid in (("web", 1), ("db", 2))
    ]
    top = 'interface = "a0"\nsrcip = "10.1.1.5"\npass = "love"\nshutdown = true\n'
    path.write_text(top + "\n".join(groups))
    process = subprocess.Popen(
        [*COMMAND, "run", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
        text=True,
    )
    assert process.stdout is not None
    said: list[str] = []
    while "db: a0 id 2: INIT -> BACKUP (startup)" not in (said or [""])[-1]:
        said.append(process.stdout.readline())
        assert said[-1]
    process.terminate()
    said += process.communicate(timeout=20)[0].splitlines()

    assert process.returncode == 0
    assert any(
        line.endswith("web: a0 id 1: BACKUP -> INIT (shutdown)") for line in said
    )
