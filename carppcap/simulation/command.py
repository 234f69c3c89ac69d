"""The command `carppcap simulate`: its options and its output."""

import json
import multiprocessing
import os
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

from carppcap.errors import N_, ConfigError, link_errors
from carppcap.options.command_line import split
from carppcap.options.parsers import any_text, parse_number
from carppcap.options.table import Option
from carppcap.simulation.output import records
from carppcap.simulation.output.picture import draw
from carppcap.simulation.output.report import Report, Run
from carppcap.simulation.output.summary import summary, summary_of_many, worst_of
from carppcap.simulation.output.transcript import lines
from carppcap.simulation.run import measure, run
from carppcap.simulation.scenario.document import (
    MEMBERS_MAX,
    WIRE,
    check,
    parse_document,
)
from carppcap.simulation.scenario.parts import Scenario
from carppcap.simulation.scenario.quantities import located, parse_positive_length
from carppcap.simulation.scenario.story import parse_scene
from carppcap.system.password import hide_passwords
from carppcap.text.help import simulate_usage

SEED_DEFAULT = 1
SEED_MAX = 2**63 - 1
RUNS_MAX = 1_000_000
JOBS_MAX = 256
NODES_DEFAULT = 2
START_DEFAULT = "0s..1s"
"""When each host starts if there is no scenario file: at a random time."""
SCENARIO_BYTES_MAX = 1024 * 1024
PROGRESS_RUNS_MIN = 10

_HERE = "command line"

_Parse = Callable[[str, str], Any]


def _up_to(low: int, high: int) -> _Parse:
    def parse(text: str, what: str) -> int:
        # Leading zeros have no meaning here: `--seed 010` is 10, and not octal.
        return parse_number(text.lstrip("0") or "0", what, low, high)

    return parse


def _kinds(text: str, what: str) -> list[str]:
    return text.split(",")


def _flags(text: str, what: str) -> list[str]:
    with located(f"{_HERE}: flags"):
        return shlex.split(text)


def _duration(text: str, what: str) -> str:
    with located(f"{_HERE}: duration"):
        parse_positive_length(text)
    return text


def _sentence(text: str, what: str) -> str:
    return text if text.startswith("at ") else f"at {text}"


def _row(
    name: str, metavar: str, text: str, parse: _Parse | None = any_text, field: str = ""
) -> Option:
    short = {"debug": "D", "help": "h"}.get(name, "")
    return Option(short, name, field or name, parse, metavar, text, ucarp=False)


def _verb(verb: str, text: str) -> Option:
    """Return the option that is named like `verb` and has `text` as its help text.

    Its value TIME:HOST stands for a sentence of the story: `at TIME verb HOST`.
    """

    def parse(text: str, what: str) -> str:
        when, _, host = text.partition(":")
        return f"at {when} {verb} {host}"

    return _row(verb, "TIME:HOST", text, parse, "story")


