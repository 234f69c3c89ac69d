"""The architecture as a test: who may import whom, and what a pure module may do."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import carppcap

PACKAGE = Path(carppcap.__file__).parent

ROWS = (
    "addresses units errors",
    "wire",
    "election",
    "node options filter",
    "configuration",
    "conversion",
    "text",
    "system",
    "log",
    "daemon replay simulation commands",
    "cli",
    "__main__",
)
"""The packages, lowest row first.  A package imports from lower rows and from itself;
the modules of the first row are one package."""

SIMULATION_ROWS = "scenario programs model output".split()
"""The packages inside the simulator, the lowest first."""

PURE_ROWS = 6
"""So many rows, from the lowest on, touch nothing outside the process."""

PURE_ABOVE = (
    "replay.report",
    "replay.statistics",
    "simulation.scenario",
    "simulation.programs",
    "simulation.model",
    "simulation.output",
)
"""What is pure although its package is not."""

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
    "impacket": {"wire.decode", "wire.encode"},
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

_ROW_OF = {name: number for number, row in enumerate(ROWS) for name in row.split()}


def package_of(module: str) -> str:
    """The name in `ROWS` that `module` belongs to."""
    return module.partition(".")[0]


def is_pure(module: str) -> bool:
    """True if `module` must not touch anything outside the process."""
    row = _ROW_OF.get(package_of(module), len(ROWS))
    return row < PURE_ROWS or module.startswith(PURE_ABOVE)


PURE = [module for module in MODULES if module and is_pure(module)]
SHELL = [module for module in MODULES if module and not is_pure(module)]


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
    while rest and rest not in MODULES:
        rest = rest.rpartition(".")[0]
    return rest


def own_imports(module: str, tree: ast.AST) -> list[str]:
    """The modules of carppcap that `module` imports, without the package's root."""
    targets = {own_module(imported) for imported in imports(tree)} - {module, "", None}
    return sorted(target for target in targets if target is not None)


def upward_imports(module: str, tree: ast.AST) -> list[str]:
    """Imports of `module` that lead neither down nor to its own package."""
    own, row = package_of(module), _ROW_OF.get(package_of(module), -1)
    return [
        target
        for target in own_imports(module, tree)
        if _ROW_OF.get(package_of(target), len(ROWS)) >= row
        and package_of(target) != own
        and not row == _ROW_OF.get(package_of(target)) == 0
    ]


def circle(graph: dict[str, list[str]]) -> list[str]:
    """The modules of one import circle in `graph`, an empty list if there is none."""
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module in done:
            return []
        for target in graph.get(module, []):
            if found := visit(target, [*path, module]):
                return found
        done.add(module)
        return []

    for module in graph:
        if found := visit(module, []):
            return found
    return []


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


def test_every_package_has_a_row() -> None:
    """A new package is given its place in `ROWS`, and a row names no lost one."""
    assert {package_of(module) for module in MODULES if module} == _ROW_OF.keys()


@every_module
def test_imports_lead_downwards(module: str) -> None:
    """A package knows only the rows below it."""
    assert upward_imports(module, parse(module)) == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.count(".") == 2])
def test_the_simulator_has_rows_of_its_own(module: str) -> None:
    """A module of the simulator imports no package of it that is above its own."""
    package = module.split(".")[1]
    position = SIMULATION_ROWS.index(package)
    above = tuple(f"simulation.{name}" for name in SIMULATION_ROWS[position + 1 :])
    assert [t for t in own_imports(module, parse(module)) if t.startswith(above)] == []


def test_no_package_imports_in_a_circle() -> None:
    """The modules of one package have an order, too."""
    assert circle({name: own_imports(name, parse(name)) for name in MODULES}) == []


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_touch_nothing(module: str) -> None:
    """The core could run on any machine, at any time, twice with the same result."""
    assert impurities(parse(module)) == []


@every_module
def test_each_library_has_one_door(module: str) -> None:
    """To replace impacket or pcapy-ng, one module has to change."""
    assert undue_libraries(module, parse(module)) == []


@every_module
def test_functions_and_modules_stay_short(module: str) -> None:
    """A function fits on a screen, a module in a head."""
    assert long_functions(parse(module)) == []
    assert len(MODULES[module].read_text("utf-8").splitlines()) <= MODULE_LINES_MAX


@pytest.mark.parametrize("module", [m for m in MODULES if m.count(".") == 1])
def test_no_module_is_named_as_its_package(module: str) -> None:
    """`node.node` would leave open which of the two is meant."""
    package, _, name = module.partition(".")
    assert name != package


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
        ("from carppcap.wire.auth import Key", []),
        ("from carppcap.election import ties", []),
        ("import carppcap.node.groups", ["node.groups"]),
        ("from carppcap.node import groups", ["node.groups"]),
        ("from carppcap import __version__", []),
        ("from carppcap.node.ingress import Ingress", ["node.ingress"]),
        (
            "def f():\n    from carppcap.system.capture import Capture",
            ["system.capture"],
        ),
        ("from carppcap.system import capture", ["system.capture"]),
        ("import struct", []),
    ],
)
def test_an_upward_import_is_seen(source: str, expected: list[str]) -> None:
    """Every way to write an import, as `election.fsm` would write it."""
    assert upward_imports("election.fsm", ast.parse(source)) == expected


def test_an_import_of_a_neighbour_is_seen() -> None:
    """Packages of one row do not know each other."""
    tree = ast.parse("from carppcap.options.table import Option")

    assert upward_imports("filter.bpf", tree) == ["options.table"]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({}, []),
        ({"a": ["b", "c"], "b": ["c"], "c": []}, []),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ["b", "c"]),
    ],
)
def test_a_circle_is_seen(graph: dict[str, list[str]], expected: list[str]) -> None:
    """However long the way into it is."""
    assert circle(graph) == expected


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
        ("wire.decode", "from impacket.ImpactPacket import IP", []),
        ("node.ingress", "from impacket.ImpactPacket import IP", ["impacket"]),
        ("wire.decode", "import pcapy", ["pcapy"]),
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
