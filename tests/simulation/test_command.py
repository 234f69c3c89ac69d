"""`carppcap simulate`, from its command line to its exit status."""

import json
import os
import pty
import subprocess
import sys
import termios
import xml.etree.ElementTree as ET
from contextlib import suppress
from pathlib import Path

import pytest

from carppcap.cli import main
from carppcap.simulation.command import PROGRESS_RUNS_MIN, ROWS
from carppcap.simulation.scenario.parts import Verb
from tests.shell import COMMAND, environment
from tests.shell import run as command
from tests.timelines import SIMULATIONS

SCENARIO = next(path for path in SIMULATIONS if path.stem == "crash-and-return")
LUCK = "--loss 20% --crash 10s..11s:node1".split()

Output = pytest.CaptureFixture[str]


def simulate(*words: str | Path) -> int:
    return main(["simulate", *map(str, words)])


def told(capsys: Output, *words: str | Path) -> str:
    """Return the output of a simulation that ends well and without a complaint."""
    assert simulate(*words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_help_names_every_option(capsys: Output) -> None:
    """The help names all options, and is shown without arguments too."""
    out = told(capsys, "--help")

    assert {row.long for row in ROWS if f"--{row.long}" in out} == {
        row.long for row in ROWS
    }
    assert all(len(line) <= 88 for line in out.splitlines())
    assert told(capsys) == told(capsys, "-h") == out


def test_ucarp_has_no_simulation() -> None:
    """Called as ucarp, the program refuses `simulate`, as ucarp does."""
    program = "import sys; sys.argv[0] = 'ucarp'; from carppcap.cli import main; "
    program += "sys.exit(main())"
    found = command("simulate", "--nodes", "2", command=[sys.executable, "-c", program])

    assert found.returncode == 1
    assert "--nodes" in found.stderr


def test_a_file_or_flags_say_the_same(capsys: Output, tmp_path: Path) -> None:
    """A file and the same options give the same output."""
    path = tmp_path / "group.toml"
    path.write_text("""
        duration = "30s"
        story = "at 10s crash node1"
        group.flags = "-P"
        wire = { loss = "5%", delay = "1ms", jitter = "2ms" }
        [node.node1]
        start = "0s..1s"
        [node.node2]
        start = "0s..1s"
        kind = "ucarp"
        [node.node3]
        start = "0s..1s"
        kind = "ucarp"
    """)
    flags = """
        --nodes 3 --kinds carppcap,ucarp --duration 30s --crash 10s:node1 --loss 5%
        --delay 1ms --jitter 2ms
    """.split()

    expected = told(capsys, path)
    assert told(capsys, *flags, "--", "-P") == expected
    assert told(capsys, *flags, "--flags", "-P") == expected
    assert told(capsys, *flags, "--flags=-P", "--seed=2") != expected


def test_a_file_can_be_added_to(capsys: Output) -> None:
    """Options add to a file, but flags of a host in the file win over flags for all."""
    out = told(
        capsys,
        *(SCENARIO, "--duration", "25s", "--delay", "2ms", "--at", "5s lose 1%"),
        *("--at", "at 21s step down beta", "--", "-b", "2", "-k", "7"),
    )

    assert "25s of alpha (carppcap), beta (carppcap), seed 1" in out
    assert "5.000000  story  lose 1%" in out
    assert "21.000000  story  step down beta" in out
    assert "advert 2/0" in out
    assert "2/100" in out


def test_hosts_with_flags_of_their_own(capsys: Output) -> None:
    """Each --node describes the next host and wins over flags for all.

    A host that starts asks for an advert after nine tenths of its master-down interval.
    """
    words = ["--node", "-k 7 -P", "--node", "-r 4", "--nodes", "3", "--duration", "9s"]
    out = told(capsys, *words, "--debug", "--seed", "3", "--", "-r", "2", "-n")
    waits = {
        line.split("  ")[1]: (float(line.split()[-1]) - float(line.split()[0])) / 0.9
        for line in out.splitlines()
        if "startup" in line
    }

    assert waits == {
        "node1": pytest.approx(2 + 7 / 256, abs=2e-6),
        "node2": pytest.approx(4 + 100 / 256, abs=2e-6),
        "node3": pytest.approx(2 + 200 / 256, abs=2e-6),
    }


@pytest.mark.parametrize("verb", ["crash", "kill", "stop", "start", "pull", "plug"])
def test_verbs_have_options_of_their_own(capsys: Output, verb: str) -> None:
    """An option such as --crash is the same as a sentence."""
    assert verb in {known.value for known in Verb}
    short = told(capsys, f"--{verb}", "10s..12s:node1")
    assert short == told(capsys, "--at", f"10s..12s {verb} node1")
    assert f"  story  {verb} node1" in short


def test_how_much_is_said(capsys: Output) -> None:
    """--debug shows everything, --quiet the summary only."""
    everything, usual, quiet = (
        told(capsys, SCENARIO, *words) for words in (["-D"], [], ["--quiet"])
    )

    assert set(usual.splitlines()) < set(everything.splitlines())
    assert usual.endswith(quiet)
    assert quiet.startswith("The preferred host crashes and comes back\n")


def test_json(capsys: Output) -> None:
    """--json gives one object a line, the summary last."""
    records = [
        json.loads(line) for line in told(capsys, SCENARIO, "--json").splitlines()
    ]
    (summary,) = map(
        json.loads, told(capsys, SCENARIO, "--json", "--quiet").splitlines()
    )

    assert records[-1] == summary
    assert summary["kind"] == "summary"
    assert len(records) > 100


def test_picture(capsys: Output, tmp_path: Path) -> None:
    """--svg writes to a file or to the output."""
    path = tmp_path / "picture.svg"
    out = told(capsys, SCENARIO, "--svg", path)
    piped = told(capsys, SCENARIO, "--quiet", "--svg", "-")

    assert out == told(capsys, SCENARIO)
    assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert piped.startswith(path.read_text("utf-8"))


def test_many_runs_come_out_the_same_however_they_are_shared(capsys: Output) -> None:
    """The number of processes has no effect on a run."""
    alone, shared, all_cores = (
        told(capsys, *LUCK, "--repeat", "30", *jobs)
        for jobs in (["--jobs", "1"], ["--jobs", "3"], [])
    )

    assert alone == shared == all_cores
    assert alone.startswith("30 runs, seeds 1 to 30\n")


def test_the_worst_run_can_be_seen(capsys: Output, tmp_path: Path) -> None:
    """The command that is shown repeats the worst run."""
    path = tmp_path / "worst.svg"
    words = [*LUCK, "--at", "9s for 2s lose 10%", "--", "-b", "1"]
    out = told(capsys, "--repeat", "20", "--seed", "4", "--svg", path, *words)
    records = told(capsys, "--repeat", "20", "--seed", "4", "--json", *words)
    shown = out.splitlines()[-1].split()
    seed = shown[shown.index("--seed") + 1]
    *runs, distribution = map(json.loads, records.splitlines())

    assert shown[:2] == ["carppcap", "simulate"]
    assert "'9s for 2s lose 10%'" in out
    assert distribution["worst_seed"] == int(seed)
    assert [run["seed"] for run in runs] == list(range(4, 24))
    assert max(runs, key=lambda run: run["nobody_ns"] + run["several_ns"])[
        "seed"
    ] == int(seed)
    assert told(capsys, "--json", "--quiet", "--seed", seed, *words) == (
        json.dumps(next(run for run in runs if run["seed"] == int(seed))) + "\n"
    )
    assert f"seed {seed}" in path.read_text("utf-8")
    quiet = told(capsys, "--repeat", "20", "--seed", "4", "--json", "--quiet", *words)
    assert json.loads(quiet) == distribution


def test_the_command_that_is_shown_is_a_command(capsys: Output) -> None:
    """The command has every option that matters, with daemon flags at the end."""
    words = "--nodes 2 --debug --quiet --jobs 1 --crash 10s:node1".split()
    out = told(capsys, *words, "--repeat", "2", "--", "-b", "1", "-p", "word")
    shown = out.splitlines()[-1].strip()

    assert shown.startswith("carppcap simulate --nodes 2 --debug --crash 10s:node1 ")
    found = command(*shown.split()[1:])
    assert (found.returncode, found.stderr) == (0, "")
    assert f"seed {out.splitlines()[-2].split()[3].rstrip(':')}" in found.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--nodes 0", "Invalid number: [0] for --nodes (allowed: 1 to 32)"),
        ("--seed -1", "Invalid number: [-1] for --seed (allowed: 0 to "),
        ("--repeat 0", "Invalid number: [0] for --repeat (allowed: 1 to 1000000)"),
        ("--kinds vax", "unknown kind of host [vax] (allowed: carppcap, ucarp, "),
        ("--nodes 1 --kinds ucarp,ucarp", "2 hosts are described, but there are 1"),
        ("--loss 5", "command line: wire: loss: [5] is not a share"),
        ("--duration 0s", "command line: duration: [0s] must be more than 0"),
        ("--crash 10:node1", "command line: [10] is not a length of time"),
        ("--crash 10s", "command line: [at 10s crash ]: found the end"),
        ("--kill 10s:bob", "command line: unknown host [bob] (allowed: node1, node2)"),
        (
            "--kinds netbsd --kill 10s:node1",
            "runs netbsd, so it has no process to kill",
        ),
        ("--crash 99s:node1", "the story goes on at 99s, but the run ends at 60s"),
        ("--flags '", "command line: flags: No closing quotation"),
        ("--nodes 2 -- -k 256", "node1: flags: Invalid number: [256] for -k"),
        ("--nodes 2 -- --frob", "node1: flags: Unknown option: --frob (see --help)"),
        ("--frob", "Unknown option: --frob (see --help)"),
        ("--loss", "Option --loss needs a value (see --help)"),
        ("one.toml two.toml", "Unexpected argument: [two.toml] (one scenario file"),
        ("--node -P --node -P --nodes 1", "2 hosts are described, but there are 1"),
        ("--node -P --node -k999", "command line: node.node2: flags: Invalid number"),
        ("one.toml --node -P", "one.toml names the hosts"),
        ("one.toml --kinds ucarp", "(leave out: --nodes, --node, --kinds)"),
        ("one.toml --nodes 2", "one.toml names the hosts"),
    ],
)
def test_mistakes(capsys: Output, words: str, expected: str) -> None:
    """A mistake is one line with what is wrong and what is allowed; exit status 1."""
    assert simulate(*words.split()) == 1
    out, err = capsys.readouterr()

    assert out == ""
    assert err.startswith("carppcap: ")
    assert expected in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "node: 0 hosts (allowed: 1 to 32)"),
        (b"node", "(at end of document)"),
        (b"x = 1\ny = ?", "Invalid value (at line 2, column 5)"),
        (b"\xff", "can't decode byte 0xff in position 0"),
        (b"x = " + b"[" * 5000, ""),
        (b"# " + b"x" * 1024 * 1024, "is too long for a scenario"),
        (b"group = 5\n[node.a]", "[group] must be a table"),
        (b"wire = 5\n[node.a]", "[wire] must be a table"),
        (b"story = 'at 1s fly'\n[node.a]", "story, line 1: [at 1s fly]: found fly"),
    ],
)
def test_bad_files(
    capsys: Output, tmp_path: Path, content: bytes, expected: str
) -> None:
    """A mistake in a file is one line with its place; exit status 1."""
    path = tmp_path / "bad.toml"
    path.write_bytes(content)

    assert simulate(path, "--loss", "5%", "--", "-b", "1") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"carppcap: {path}")
    assert expected in err
    assert err.count("\n") == 1


