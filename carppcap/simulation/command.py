"""`carppcap simulate`: what would a group of hosts do?  From the command line on."""

import json
import multiprocessing
import os
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from carppcap.errors import N_, ConfigError, LinkError
from carppcap.options.command_line import split
from carppcap.options.parsers import parse_number
from carppcap.options.table import Option
from carppcap.simulation.output.picture import draw
from carppcap.simulation.output.records import (
    distribution_record,
    entry_record,
    summary_record,
)
from carppcap.simulation.output.report import Report
from carppcap.simulation.output.summary import summary, summary_of_many, worst_of
from carppcap.simulation.output.transcript import lines
from carppcap.simulation.run import measure, run
from carppcap.simulation.scenario.document import MEMBERS_MAX, check, parse_document
from carppcap.simulation.scenario.parts import Scenario
from carppcap.simulation.scenario.quantities import parse_positive_length
from carppcap.simulation.scenario.story import parse_scene
from carppcap.system.password import hide_passwords
from carppcap.text.help import simulate_usage

SEED_DEFAULT = 1
SEED_MAX = 2**63 - 1
RUNS_MAX = 1_000_000
JOBS_MAX = 256
NODES_DEFAULT = 2
START_DEFAULT = "0s..1s"
"""Hosts that begin in the same instant would be an odd case, not the usual one."""
SCENARIO_BYTES_MAX = 1024 * 1024
PROGRESS_RUNS_MIN = 10

_HERE = "command line"
_WIRE = ("loss", "delay", "jitter", "duplicate", "reorder", "corrupt")
_VERBS = ("crash", "kill", "stop", "start", "pull", "plug")


def _any(text: str, what: str) -> str:
    return text


def _up_to(low: int, high: int) -> Callable[[str, str], int]:
    def parse(text: str, what: str) -> int:
        # Not with base 0 as the daemon has it: `--seed 010` is a ten.
        return parse_number(text.lstrip("0") or "0", what, low, high)

    return parse


def _row(
    name: str, metavar: str, text: str, parse: Callable[[str, str], Any] | None = _any
) -> Option:
    short = {"debug": "D", "help": "h"}.get(name, "")
    return Option(short, name, name, parse, metavar, text, original=False)


ROWS = (
    _row("nodes", "N", N_("so many hosts (default 2)"), _up_to(1, MEMBERS_MAX)),
    _row("kinds", "KINDS", N_("what they are: carppcap,ucarp,freebsd,netbsd,openbsd")),
    _row("node", "FLAGS", N_("a host with these options of the daemon; one by one")),
    _row("flags", "FLAGS", N_("options of the daemon for all hosts; also after --")),
    _row("duration", "TIME", N_("how long it takes (default 60s)")),
    _row("loss", "SHARE", N_("frames lost, such as 5%")),
    _row("delay", "TIME", N_("how long a frame takes (default 100us)")),
    _row("jitter", "TIME", N_("how much longer it may take")),
    _row("duplicate", "SHARE", N_("frames that arrive twice")),
    _row("reorder", "SHARE", N_("frames that arrive up to 2s late")),
    _row("corrupt", "SHARE", N_("frames with a wrong bit")),
    _row("crash", "TIME:HOST", N_("the host dies, and its address with it")),
    _row("kill", "TIME:HOST", N_("the process dies, the address stays behind")),
    _row("stop", "TIME:HOST", N_("the process is told to end")),
    _row("start", "TIME:HOST", N_("it is started again")),
    _row("pull", "TIME:HOST", N_("its cable is pulled")),
    _row("plug", "TIME:HOST", N_("its cable is plugged in")),
    _row("at", "SENTENCE", N_("whatever happens, such as: 10s for 5s lose 30%")),
    _row("seed", "N", N_("what chance depends on (default 1)"), _up_to(0, SEED_MAX)),
    _row("repeat", "N", N_("so many runs, with seed after seed"), _up_to(1, RUNS_MAX)),
    _row("jobs", "N", N_("so many at once (default: all cores)"), _up_to(1, JOBS_MAX)),
    _row("json", "", N_("one JSON object per line instead of text"), None),
    _row("svg", "FILE", N_("draw the run, or the worst of many, in FILE")),
    _row("quiet", "", N_("the summary only"), None),
    _row("debug", "", N_("say more: every advert and every event"), None),
    _row("help", "", N_("show this help"), None),
)
"""Every option, in the order of the help text."""


