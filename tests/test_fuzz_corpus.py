"""What fuzzing found worth keeping, in every run of the tests; and the fuzzer."""

import gc
import hmac
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from carppcap.configuration import locate, render
from carppcap.conversion import result
from carppcap.node import ingress
from carppcap.node.ingress import RejectReason
from carppcap.options import command_line
from carppcap.options import parsers as values
from carppcap.replay import run as replay_run
from carppcap.wire import decode as frames
from carppcap.wire import header as advert
from carppcap.wire.auth import Verifier
from carppcap.wire.decode import Defect
from tests.fuzz import mutation
from tests.fuzz.__main__ import HEADINGS, Job, Result, plan, table
from tests.fuzz.catalogue import KEPT, TARGETS, Target, captured_frames
from tests.fuzz.corpus import least
from tests.fuzz.worker import CRASHED
from tests.shell import environment

FILES_MAX = 500
BYTES_MAX = 300_000
BLOCKS_MAX = 200
"""Of Python's memory, that may come and go for reasons of its own."""

ENTRIES = [
    pytest.param(target, path, id=f"{target.name}-{path.name}")
    for target in TARGETS.values()
    for path in target.kept
]
every_target = pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)


@pytest.mark.parametrize(("target", "path"), ENTRIES)
def test_kept_input(target: Target, path: Path) -> None:
    """No promise is broken; the checks are in the target."""
    target.check(path.read_bytes())


@every_target
def test_seeds(target: Target) -> None:
    """Nor by what fuzzing begins with, the captured frames in every disguise."""
    for data in target.seeds(captured_frames()):
        target.check(data)


def test_the_corpus_is_small() -> None:
    """Every clone has it, and every run of the tests."""
    files = [path for path in KEPT.rglob("*") if path.is_file()]

    assert {path.parent.name for path in files} == TARGETS.keys()
    assert len(files) < FILES_MAX
    assert sum(path.stat().st_size for path in files) < BYTES_MAX


def outcomes(name: str) -> set[object]:
    target = TARGETS[name]
    return {target.check(path.read_bytes()) for path in target.kept}


REFUSED_LATER = ("replay", "tampered", "stale")
"""What the doorkeeper does not know."""


def test_the_corpus_reaches_every_verdict() -> None:
    """A corpus that knew only one kind of frame would prove little."""
    found = outcomes("verdicts")
    first = {outcome[0] if isinstance(outcome, tuple) else outcome for outcome in found}

    assert set(Defect) <= first
    assert set(RejectReason) - set(map(RejectReason, REFUSED_LATER)) <= first
    accepted = {outcome[:2] for outcome in found if isinstance(outcome, tuple)}
    assert {
        (7, 4),
        (7, 6),
        (8, 4),
        (8, 6),
        (9, 4),
        ("hint", 4),
        ("hint", 6),
        ("solicitation", 4),
        ("solicitation", 6),
    } <= accepted
    assert {(8, 6, form, True, True, False) for form in (0, 32, 64, 96)} <= found
    assert (8, 6, 0, False, False, False) in found  # a peer, from afar


@every_target
def test_inputs_leave_nothing_behind(target: Target) -> None:
    """Whatever comes again and again, memory stays as it is."""
    inputs = [path.read_bytes() for path in target.kept]

    def blocks() -> int:
        for data in inputs:
            target.check(data)
        gc.collect()
        return sys.getallocatedblocks()

    blocks(), blocks()  # caches fill
    before = blocks()

    assert blocks() - before < BLOCKS_MAX
    assert blocks() - before < BLOCKS_MAX