def test_what_cannot_be_read_or_written(capsys: Output, tmp_path: Path) -> None:
    """A file that cannot be read or written gives exit status 2."""
    missing = tmp_path / "missing"

    assert simulate(missing) == simulate(tmp_path) == 2
    assert simulate(SCENARIO, "--quiet", "--svg", missing / "x.svg") == 2
    _, err = capsys.readouterr()
    assert [line.split(":")[1] for line in err.splitlines()] == [
        f" Unable to read {missing}",
        f" Unable to read {tmp_path}",
        f" Unable to write {missing}/x.svg",
    ]


@pytest.mark.parametrize(("runs", "expected"), [(PROGRESS_RUNS_MIN, True), (2, False)])
def test_progress(runs: int, expected: bool) -> None:
    """Progress is shown on a terminal, and only for many runs."""
    pytest.importorskip("tqdm")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    words = ["simulate", "--nodes", "2", "--repeat", str(runs)]
    process = subprocess.Popen(
        [*COMMAND, *words], stdout=subprocess.PIPE, stderr=theirs, env=environment()
    )
    out, _ = process.communicate(timeout=60)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how the end of a terminal is told
        while data := os.read(ours, 4096):
            shown += data
    os.close(ours)

    assert process.returncode == 0
    assert out.startswith(b"%d runs" % runs)
    assert (b"run" in shown) is expected