@dataclass(slots=True)
class _Request:
    """What the command line asks for."""

    path: str | None = None
    document: dict[str, str] = field(default_factory=dict)
    wire: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    nodes: int | None = None
    node: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    seed: int = SEED_DEFAULT
    repeat: int | None = None
    jobs: int | None = None
    svg: str | None = None
    switches: set[str] = field(default_factory=set)


def simulate(arguments: Sequence[str]) -> int:
    """`carppcap simulate [FILE] [OPTIONS]`: the exit status, or a `CarpError`."""
    request = _understand(arguments)
    if "help" in request.switches or not arguments:
        print(simulate_usage(ROWS), flush=True)
        return 0
    with suppress(ConfigError):  # which is said below, and where
        hide_passwords(request.flags)
    scenario = _scenario(request)
    if request.repeat is None:
        _once(scenario, request)
    else:
        _often(scenario, request, request.repeat, partial(_command, arguments))
    sys.stdout.flush()
    return 0


def _understand(arguments: Sequence[str]) -> _Request:
    own, flags = list(arguments), []
    if "--" in own:
        position = own.index("--")
        own, flags = own[:position], own[position + 1 :]
    given, words = split(own, ROWS)
    if len(words) > 1:
        raise ConfigError(
            "Unexpected argument: [{word}] (one scenario file only, see --help)",
            word=words[1],
        )
    request = _Request(path=words[0] if words else None)
    for row, name, text in given:
        _take(request, row, name, text)
    request.flags += flags
    return request


def _take(request: _Request, row: Option, name: str, text: str) -> None:
    if row.parse is None:
        request.switches.add(row.field)
        return
    value = row.parse(text, name)
    if row.field in _WIRE:
        request.wire[row.field] = value
    elif row.field in _VERBS:
        when, _, host = text.partition(":")
        request.sentences.append(f"at {when} {row.field} {host}")
    elif row.field == "at":
        request.sentences.append(text if text.startswith("at ") else f"at {text}")
    elif row.field == "flags":
        request.flags += _split_flags(text)
    elif row.field == "node":
        request.node.append(text)
    elif row.field == "kinds":
        request.kinds = text.split(",")
    elif row.field == "duration":
        request.document["duration"] = text
    else:
        setattr(request, row.field, value)


