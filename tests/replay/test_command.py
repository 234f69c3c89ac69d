"""The command `carppcap replay`: its output and its exit status."""

import json
import os
import pty
import subprocess
import sys
import termios
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carppcap.cli import main
from carppcap.options.table import OPTIONS
from carppcap.replay.command import PROGRESS_BYTES_MIN, REPLAY_OPTIONS
from carppcap.system.capture import FileCapture
from carppcap.units import format_seconds
from carppcap.wire.decode import LinkType, decode, decode_announcement
from tests import captures
from tests.timelines import FIXTURES

CAPTURE = FIXTURES / "ucarp-usr2" / "capture.pcap"
FLAGS = "-i eth0 -s 10.9.0.3 -v 7 -p love -a 10.9.0.100 -k 200".split()

FIT = "fit address 10.9.0.100 (there is no --addr)"

Output = pytest.CaptureFixture[str]


def replay(*words: str | Path) -> int:
    return main(["replay", *map(str, words)])


def told(capsys: Output, *words: str | Path) -> str:
    """Return what a replay prints that succeeds without a complaint."""
    assert replay(*words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_help_lists_the_options_that_have_an_effect(capsys: Output) -> None:
    """Options of the daemon that a replay ignores are left out."""
    out = told(capsys, "--help")

    shown = {row.long for row in (*REPLAY_OPTIONS, *OPTIONS) if f"--{row.long}" in out}
    assert {"json", "write", "srcip", "vhid", "addr", "passfile", "debug"} <= shown
    assert not {"upscript", "daemonize", "pidfile", "facility"} & shown
    assert all(len(line) <= 80 for line in out.splitlines())
    assert told(capsys) == out


@pytest.mark.parametrize(
    ("case", "flags", "accepted"),
    [
        ("netbsd-crash", "-v 42 -a 10.1.1.252", 18),
        ("netbsd-farewell", "-v 42 -a 10.1.1.252", 29),
        ("netbsd-tie", "-v 42 -a 10.1.1.252", 6),
        ("netbsd-several-addresses", "-v 43 -a 10.1.1.252,10.1.1.9,10.1.1.130", 10),
        ("netbsd-ipv6", "-s fd00:1::9 -v 44 -a fd00:1::fc -a fd00:1::9/64", 21),
    ],
)
def test_a_host_that_always_loses_accepts_every_advert(
    capsys: Output, case: str, flags: str, accepted: int
) -> None:
    """The number of adverts is what tcpdump counts in the file."""
    capture = FIXTURES / case / "capture.pcap"
    lines = told(
        capsys, capture, "-s", "10.1.1.9", "-p", "pw1", "-k", "254", *flags.split()
    ).splitlines()

    assert f"accepted {accepted}  rejected 0  " in lines[-1]
    assert all("unverified" not in line for line in lines)


@pytest.mark.parametrize(
    ("case", "flags", "notes"),
    [
        (
            "netbsd-ipv6",
            "",
            [
                "no --vhid: taking 44, the first in the file",
                f"no --srcip: we are {'ffff:' * 7}ffff, which loses every tie",
                "no password and no --addr: adverts cannot be verified",
            ],
        ),
        (
            "netbsd-ipv6",
            "-v 44 -p pw1 -a fd00:1::fc,fd00:1::9,10.1.1.1",
            [
                "no --srcip of IPv4: we are 255.255.255.255, which loses every tie",
                f"no --srcip of IPv6: we are {'ffff:' * 7}ffff, which loses every tie",
            ],
        ),
        (
            "netbsd-ipv6",
            "-v 45 -p pw1",
            [
                "no --srcip: we are 255.255.255.255, which loses every tie",
                "no --addr: adverts cannot be verified",
            ],
        ),
        ("netbsd-ipv6", "-v 44 -s fd00:1::5 -p pw1 -a fd00:1::fc,fd00:1::9", []),
        (
            "netbsd-ipv6",
            "-v 44 -s fd00:1::5 -p pw1",
            ["no --addr: adverts cannot be verified"],
        ),
    ],
)
def test_guessed_source_addresses_and_vhid(
    capsys: Output, case: str, flags: str, notes: list[str]
) -> None:
    """The family is that of --addr or --srcip, or else of the first advert."""
    capture = FIXTURES / case / "capture.pcap"
    lines = told(capsys, capture, *flags.split()).splitlines()

    guesses = lines[: len(notes) + 1]
    assert guesses[:-1] == [f"note: {note}" for note in notes]
    assert guesses[-1].startswith("0.000000")


@pytest.mark.parametrize(
    ("flags", "complete"), [("-v 9", True), ("-v 9 -s 10.9.0.3", True), ("", False)]
)
def test_a_file_that_is_cut_off_before_its_first_advert(
    tmp_path: Path, capsys: Output, flags: str, complete: bool
) -> None:
    """With --vhid a report precedes the error; without it there is only the error."""
    path = tmp_path / "file"
    path.write_bytes(captures.pcap([(0, bytes(60)), (1, bytes(60))])[:-1])

    assert replay(path, *flags.split()) == 2

    out, err = capsys.readouterr()
    assert ("total  frames 1  accepted 0" in out) is complete
    assert err.startswith(f"carppcap: {path}: ")


def test_options_may_precede_or_follow_the_file(capsys: Output) -> None:
    """`getopt_long` allows the same."""
    assert told(capsys, *FLAGS, CAPTURE) == told(capsys, CAPTURE, *FLAGS)


def test_options_of_the_daemon_are_accepted_and_ignored(capsys: Output) -> None:
    """The output does not change; no script is run and no file is written."""
    ignored = (
        "-B -z -S -f local0 --pidfile=/nonexistent/pid --script-timeout 5 -x word "
        "--upscript=/nonexistent/up -d /nonexistent/down --no-farewell"
    )

    assert told(capsys, CAPTURE, *FLAGS, *ignored.split()) == told(
        capsys, CAPTURE, *FLAGS
    )


def test_debug_prints_quiet_steps_too(capsys: Output) -> None:
    """The other lines are the same as without --debug."""
    short = told(capsys, CAPTURE, *FLAGS).splitlines()
    long = told(capsys, CAPTURE, *FLAGS, "-D").splitlines()

    assert [line for line in long if line in short] == short
    assert len(long) > len(short) + 8


@pytest.mark.parametrize(
    ("flags", "notes"),
    [
        (
            "",
            [
                "note: no --vhid: taking 7, the first in the file",
                "note: no --srcip: we are 255.255.255.255, which loses every tie",
                "note: no password and no --addr: adverts cannot be verified",
            ],
        ),
        (
            "-v 7 -s 10.9.0.3 -a 10.9.0.100",
            ["note: no password: adverts cannot be verified"],
        ),
        (
            "-v 7 -s 10.9.0.3 -p love",
            [
                "note: no --addr: adverts cannot be verified",
                f"note: adverts from 10.9.0.1 {FIT}",
                f"note: adverts from 10.9.0.2 {FIT}",
            ],
        ),
    ],
    ids=["nothing", "no password", "no address"],
)
def test_missing_options_are_named(
    capsys: Output, flags: str, notes: list[str]
) -> None:
    """Adverts that cannot be verified are accepted, and marked as unverified."""
    lines = told(capsys, CAPTURE, *flags.split()).splitlines()

    assert [line for line in lines if line.startswith("note:")] == notes
    assert "sender 10.9.0.1  vhid 7  accepted 5 unverified  last 1/0" in lines


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        ("-v 9", "fit password and address, but have vhid 7, not --vhid 9"),
        ("-a 10.9.0.99", "fit address 10.9.0.100, not --addr 10.9.0.99"),
        ("-p hate", "do not fit the password; --addr 10.9.0.100 is announced here"),
        ("-m 224.0.0.9", "go to 224.0.0.18, not --mcastip 224.0.0.9"),
    ],
)
def test_a_wrong_flag_is_named(capsys: Output, flags: str, note: str) -> None:
    """Of an option given twice the last one counts, so each case has one wrong flag."""
    at = FLAGS.index("-a")  # of which all hold
    kept = FLAGS[:at] + FLAGS[at + 2 :] if flags.startswith("-a") else FLAGS
    lines = told(capsys, CAPTURE, *kept, *flags.split()).splitlines()

    assert lines[-2].startswith(f"note: adverts from 10.9.0.1 {note}")
    assert lines[-1].startswith(f"note: adverts from 10.9.0.2 {note}")


