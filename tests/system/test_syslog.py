"""Log lines on the terminal and in syslog; writing them never blocks."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import pytest

from carppcap.errors import LinkError
from carppcap.system import syslog
from carppcap.system.syslog import Level, Log, NamedLog
from carppcap.text import catalogues, i18n

DAEMON = 3
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}"


@pytest.mark.parametrize(
    ("level", "stream"),
    [
        (Level.ERROR, "err"),
        (Level.WARNING, "err"),
        (Level.NOTICE, "out"),
        (Level.INFO, "out"),
        (Level.DEBUG, "out"),
    ],
)
def test_terminal(capfd: pytest.CaptureFixture[str], level: Level, stream: str) -> None:
    """ucarp's format; warnings and errors go to stderr, the rest to stdout."""
    Log("ucarp").write(level, "hello {you}")

    captured = capfd.readouterr()
    line = getattr(captured, stream)
    assert re.fullmatch(rf"{STAMP}: \[{level.name}\] hello {{you}}\n", line)
    assert captured.out + captured.err == line


def test_the_time_is_local_and_to_the_microsecond(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Local time, with six decimals."""
    monkeypatch.setenv("TZ", "XXX-05:30")
    time.tzset()
    try:
        before_s = time.time()
        Log("ucarp").info("now")
        stamp = capfd.readouterr().out.partition(": [")[0]
        whole, _, fraction = stamp.partition(".")
        said_s = time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S"))
    finally:
        monkeypatch.undo()
        time.tzset()

    assert before_s - 0.000_001 <= said_s + int(fraction) / 1e6 <= before_s + 5


def test_levels(capfd: pytest.CaptureFixture[str]) -> None:
    """Each method has its level, and debug lines need --debug."""
    for debug in (False, True):
        log = Log("ucarp", debug=debug)
        for say in (log.debug, log.info, log.warning, log.error):
            say("x")

    captured = capfd.readouterr()
    said = (
        re.findall(r"\[(\w+)\]", captured.out),
        re.findall(r"\[(\w+)\]", captured.err),
    )
    assert said == (
        ["INFO", "DEBUG", "INFO"],
        ["WARNING", "ERROR", "WARNING", "ERROR"],
    )


def test_background(capfd: pytest.CaptureFixture[str]) -> None:
    """Once the terminal is given up, nothing is written to it."""
    log = Log("ucarp")
    log.terminal = False

    log.error("unheard")

    assert capfd.readouterr() == ("", "")


class Terminal:
    """A pipe in the place of stdout, read only by `read`.

    Not a fixture: between a fixture and its test pytest puts its own stdout back.
    """

    def __enter__(self) -> Self:
        self.reading, writing = os.pipe()
        self._before = os.dup(1)
        os.dup2(writing, 1)
        os.close(writing)
        return self

    def __exit__(self, *failure: object) -> None:
        os.dup2(self._before, 1)
        os.close(self._before)
        with suppress(OSError):
            os.close(self.reading)

    def read(self) -> list[str]:
        return os.read(self.reading, 1 << 20).decode().splitlines()


def test_a_full_terminal_does_not_block() -> None:
    """Lost lines are counted, and the count is logged once there is room."""
    with Terminal() as terminal:
        log = Log("ucarp")
        for number in range(5000):
            log.info(f"line {number} {'x' * 60}")
        before = terminal.read()
        log.info("after")
        lost, after = terminal.read()
        log.info("and so on")
        [later] = terminal.read()

    missing = 5000 - len(before)
    assert 0 < missing < 5000
    assert lost.endswith(f"[WARNING] the terminal could not take {missing} lines")
    assert after.endswith("[INFO] after")
    assert later.endswith("[INFO] and so on")


def test_a_line_longer_than_a_pipe_takes() -> None:
    """It is cut, as the rest would block."""
    with Terminal() as terminal:
        log = Log("ucarp")
        for _ in range(100):
            log.info("x" * 100_000)
        lengths = {len(line) for line in terminal.read()}

    assert lengths == {4095}


def test_a_closed_terminal_is_no_reason_to_stop() -> None:
    """The terminal may be closed by its reader or by this process."""
    with Terminal() as terminal:
        log = Log("ucarp")
        os.close(terminal.reading)
        log.info("to no reader")
        os.close(1)
        log.info("to nothing")


def test_bytes_that_are_no_text() -> None:
    """A file name that is not UTF-8 is escaped."""
    with Terminal() as terminal:
        Log("ucarp").info(os.fsdecode(b"/etc/f\xfcr"))
        [line] = terminal.read()

    assert line.endswith("[INFO] /etc/f\\udcfcr")


class Daemon:
    """A socket where syslogd listens."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start()

    def start(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)

    def stop(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)

    def heard(self) -> list[str]:
        lines = []
        while True:
            try:
                lines.append(self.socket.recv(1 << 20).decode())
            except BlockingIOError:
                return lines


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    path = tmp_path / "log"
    monkeypatch.setattr(syslog, "_SYSLOG_SOCKET", str(path))
    listening = Daemon(path)
    yield listening
    listening.stop()


@pytest.fixture
def quiet() -> Iterator[Log]:
    """Return a log that writes to syslog only, as in the background."""
    with closing(Log("ucarp", facility=DAEMON)) as log:
        log.terminal = False
        yield log


@pytest.mark.parametrize(
    ("facility", "level", "priority"),
    [
        (DAEMON, Level.WARNING, 28),
        (DAEMON, Level.DEBUG, 31),
        (16, Level.ERROR, 131),
        (0, Level.INFO, 6),
    ],
)
def test_syslog(daemon: Daemon, facility: int, level: Level, priority: int) -> None:
    """RFC 3164's priority and stamp, the name, the process id, ucarp's text."""
    with closing(Log("ucarp", facility=facility)) as log:
        log.write(level, "Switching to state: MASTER")

    [line] = daemon.heard()
    pattern = (
        rf"<{priority}>(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d "
        rf"\d\d:\d\d:\d\d ucarp\[{os.getpid()}\]: "
        rf"\[{level.name}\] Switching to state: MASTER"
    )
    assert re.fullmatch(pattern, line)


def test_no_syslog(daemon: Daemon, capfd: pytest.CaptureFixture[str]) -> None:
    """With `--facility none` lines go to the terminal only."""
    Log("ucarp", facility=None).info("hello")

    assert daemon.heard() == []
    assert capfd.readouterr().out.endswith("hello\n")


def test_syslog_starts_late(daemon: Daemon, quiet: Log) -> None:
    """At boot the daemon may be first; lines are counted until syslog starts."""
    daemon.stop()
    for _ in range(3):
        quiet.info("unheard")
    daemon.start()
    quiet.info("heard")

    lost, heard = daemon.heard()
    assert lost.endswith("[WARNING] syslog could not take 3 lines")
    assert heard.endswith("[INFO] heard")


def test_syslog_is_restarted(daemon: Daemon, quiet: Log) -> None:
    """One line is lost to the closed socket; the next goes to the new one."""
    quiet.info("before")
    daemon.stop()
    daemon.start()
    quiet.info("lost")
    quiet.info("after")

    texts = [line.partition("]: ")[2] for line in daemon.heard()]
    assert texts == ["[WARNING] syslog could not take 1 lines", "[INFO] after"]


def test_a_full_syslog_does_not_block(daemon: Daemon, quiet: Log) -> None:
    """A stuck log must not stop adverts; lost lines are counted."""
    for number in range(5000):
        quiet.info(f"line {number}")
    before = len(daemon.heard())
    quiet.info("after")

    lost, after = daemon.heard()

    assert 0 < before < 5000
    assert lost.endswith(f"[WARNING] syslog could not take {5000 - before} lines")
    assert after.endswith("[INFO] after")


@pytest.mark.parametrize(
    ("is_terminal", "reason"),
    [(False, "Unable to go on: x"), (True, "Es geht nicht weiter: x")],
)
def test_every_locale_has_english_lines(
    daemon: Daemon,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_terminal: bool,
    reason: str,
) -> None:
    """Programs match them; only the error that ends the process is translated."""
    catalogues.compile_all()
    monkeypatch.setattr("os.isatty", lambda _: is_terminal)
    german = i18n.load(i18n.DIRECTORY, ["de"])
    monkeypatch.setattr(i18n, "_catalogue", lambda: german)

    with closing(Log("ucarp", facility=DAEMON)) as log:
        log.warning("Unable to go on: {why}")
        log.fatal(LinkError("Unable to go on: {why}", why="x"))

    assert [line.partition("]: ")[2] for line in daemon.heard()] == [
        "[WARNING] Unable to go on: {why}",
        "[ERROR] Unable to go on: x",
    ]
    shown = capfd.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in shown] == [
        "[WARNING] Unable to go on: {why}",
        f"[ERROR] {reason}",
    ]


def test_the_log_of_a_group(capfd: pytest.CaptureFixture[str]) -> None:
    """Each line begins with the name of the group, and has the level it was given."""
    log = NamedLog(Log("carppcap", debug=True), "web")
    log.warning("a line")
    log.debug("a detail")

    out, err = capfd.readouterr()
    assert err.endswith(": [WARNING] web: a line\n")
    assert out.endswith(": [DEBUG] web: a detail\n")
