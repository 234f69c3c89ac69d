"""The architecture as a test: who may import whom, and what a pure module may do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import carppcap

PACKAGE = Path(carppcap.__file__).parent

PURE = (
    ("", "errors", "jobs", "units"),
    ("addresses", "advert", "ratelimit", "sequence"),
    ("auth", "hearing", "sources", "ties"),
    ("actions", "config", "events", "frames"),
    ("frames_built", "guard", "values", "voice"),
    ("bpf", "egress", "forgery", "fsm", "ingress", "options"),
    ("flood", "node"),
    ("diagnose", "occasion", "timeline"),
    ("shortcut", "tally"),
    ("report",),
    ("simulation.chance",),
    ("simulation.clocks", "simulation.scenario"),
    (
        "simulation.bsd_egress",
        "simulation.bsd_ingress",
        "simulation.host",
        "simulation.quantities",
        "simulation.wire",
    ),
    ("simulation.bsd_host", "simulation.carppcap_host", "simulation.ucarp_host"),
    ("simulation.machine", "simulation.report", "simulation.story"),
    ("simulation.cluster", "simulation.summary", "simulation.transcript"),
    ("simulation.document", "simulation.picture", "simulation.records"),
    ("simulation",),
)
"""The pure levels, lowest first; "" is the package itself."""

SHELL = (
    ("i18n", "locale", "system", "system.rtnetlink"),
    (
        "locale.catalogues",  # no part of the daemon: how its catalogues are made
        "system.capture",
        "system.clock",
        "system.inject",
        "system.link",
        "system.neighbours",
        "system.process",
        "system.protocol",
        "system.scripts",
        "system.syslog",
        "system.vmac",
    ),
    ("limitedlog", "origin", "password", "usage", "wire"),
    ("complaints",),
    ("journal",),
    ("holding",),
    ("daemon", "replay"),
    ("simulate", "tool"),
    ("cli",),
    ("__main__",),
)
"""The levels above, which may touch the world."""

LEVELS = {
    module: level for level, modules in enumerate(PURE + SHELL) for module in modules
}

FORBIDDEN_TO_THE_PURE = frozenset(
    """
    asyncio concurrent ctypes datetime fcntl glob io locale logging multiprocessing os
    pathlib platform pty queue random resource sched secrets select selectors shutil
    signal socket socketserver ssl subprocess sys syslog tempfile termios threading time
    uuid warnings
    """.split()
)
"""Clocks, files, sockets, processes, threads, the environment, global randomness."""

IMPURE_CALLS = frozenset(
    {"__import__", "breakpoint", "eval", "exec", "input", "open", "print"}
)

SOLE_IMPORTERS = {
    "impacket": {"frames", "frames_built"},
    "pcapy": {"system.capture", "system.inject"},
    "pyroute2": {"system.vmac"},
}

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 400

MODULES = {
    path.relative_to(PACKAGE)
    .as_posix()
    .removesuffix(".py")
    .replace("/", ".")
    .removesuffix("__init__")
    .removesuffix("."): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(tree: ast.AST) -> Iterator[str]:
    """The dotted name of everything that `tree` imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_module(imported: str) -> str | None:
    """The module of the package that a dotted name leads to, None for a foreign one."""
    head, _, rest = imported.partition(".")
    if head != "carppcap":
        return None
    while rest and rest not in MODULES and rest not in LEVELS:
        rest = rest.rpartition(".")[0]
    return rest


def upward_imports(module: str, tree: ast.AST) -> list[str]:
    """Imports of `module` that do not lead to a lower level."""
    targets = {own_module(imported) for imported in imports(tree)} - {module}
    return sorted(
        target
        for target in targets
        if target is not None and LEVELS.get(target, len(LEVELS)) >= LEVELS[module]
    )


def impurities(tree: ast.AST) -> list[str]:
    """What a pure module must not contain."""
    modules = {imported.partition(".")[0] for imported in imports(tree)}
    calls = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return sorted((modules & FORBIDDEN_TO_THE_PURE) | (calls & IMPURE_CALLS))