def test_json_has_an_object_for_each_line_of_the_timeline(capsys: Output) -> None:
    """The instants are the same."""
    case = FIXTURES / "netbsd-injected" / "capture.pcap"
    flags = "-s 10.1.1.5 -v 42 -p pw1 -a 10.1.1.252 -k 150".split()
    text = told(capsys, case, *flags).splitlines()

    records = [
        json.loads(line) for line in told(capsys, case, *flags, "--json").splitlines()
    ]

    steps = [r for r in records if r["kind"] in ("step", "rejection")]
    assert len(steps) == sum(line[0].isdigit() for line in text) - 1
    assert [format_seconds(r["at_ns"]) for r in steps] == [
        line.split()[0] for line in text[: len(steps)]
    ]
    assert records[-1]["kind"] == "summary"
    assert records[-1]["rejected"]["wrong_group"] == 1
    assert {r["interface"] for r in records if "interface" in r} == {"capture.pcap"}


def test_write_stores_the_frames_that_would_have_been_sent(
    capsys: Output, tmp_path: Path
) -> None:
    """Their stamps are those of the timeline; two runs write the same file."""
    files = [tmp_path / "one.pcap", tmp_path / "two.pcap"]
    outputs = {told(capsys, CAPTURE, *FLAGS, "-k0", "--write", file) for file in files}

    assert len(outputs) == 1
    assert files[0].read_bytes() == files[1].read_bytes()
    first_ns = captures.read(CAPTURE)[0][0] * 1000
    sent = list(chain.from_iterable(iter(FileCapture(str(files[0])).read, [])))
    lines = [line for line in outputs.pop().splitlines() if line[0].isdigit()]
    messages = [
        line.split()[0]
        for line in lines
        for word in (" advert 1/0", " solicit")
        if word in line.split("from")[-1]
    ]
    assert messages
    instants = [
        format_seconds(stamp - first_ns)
        for stamp, frame in sent
        if decode_announcement(frame, LinkType.ETHERNET) is None
    ]
    assert instants == messages
    own = [decode(frame, LinkType.ETHERNET) for _, frame in sent]
    assert any(str(getattr(d, "source", "")) == "10.9.0.3" for d in own)


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_a_file_that_breaks_off(capsys: Output, tmp_path: Path, form: str) -> None:
    """All complete records are reported, then there is one line of error."""
    records = captures.read(CAPTURE)
    write = captures.pcap if form == "pcap" else captures.pcapng
    shorter, whole = write(records[:-1]), write(records)
    path = tmp_path / f"capture.{form}"
    path.write_bytes(shorter)
    readable = told(capsys, path, *FLAGS)

    for end in range(len(shorter) + 1, len(whole)):
        path.write_bytes(whole[:end])

        assert replay(path, *FLAGS) == 2

        out, err = capsys.readouterr()
        assert out == readable
        assert err.startswith(f"carppcap: {path}: ")
        assert err.count("\n") == 1