ROWS = (
    _row("nodes", "N", N_("number of hosts (default 2)"), _up_to(1, MEMBERS_MAX)),
    _row("kinds", "KINDS", N_("kinds of hosts, comma-separated: carppcap, ucarp, freebsd, netbsd, openbsd, opnsense, jcarp"), _kinds),
    _row("node", "FLAGS", N_("a host with these options of the daemon; once per host")),
    _row("flags", "FLAGS", N_("options of the daemon for all hosts; also after --"), _flags),
    _row("duration", "TIME", N_("simulated time (default 60s)"), _duration),
    _row("loss", "SHARE", N_("share of frames lost, such as 5%")),
    _row("delay", "TIME", N_("delay of each frame (default 100us)")),
    _row("jitter", "TIME", N_("additional random delay, at most")),
    _row("duplicate", "SHARE", N_("share of frames that arrive twice")),
    _row("reorder", "SHARE", N_("share of frames that arrive up to 2s late")),
    _row("corrupt", "SHARE", N_("share of frames with a wrong bit")),
    _verb("crash", N_("the host fails, and its address with it")),
    _verb("kill", N_("the process dies, the address stays configured")),
    _verb("stop", N_("the process is told to end")),
    _verb("start", N_("the process is started again")),
    _verb("pull", N_("the cable is pulled")),
    _verb("plug", N_("the cable is plugged in")),
    _row("at", "SENTENCE", N_("any event, such as: 10s for 5s lose 30%"), _sentence, "story"),
    _row("seed", "N", N_("random seed (default 1)"), _up_to(0, SEED_MAX)),
    _row("repeat", "N", N_("number of runs, each with the next seed"), _up_to(1, RUNS_MAX)),
    _row("jobs", "N", N_("parallel runs (default: all cores)"), _up_to(1, JOBS_MAX)),
    _row("json", "", N_("one JSON object per line instead of text"), None),
    _row("svg", "FILE", N_("draw the run, or the worst of many, in FILE")),
    _row("quiet", "", N_("the summary only"), None),
    _row("debug", "", N_("show every advert and every event"), None),
    _row("help", "", N_("show this help"), None),
)  # fmt: skip
"""Every option, in the order of the help text."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A parsed command line.

    `given` lists the options that were given: the row of each in `ROWS`, the text of
    its value, and the parsed value.  `words` contains the name of the scenario file, or
    nothing.  `daemon_flags` are the words after `--`.
    """

    given: Sequence[tuple[Option, str, Any]]
    words: Sequence[str]
    daemon_flags: Sequence[str]

    def all(self, field: str) -> list[Any]:
        return [value for row, _, value in self.given if row.field == field]

    def last(self, field: str, default: Any = None) -> Any:
        return next(reversed(self.all(field)), default)

    def command(self, seed: int) -> str:
        """Return the command line that shows one of many runs: the one with `seed`."""
        words = ["carppcap", "simulate", *self.words]
        for row, text, _ in self.given:
            if row.field not in ("repeat", "seed", "jobs", "quiet", "svg", "json"):
                words += [f"--{row.long}", text] if row.parse else [f"--{row.long}"]
        words += ["--seed", str(seed)]
        return shlex.join(
            [*words, "--", *self.daemon_flags] if self.daemon_flags else words
        )