def _split_flags(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(
            "{where}: {why}", where=f"{_HERE}: flags", why=error
        ) from None


def _scenario(request: _Request) -> Scenario:
    """The scenario of the file, or of the command line, or of both."""
    document, where = _document(request)
    group = document.setdefault("group", {})
    if request.flags and isinstance(group, dict):
        group["flags"] = f"{group.get('flags', '')} {shlex.join(request.flags)}"
    wire = document.setdefault("wire", {})
    if isinstance(wire, dict):
        wire |= request.wire
    length = request.document.get("duration")
    if length is not None:
        parse_positive_length(length, f"{_HERE}: duration")
        document["duration"] = length
    scenario = parse_document(document, where)
    names = [member.name for member in scenario.members]
    scenes = [parse_scene(words, names, _HERE) for words in request.sentences]
    scenario = replace(scenario, story=(*scenario.story, *scenes))
    check(scenario, where)
    return scenario


def _document(request: _Request) -> tuple[dict[str, Any], str]:
    if request.path is not None:
        if request.nodes is not None or request.kinds or request.node:
            raise ConfigError(
                "{path} names the hosts (leave out: --nodes, --node, --kinds)",
                path=request.path,
            )
        return _read(request.path), request.path
    given = max(len(request.kinds), len(request.node))
    count = request.nodes or given or NODES_DEFAULT
    if given > count:
        raise ConfigError(
            "{where}: {given} hosts are described, but there are {count} (--nodes)",
            where=_HERE,
            given=given,
            count=count,
        )
    kinds = request.kinds or ["carppcap"]
    kinds = kinds + kinds[-1:] * (count - len(kinds))  # the last is that of all others
    flags = request.node + [""] * (count - len(request.node))
    nodes = {
        f"node{number}": {"kind": kind, "flags": flag, "start": START_DEFAULT}
        for number, (kind, flag) in enumerate(zip(kinds, flags, strict=True), start=1)
    }
    return {"node": nodes}, _HERE


def _read(path: str) -> dict[str, Any]:
    """The document in a file.  Raises `LinkError`, or `ConfigError` for its text."""
    try:
        with open(path, "rb") as file:
            content = file.read(SCENARIO_BYTES_MAX + 1)
    except OSError as error:
        raise LinkError(
            "Unable to read {path}: {why}", path=path, why=error.strerror
        ) from None
    if len(content) > SCENARIO_BYTES_MAX:
        raise ConfigError("{path} is too long for a scenario", path=path)
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or endless
        raise ConfigError("{where}: {why}", where=path, why=error) from None


def _once(scenario: Scenario, request: _Request) -> None:
    result = run(scenario, request.seed)
    if request.svg is not None:
        _draw(scenario, request.seed, request.svg)
    quiet, debug = "quiet" in request.switches, "debug" in request.switches
    if "json" in request.switches:
        entries = () if quiet else result.entries
        _print(json.dumps(entry_record(entry)) for entry in entries)
        _print([json.dumps(summary_record(result.report))])
        return
    if not quiet:
        _print(lines(result.entries, verbose=debug))
        print()
    _print(summary(scenario, result.report))


def _often(
    scenario: Scenario, request: _Request, runs: int, command: Callable[[int], str]
) -> None:
    seeds = range(request.seed, request.seed + runs)
    reports = list(_progress(_measure(scenario, seeds, request.jobs), runs))
    if request.svg is not None:
        _draw(scenario, worst_of(reports).seed, request.svg)
    if "json" in request.switches:
        if "quiet" not in request.switches:
            _print(json.dumps(summary_record(report)) for report in reports)
        _print([json.dumps(distribution_record(reports))])
    else:
        _print(summary_of_many(reports, command))


def _measure(
    scenario: Scenario, seeds: Sequence[int], jobs: int | None
) -> Iterator[Report]:
    """The report of each seed in their order, however many work on it."""
    jobs = min(jobs or len(os.sched_getaffinity(0)), len(seeds))
    if jobs == 1:
        yield from map(partial(measure, scenario), seeds)
        return
    chunk = max(1, min(16, len(seeds) // (4 * jobs)))
    with multiprocessing.Pool(jobs) as pool:
        yield from pool.imap(partial(measure, scenario), seeds, chunk)
        # They end by themselves; told by a signal, one may have inherited to ignore it.
        pool.close()
        pool.join()


def _progress(reports: Iterable[Report], runs: int) -> Iterable[Report]:
    """Show how many are done, where somebody may look and tqdm is there."""
    if runs < PROGRESS_RUNS_MIN or not sys.stderr.isatty():
        return reports
    try:
        from tqdm import tqdm  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        return reports
    bar: Iterable[Report] = tqdm(reports, total=runs, unit="run", leave=False)
    return bar


def _draw(scenario: Scenario, seed: int, path: str) -> None:
    result = run(scenario, seed)
    picture = draw(scenario, result.entries, result.holders, result.report)
    try:
        with nullcontext(sys.stdout) if path == "-" else open(path, "w") as file:
            file.write(picture)
    except OSError as error:
        raise LinkError(
            "Unable to write {path}: {why}", path=path, why=error.strerror
        ) from None


def _command(arguments: Sequence[str], seed: int) -> str:
    """The command line that shows one of many runs."""
    kept: list[str] = []
    own = list(arguments)
    flags = own[own.index("--") :] if "--" in own else []
    given, words = split(own[: len(own) - len(flags)], ROWS)
    for row, _, text in given:
        if row.field not in ("repeat", "seed", "jobs", "quiet", "svg", "json"):
            kept += [f"--{row.long}", text] if row.parse else [f"--{row.long}"]
    kept += ["--seed", str(seed)]
    return shlex.join(["carppcap", "simulate", *words, *kept, *flags])


def _print(texts: Iterable[str]) -> None:
    for text in texts:
        print(text)