def test_without_tqdm_there_is_no_progress() -> None:
    """Without the extra tqdm, many runs work all the same."""
    ours, theirs = pty.openpty()
    program = "import sys; sys.modules['tqdm'] = None; "
    program += "from carppcap.cli import main; sys.exit(main())"
    words = ["simulate", "--nodes", "2", "--repeat", str(PROGRESS_RUNS_MIN)]
    found = subprocess.run(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(),
        check=False,
        timeout=60,
    )
    os.close(theirs)
    os.close(ours)

    assert found.returncode == 0
    assert found.stdout.startswith(b"10 runs")


def test_the_password_is_hidden() -> None:
    """A password on the command line is not shown to other users."""
    words = ["--nodes", "2", "--duration", "10d", "--quiet", "--", "--pass=swordfish"]
    process = subprocess.Popen(
        [*COMMAND, "simulate", *words], stdout=subprocess.DEVNULL, env=environment()
    )
    try:
        shown = b"swordfish"
        for _ in range(200):
            shown = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            if b"swordfish" not in shown and b"simulate" in shown:
                break
            wait_a_moment(process)
    finally:
        process.kill()
        process.wait()

    assert b"swordfish" not in shown
    assert b"--pass=" in shown


def wait_a_moment(process: "subprocess.Popen[bytes]") -> None:
    """Let a process run for a moment."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.05)