@given(
    st.lists(st.tuples(st.integers(0, 2_500), st.integers(1, 255)), max_size=8),
    st.booleans(),
)
def test_a_file_with_random_damage(
    damage: list[tuple[int, int]], has_vhid: bool
) -> None:
    """There is either a report or one line of error, whichever bytes are changed."""
    spoilt = bytearray(CAPTURE.read_bytes())
    for position, flipped in damage:
        spoilt[position % len(spoilt)] ^= flipped
    with NamedTemporaryFile() as file:
        file.write(spoilt)
        file.flush()
        words = [file.name, *(FLAGS if has_vhid else ["-s", "10.9.0.3"])]
        output, complaints = StringIO(), StringIO()
        # A damaged time stamp may be days away, and each second in between takes time.
        short = patch("carppcap.replay.run.TICKS_PER_GAP_MAX", 1000)
        with redirect_stdout(output), redirect_stderr(complaints), short:
            status = replay(*words)

    assert (status, complaints.getvalue().count("\n")) in ((0, 0), (2, 1))
    if has_vhid and status == 0:
        assert "end of capture" in output.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        (b"", "truncated dump file"),
        (b"\0" * 100, "unknown file format"),
        (b"#!/bin/sh\n# no capture at all, but longer than its header\n", "unknown"),
        (captures.pcap([], link_type=147), "unknown link type 147"),
        (captures.pcap([]), "no CARP advert in it"),
    ],
)
def test_a_file_that_cannot_be_replayed(
    capsys: Output, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    """One line names the file and the reason; the exit status is 2."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    assert replay(path) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"carppcap: {path}: ")
    assert complaint in err
    assert err.count("\n") == 1


def test_a_name_that_is_not_utf8(capsys: Output, tmp_path: Path) -> None:
    """One line of error shows the name with escapes; the exit status is 2."""
    path = tmp_path / os.fsdecode(b"\xff.pcap")
    path.write_bytes(CAPTURE.read_bytes())

    assert replay(path, "-v", "7") == 2

    _, err = capsys.readouterr()
    assert "\\udcff.pcap': its name is not UTF-8" in err
    assert err.count("\n") == 1


def test_a_directory(capsys: Output, tmp_path: Path) -> None:
    """One line of error names it; the exit status is 2."""
    assert replay(tmp_path, "-v", "7") == 2
    assert capsys.readouterr() == ("", f"carppcap: {tmp_path}: is a directory\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("-v 7", "You must supply one capture file to replay"),
        ("one two", "You must supply one capture file to replay"),
        ("one -k 256", "Invalid number: [256] for -k (allowed: 0 to 255)"),
        ("one --write=", "--write is empty"),
        ("one --jsonp", "Unknown option: --jsonp"),
        (f"{CAPTURE} -v 7 -b 0", "You must supply an advertisement time base"),
        (f"{CAPTURE} -v 7 --write {CAPTURE}", "cannot be read and written at once"),
    ],
)
def test_a_wrong_command_line(capsys: Output, words: str, complaint: str) -> None:
    """There is one line of error, the exit status is 1, and no file is changed."""
    before = CAPTURE.read_bytes()

    assert replay(*words.split()) == 1

    out, err = capsys.readouterr()
    assert out == ""
    assert complaint in err
    assert err.count("\n") == 1
    assert CAPTURE.read_bytes() == before


def test_write_to_a_file_that_cannot_be_made(capsys: Output, tmp_path: Path) -> None:
    """The error comes before anything is replayed."""
    assert replay(CAPTURE, *FLAGS, "--write", tmp_path / "no" / "where.pcap") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Unable to write" in err


def test_password_from_file_and_environment(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is the same as with --pass."""
    expected = told(capsys, CAPTURE, *FLAGS)
    rest = "-s 10.9.0.3 -v 7 -a 10.9.0.100 -k 200".split()
    passfile = tmp_path / "pass"
    passfile.write_text("love\n", "utf-8")
    passfile.chmod(0o600)

    assert told(capsys, CAPTURE, *rest, "-o", passfile) == expected
    monkeypatch.setenv("CARPPCAP_PASS", "love")
    assert told(capsys, CAPTURE, *rest) == expected


def test_a_pipe_needs_a_vhid(tmp_path: Path) -> None:
    """It can be read only once, so there is no search for the first advert."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    command = [sys.executable, "-m", "carppcap", "replay", str(path)]

    searched = subprocess.run(command, capture_output=True, text=True, check=False)
    with subprocess.Popen(
        [*command, *FLAGS], stdout=subprocess.PIPE, text=True
    ) as process:
        path.write_bytes(CAPTURE.read_bytes())
        out, _ = process.communicate()

    assert (searched.returncode, searched.stdout) == (1, "")
    assert "say --vhid" in searched.stderr
    assert process.returncode == 0
    assert out == (FIXTURES / "ucarp-usr2" / "timeline.txt").read_text("utf-8")


def test_a_pipe_that_breaks_off(tmp_path: Path) -> None:
    """All complete records are reported, then there is one line of error."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with subprocess.Popen(
        [sys.executable, "-m", "carppcap", "replay", str(path), *FLAGS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        path.write_bytes(CAPTURE.read_bytes()[:-1])
        out, err = process.communicate()

    assert process.returncode == 2
    assert "total  frames 17  accepted 9" in out
    assert err.count("\n") == 1


def test_a_reader_that_closes_the_pipe() -> None:
    """`carppcap replay ... | head -1` ends without an error message."""
    reading, writing = os.pipe()
    os.close(reading)

    process = subprocess.run(
        [sys.executable, "-m", "carppcap", "replay", str(CAPTURE), *FLAGS],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)

    assert (process.returncode, process.stderr) == (2, "")


def on_a_terminal(path: Path, stdout: int | None = subprocess.PIPE) -> tuple[str, str]:
    """Return what a replay writes to stdout, and to the terminal that is its stderr.

    With `stdout` None, stdout is the terminal as well.
    """
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with subprocess.Popen(
        [sys.executable, "-m", "carppcap", "replay", str(path), "-v", "7"],
        stdout=terminal if stdout is None else stdout,
        stderr=terminal,
        text=True,
    ) as process:
        out, _ = process.communicate()
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 65_536):
            shown += piece
    except OSError:  # Linux says so where others say end of file.
        pass
    os.close(master)
    assert process.returncode == 0
    return out or "", shown.decode()


def stderr_of(path: Path) -> str:
    """Return what a replay writes to a stderr that is not a terminal."""
    command = [sys.executable, "-m", "carppcap", "replay", str(path), "-v", "7"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_progress_is_shown_for_a_long_file(tmp_path: Path) -> None:
    """There is a bar only on a terminal, and none for a short file."""
    pytest.importorskip("tqdm")
    long, short = tmp_path / "long.pcap", tmp_path / "short.pcap"
    record = captures.read(CAPTURE)[0]
    filler = (record[0], b"\0" * 60_000)
    long.write_bytes(
        captures.pcap([record] + [filler] * (PROGRESS_BYTES_MIN // 60_000 + 1))
    )
    short.write_bytes(captures.pcap([record, filler]))

    out, shown = on_a_terminal(long)

    assert "%|" in shown
    assert "total  frames 71  accepted 0" in out
    assert on_a_terminal(short)[1] == ""
    assert stderr_of(long) == ""

    _, shown = on_a_terminal(long, stdout=None)

    # Each line starts where the bar was wiped away, not behind it.
    assert "\r0.000000  vhid 7  INIT" in shown
    assert "\rtotal  frames 71" in shown