def simulate(arguments: Sequence[str]) -> int:
    """Run `carppcap simulate [FILE] [OPTIONS]` and return its exit status."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given, words = split(arguments[:end], ROWS)
    if len(words) > 1:
        raise ConfigError(
            "Unexpected argument: [{word}] (one scenario file only, see --help)",
            word=words[1],
        )
    read = [
        (row, text, row.parse is None or row.parse(text, name))
        for row, name, text in given
    ]
    request = _Request(read, words, arguments[end + 1 :])
    if request.last("help") or not arguments:
        print(simulate_usage(ROWS), flush=True)
        return 0
    flags = [*chain.from_iterable(request.all("flags")), *request.daemon_flags]
    with suppress(ConfigError):  # `_scenario` reports it, and says where the error is
        hide_passwords(flags)
    scenario = _scenario(request, flags)
    shown = _often if request.all("repeat") else _once
    for line in shown(scenario, request):
        print(line)
    sys.stdout.flush()
    return 0


def _scenario(request: _Request, flags: Sequence[str]) -> Scenario:
    """Return the scenario that the scenario file and the options describe together.

    `flags` are options of the daemon, which apply to all hosts.
    """
    document, where = _document(request)
    group = document.setdefault("group", {})
    if flags and isinstance(group, dict):
        group["flags"] = f"{group.get('flags', '')} {shlex.join(flags)}"
    wire = document.setdefault("wire", {})
    if isinstance(wire, dict):
        wire |= {key: request.last(key) for key in WIRE if request.all(key)}
    if request.all("duration"):
        document["duration"] = request.last("duration")
    scenario = parse_document(document, where)
    names = [member.name for member in scenario.members]
    with located(_HERE):
        scenes = [parse_scene(words, names) for words in request.all("story")]
    scenario = replace(scenario, story=(*scenario.story, *scenes))
    with located(where):
        check(scenario)
    return scenario


def _document(request: _Request) -> tuple[dict[str, Any], str]:
    """Return the TOML document of the scenario, and a name for it in error messages.

    The document is read from the scenario file if one is given, otherwise it is made
    from the options.
    """
    nodes, node = request.last("nodes"), request.all("node")
    kinds = request.last("kinds", [])
    if request.words:
        (path,) = request.words
        if nodes or kinds or node:
            raise ConfigError(
                "{path} names the hosts (leave out: --nodes, --node, --kinds)",
                path=path,
            )
        return _read(path), path
    given = max(len(kinds), len(node))
    count = nodes or given or NODES_DEFAULT
    if given > count:
        raise ConfigError(
            "{where}: {given} hosts are described, but there are {count} (--nodes)",
            where=_HERE,
            given=given,
            count=count,
        )
    kinds = kinds or ["carppcap"]
    kinds = kinds + kinds[-1:] * (count - len(kinds))  # the last one is for the rest
    flags = node + [""] * (count - len(node))
    return {
        "node": {
            f"node{number}": {"kind": kind, "flags": flag, "start": START_DEFAULT}
            for number, (kind, flag) in enumerate(zip(kinds, flags, strict=True), 1)
        }
    }, _HERE


def _read(path: str) -> dict[str, Any]:
    """Return the TOML document in the file `path`.

    Raises `LinkError` if the file cannot be read, and `ConfigError` if it is not TOML
    or is longer than `SCENARIO_BYTES_MAX`.
    """
    with (
        link_errors("Unable to read {path}: {why}", path=path),
        open(path, "rb") as file,
    ):
        content = file.read(SCENARIO_BYTES_MAX + 1)
    if len(content) > SCENARIO_BYTES_MAX:
        raise ConfigError("{path} is too long for a scenario", path=path)
    with located(path):
        return tomllib.loads(content.decode("utf-8"))


def _once(scenario: Scenario, request: _Request) -> Iterable[str]:
    """Run the scenario once; return the lines to print.  With --svg, draw the run."""
    result = run(scenario, request.last("seed", SEED_DEFAULT))
    if request.all("svg"):
        _draw(result, request.last("svg"))
    entries = [] if request.last("quiet") else result.entries
    if request.last("json"):
        told = map(records.entry_record, entries)
        return map(json.dumps, [*told, records.summary_record(result.report)])
    story = lines(entries, verbose=bool(request.last("debug")))
    gap = [] if request.last("quiet") else [""]
    return chain(story, gap, summary(scenario, result.report))


def _often(scenario: Scenario, request: _Request) -> Iterable[str]:
    """Run the scenario many times; return the lines to print.

    With --svg, draw the worst run.
    """
    first, runs = request.last("seed", SEED_DEFAULT), request.last("repeat")
    measured = _measure(scenario, range(first, first + runs), request.last("jobs", 0))
    reports = list(_progress(measured, runs))
    if request.all("svg"):
        _draw(run(scenario, worst_of(reports).seed), request.last("svg"))
    if request.last("json"):
        told = [] if request.last("quiet") else reports
        each = map(records.summary_record, told)
        return map(json.dumps, [*each, records.distribution_record(reports)])
    return summary_of_many(reports, request.command)


def _measure(scenario: Scenario, seeds: range, jobs: int) -> Iterator[Report]:
    """Yield the report of the run with each seed, in the order of `seeds`.

    The runs are shared among `jobs` processes; 0 means one for each core.
    """
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(seeds))
    if jobs == 1:
        yield from map(partial(measure, scenario), seeds)
        return
    chunk = max(1, min(16, len(seeds) // (4 * jobs)))
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap(partial(measure, scenario), seeds, chunk)
        # Without this the pool would be terminated by a signal, and a worker ignores
        # that signal if this process was started with it ignored.
        pool.close()
        pool.join()


def _progress(reports: Iterable[Report], runs: int) -> Iterable[Report]:
    """Return `reports`; while they are read, a progress bar is shown.

    There is no bar if tqdm is not installed, if standard error is no terminal, or if
    there are fewer than `PROGRESS_RUNS_MIN` runs.
    """
    if runs < PROGRESS_RUNS_MIN or not sys.stderr.isatty():
        return reports
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        return reports
    bar: Iterable[Report] = tqdm(reports, total=runs, unit="run", leave=False)
    return bar


def _draw(result: Run, path: str) -> None:
    picture = draw(result)
    with (
        link_errors("Unable to write {path}: {why}", path=path),
        nullcontext(sys.stdout) if path == "-" else open(path, "w") as file,
    ):
        file.write(picture)