def undue_libraries(module: str, tree: ast.AST) -> list[str]:
    """Libraries that `module` imports although another module is there for it."""
    libraries = {imported.partition(".")[0] for imported in imports(tree)}
    return sorted(
        library
        for library, importers in SOLE_IMPORTERS.items()
        if library in libraries and module not in importers
    )


def long_functions(tree: ast.AST) -> list[str]:
    """Functions that do not fit on a screen."""
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text("utf-8"))


every_module = pytest.mark.parametrize("module", MODULES)


def test_every_module_has_a_level() -> None:
    """A new module must be given its place in PURE or SHELL above."""
    unknown = MODULES.keys() - LEVELS.keys()

    assert unknown == set()


@every_module
def test_imports_lead_downwards(module: str) -> None:
    """A module knows only what is below it, never its neighbours."""
    assert module in LEVELS, f"add {module} to PURE or SHELL"
    assert upward_imports(module, parse(module)) == []


@pytest.mark.parametrize("module", [m for row in PURE for m in row if m in MODULES])
def test_pure_modules_touch_nothing(module: str) -> None:
    """The core could run on any machine, at any time, twice with the same result."""
    assert impurities(parse(module)) == []


@every_module
def test_each_library_has_one_door(module: str) -> None:
    """Who wants to replace impacket or pcapy-ng has one module to look at."""
    assert undue_libraries(module, parse(module)) == []


@every_module
def test_functions_and_modules_stay_short(module: str) -> None:
    """A function fits on a screen, a module in a head."""
    assert long_functions(parse(module)) == []
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize(
    "directory",
    sorted({path.parent for path in MODULES.values()}),
    ids=lambda p: p.name,
)
def test_every_directory_is_a_package(directory: Path) -> None:
    """Without `__init__.py` a directory would be missing in what gets installed."""
    assert (directory / "__init__.py").is_file()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from carppcap.units import Instant", []),
        ("import carppcap.node.groups", ["node"]),
        ("from carppcap import node", ["node"]),
        ("from carppcap import __version__", []),
        ("from carppcap.node.ingress import Ingress", ["ingress"]),
        (
            "def f():\n    from carppcap.system.capture import Capture",
            ["system.capture"],
        ),
        ("from carppcap.system import capture", ["system.capture"]),
        ("import struct", []),
    ],
)
def test_an_upward_import_is_seen(source: str, expected: list[str]) -> None:
    """Every way to write an import, seen from fsm: its own level is too high too."""
    assert upward_imports("fsm", ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time", ["time"]),
        ("from random import Random", ["random"]),
        ("import os.path as p", ["os"]),
        ("def f():\n    import socket", ["socket"]),
        ("open('/etc/hosts')", ["open"]),
        ("from struct import Struct\nStruct('B').unpack(b'x')", []),
    ],
)
def test_an_impurity_is_seen(source: str, expected: list[str]) -> None:
    """Clock, environment, network and files are found wherever they hide."""
    assert impurities(ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("frames", "from impacket.ImpactPacket import IP", []),
        ("ingress", "from impacket.ImpactPacket import IP", ["impacket"]),
        ("frames", "import pcapy", ["pcapy"]),
        ("system.capture", "import pcapy", []),
    ],
)
def test_a_side_door_is_seen(module: str, source: str, expected: list[str]) -> None:
    """A library may be imported where it belongs, and only there."""
    assert undue_libraries(module, ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("lines", "expected"), [(FUNCTION_LINES_MAX, []), (FUNCTION_LINES_MAX + 1, ["f"])]
)
def test_a_long_function_is_seen(lines: int, expected: list[str]) -> None:
    """The limit counts the line of `def` too."""
    source = "def f():\n" + "    pass\n" * (lines - 1)

    assert long_functions(ast.parse(source)) == expected