@pytest.mark.parametrize(
    ("name", "module", "function", "broken"),
    [
        ("frames", frames, "checksum", lambda _: 0),
        ("frames", frames, "_FRAGMENT_BITS", 0x2000),
        ("frames", frames, "_VLAN_TAGS_MAX", 3),
        ("frames", frames, "_TAGS", frozenset((b"\x81\x00",))),
        ("frames", frames, "_EXTENSIONS_MAX", 7),
        ("frames", frames, "_EXTENSIONS", frozenset((0, 60))),
        ("frames", frames, "_skip_extensions", lambda _, protocol: (protocol, 40)),
        ("verdicts", hmac, "compare_digest", lambda one, other: one[:1] == other[:1]),
        (
            "verdicts",
            Verifier,
            "find",
            lambda self, counter, digest, _: (
                self.usual if self.usual.verify(counter, digest) else None
            ),
        ),
        ("verdicts", advert, "pseudo_checksum", lambda *_: 0),
        ("verdicts", ingress, "TTL", 254),
        ("verdicts", advert, "AUTHLEN", 5),
        ("streams", replay_run, "is_quiet", lambda _: True),
        ("settings", values, "PASSWORD_LENGTH_MAX", 20),
        ("settings", values, "is_host", lambda _: True),
        (
            "settings",
            command_line,
            "merge_virtual_addresses",
            lambda *both: sum(both, ()),
        ),
        ("settings", command_line, "passwords", lambda _: []),
        ("configurations", locate, "_LONG_BASIC", locate._BASIC),
        ("conversions", result, "alternatives_of", lambda name: frozenset((name,))),
        ("conversions", render, "_CONTROL", re.compile("\\0")),
    ],
)
def test_the_corpus_notices(
    name: str,
    module: object,
    function: str,
    broken: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of these mistakes in the code would be caught by what was kept."""
    monkeypatch.setattr(module, function, broken)

    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever promise breaks first
        outcomes(name)


def fragile(data: bytes) -> object:
    """A parser that does not expect two things."""
    kinds = ("short", "plain", "marked")
    if len(data) < 3:
        return kinds[0]
    if data[:1] == b"\x80":
        assert data[1] != 0xFF
        return kinds[2]
    return kinds[1]


def test_mutation_finds_what_hides_behind_another_find() -> None:
    """What is new is kept and built upon; the failing input is given back."""
    found = mutation.run(fragile, [b"abcd"], length_max=8, seed=1, runs=200_000)

    assert found.failing is not None
    assert found.failing[:2] == b"\x80\xff"
    assert isinstance(found.error, AssertionError)
    assert any(data[:1] == b"\x80" for data in found.new)
    assert found.kinds == 3


def test_mutation_keeps_to_its_limits() -> None:
    """Of length, of number, and of time for one input."""
    lengths: set[int] = set()

    def remember(data: bytes) -> object:
        lengths.add(len(data))
        return len(data)

    found = mutation.run(remember, [b""], length_max=5, seed=2, runs=2000)

    assert found.inputs == 2000
    assert lengths == set(range(6))

    def stuck(data: bytes) -> object:
        while data:
            pass
        return None

    found = mutation.run(stuck, [b"x"], length_max=5, seed=2, runs=9, timeout_s=0.05)

    assert isinstance(found.error, mutation.TooSlowError)


def test_mutation_can_be_repeated() -> None:
    """One seed, one run."""
    random, again = Random(7), Random(7)
    inputs = [mutation.mutate(b"abcdef", b"xyz", random, 9) for _ in range(500)]

    assert inputs == [mutation.mutate(b"abcdef", b"xyz", again, 9) for _ in range(500)]
    assert len(set(inputs)) > 300


def test_the_least_that_reaches_as_much() -> None:
    """One input for each outcome, the shortest."""
    inputs = [b"abcd", b"abc", b"\x80ab", b"\x80abc", b"a", b""]

    assert sorted(least(fragile, inputs)) == [b"", b"abc", b"\x80ab"]


AS_IT_IS = ""
WITHOUT_ATHERIS = "import sys; sys.modules['atheris'] = None\n"
BROKEN = "import carppcap.node.ingress; carppcap.node.ingress.TTL = 254\n"
WORK = "import sys; from tests.fuzz.worker import main; sys.exit(main(sys.argv[1:]))\n"
either_way = pytest.mark.parametrize(
    "fuzzer", [AS_IT_IS, WITHOUT_ATHERIS], ids=["as-it-is", "without-atheris"]
)


def work(preparation: str, name: str, directory: Path) -> Result:
    """Three hundred inputs for one target, in a process prepared like this."""
    target = TARGETS[name]
    learnt = directory / "learnt"
    learnt.mkdir()
    options = [f"-max_len={target.length_max}", "-runs=300", "-seed=1", "-timeout=10"]
    options += [f"-artifact_prefix={directory}/failed-", "-print_final_stats=1"]
    words = [name, *options, str(learnt), str(KEPT / name)]
    ended = subprocess.run(
        [sys.executable, "-c", preparation + WORK, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # libFuzzer uses one, atheris the other
        text=True,
        check=False,
        env=environment(),
    )
    return Result(Job(target, None, 300, 1), ended.returncode, ended.stdout)


@either_way
@pytest.mark.parametrize("name", ["frames", "settings"])
def test_a_short_run(name: str, fuzzer: str, tmp_path: Path) -> None:
    """The worker runs by either fuzzer, and says what the table needs."""
    result = work(fuzzer, name, tmp_path)

    assert result.failure == ""
    assert result.inputs == 300
    assert result.last("cov:") > 0
    assert min(result.rss_mb) > 0
    assert not list(tmp_path.glob("failed-*"))


@either_way
def test_a_failing_input_is_saved(fuzzer: str, tmp_path: Path) -> None:
    """With the code broken on purpose: a file, a traceback, and the status."""
    result = work(fuzzer + BROKEN, "verdicts", tmp_path)

    assert result.failure == f"status {CRASHED}"
    assert "AssertionError" in result.output
    (failing,) = tmp_path.glob("failed-*")
    TARGETS["verdicts"].check(failing.read_bytes())  # which is whole, here


def test_the_table() -> None:
    """A row for each process; growth is a failure like any other."""
    target = TARGETS["frames"]
    output = (
        "#20\tINITED cov: 1 ft: 1 corp: 3/5b exec/s: 0 rss: 40Mb\n"
        "#9000\tDONE   cov: 72 ft: 80 corp: 9/90b lim: 20 exec/s: 3000 rss: 41Mb\n"
        "stat::new_units_added:          7\n"
    )
    job = Job(target, 1, None, 1)
    good, grown = Result(job, 0, output), Result(job, 0, output.replace("41", "410"))
    crashed = Result(job, 77, output)
    silent = Result(job, 0, "")

    assert good.row() == (
        "frames", "9 000", "3 000", "72/80", "7", "40 -> 41", "ok"
    )  # fmt: skip
    assert (good.failure, grown.failure) == ("", "grew by 370 MB")
    assert (crashed.failure, silent.failure) == ("status 77", "no inputs")
    lines = list(table([good, grown]))
    assert lines[0].split() == " ".join(HEADINGS).split()
    assert lines[1].endswith("ok")


@pytest.mark.parametrize(
    ("names", "cores", "expected"),
    [
        (["frames"], 1, [("frames", 60)]),
        (["frames"], 2, [("frames", 60), ("frames", 60)]),
        (["frames", "files"], 2, [("frames", 60), ("files", 60)]),
        (["frames", "verdicts", "streams"], 2, [(n, 30) for n in TARGETS][:3]),
        (list(TARGETS), 2, [(name, 15) for name in TARGETS]),
    ],
)
def test_the_time_is_shared(
    names: list[str], cores: int, expected: list[tuple[str, int]]
) -> None:
    """All cores are busy and all is over in time."""
    targets = [TARGETS[name] for name in names]
    jobs = plan(targets, 60, None, 1, cores)

    assert sorted((job.target.name, job.seconds) for job in jobs) == sorted(expected)
    assert len({(job.target.name, job.seed) for job in jobs}) == len(jobs)
    runs = [job.runs for job in plan(targets, 60, 1000, 1, cores) if job.runs]
    assert sum(runs) >= 1000 * len(targets)
