"""`make install`: the program with what it imports, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

import carppcap
from tests.installation import INSTALL, PREFIX, UNINSTALL, installed, service_python
from tests.shell import ROOT
from tests.test_layers import MODULES, PACKAGE, package_of

LIBRARIES = {"impacket", "six", "pcapy", "pyroute2"}
"""What a daemon may import beside the standard library, each by its module."""

TOOLS = {"replay", "simulation", "text.catalogues"}
"""What no daemon imports, by package or module."""

IMPORT_ALL = """
import importlib, sys
before = set(sys.modules)
for name in sys.argv[1:]:
    importlib.import_module(name)
for name, module in list(sys.modules.items()):
    if name not in before and getattr(module, "__file__", None):
        print(name, module.__file__)
"""


def imported(*command: str | Path) -> dict[str, Path]:
    """The file of each module that is imported with everything a daemon may import."""
    names = [
        f"carppcap.{name}"
        for name in MODULES
        if name and not TOOLS & {name, package_of(name)} and name != "__main__"
    ]
    ended = subprocess.run(
        [*command, "-c", IMPORT_ALL, *names, "pyroute2"],
        check=True,
        capture_output=True,
        text=True,
    )
    pairs = (line.split(" ", 1) for line in ended.stdout.splitlines())
    return {name: Path(path) for name, path in pairs}


def test_the_daemon_imports_no_requirement_of_impacket() -> None:
    """A web framework has no business beside a daemon that runs as root."""
    loaded = imported(sys.executable)
    foreign = {
        name.partition(".")[0]
        for name, path in loaded.items()
        if "site-packages" in path.parts
    }

    # An editable install, as for tests, brings the second one.
    assert foreign - {"carppcap", "_distutils_hack"} == LIBRARIES
    required = {re.match(r"[\w-]+", line)[0] for line in requires("impacket") or ()}  # type: ignore[index]
    assert "six" in required
    assert {name.lower() for name in required} & foreign == {"six"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed program, which stands elsewhere than it is installed for."""
    place = installed()
    other = place / "other"
    other.mkdir()
    (other / "impacket.py").write_text("raise ImportError('of the host')")
    program = (place / PREFIX[1:] / "bin/carppcap").read_text()
    here = program.replace(f'"{PREFIX}/', f'"{place}{PREFIX}/')
    assert here != program
    # pidof -x finds a script only if nothing stands between it and the program.
    assert program.splitlines()[0] == f"#!{service_python()}"
    script = place / "here"
    script.write_text(here)
    script.chmod(0o755)
    try:
        return subprocess.run(
            [script, *arguments],
            cwd="/",
            env={"PYTHONPATH": str(other), "LC_ALL": "C.UTF-8"},
            check=False,
            capture_output=True,
            text=True,
        )
    finally:
        script.unlink()
        shutil.rmtree(other)


def test_it_runs() -> None:
    """All three commands, with their translations."""
    assert run("--version").stdout == f"carppcap {carppcap.__version__}\n"
    assert (
        "frames 24"
        in run("replay", f"{ROOT}/fixtures/ucarp-election-and-kill/capture.pcap").stdout
    )
    assert run("simulate", "--duration=5s", "--quiet").returncode == 0
    assert list(installed().rglob("*.mo"))


def test_nothing_else_is_there() -> None:
    """The libraries, and of impacket only what is imported."""
    library = installed() / PREFIX[1:] / "lib/carppcap"
    entries = {
        re.match(r"\w+", path.name)[0]  # type: ignore[index]
        for path in library.iterdir()
        if not path.name.endswith((".dist-info", ".libs")) and path.name[0] != "_"
    }
    assert entries == LIBRARIES | {"carppcap"}

    loader = f"import sys; sys.path.insert(0, {str(library)!r}); exec(sys.argv.pop(1))"
    ended = subprocess.run(
        [
            service_python(),
            "-ISc",
            loader,
            IMPORT_ALL,
            "carppcap.wire.decode",
            "carppcap.wire.encode",
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {Path(line.split(" ", 1)[1]) for line in ended.stdout.splitlines()}
    here = library / "impacket"
    assert set(here.rglob("*.py")) == {path for path in loaded if here in path.parents}


def test_every_module_of_this_tree_is_there() -> None:
    """And none of an earlier one, which setuptools keeps where it builds."""
    package = installed() / PREFIX[1:] / "lib/carppcap/carppcap"

    assert {str(path.relative_to(package)) for path in package.rglob("*.py")} == {
        str(path.relative_to(PACKAGE)) for path in MODULES.values()
    }


def test_no_file_names_the_tree() -> None:
    """Nor the place where the package was made; every module is compiled."""
    files = [path for path in installed().rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        assert os.fsencode(f"{ROOT}/") not in content, path
        assert os.fsencode(installed()) not in content, path
    modules = [path for path in files if path.suffix == ".py"]
    compiled = [path for path in files if path.suffix == ".pyc"]
    assert len(modules) == len(compiled) > 100


def test_others_find_their_files() -> None:
    """systemd, man and the shells look in these places."""
    names = """
        lib/systemd/system/carppcap.service
        lib/systemd/system/carppcap@.service
        share/bash-completion/completions/carppcap
        share/doc/carppcap/Containerfile
        share/doc/carppcap/example.conf
        share/fish/vendor_completions.d/carppcap.fish
        share/man/man1/carppcap-replay.1
        share/man/man8/carppcap.8
        share/zsh/site-functions/_carppcap
    """
    for name in names.split():
        path = installed() / PREFIX[1:] / name
        assert path.is_file()
        assert path.stat().st_mode & 0o777 == 0o644
    unit = installed() / PREFIX[1:] / "lib/systemd/system/carppcap@.service"
    assert f"\nExecStart={PREFIX}/bin/carppcap " in unit.read_text()


def test_uninstall(tmp_path: Path) -> None:
    """What was installed is removed, and nothing else."""
    subprocess.run(["cp", "-r", f"{installed()}/opt", tmp_path], check=True)
    other = tmp_path / PREFIX[1:] / "bin/other"
    other.touch()

    subprocess.run([UNINSTALL, PREFIX, tmp_path], check=True)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [other]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["python3", "opt"], "PREFIX=opt: not an absolute path"),
        (["python-of-nobody", "/opt"], "python-of-nobody: not found"),
    ],
)
def test_what_cannot_be(arguments: list[str], why: str, tmp_path: Path) -> None:
    """A line that tells why, before anything is done."""
    ended = subprocess.run(
        [INSTALL, *arguments, tmp_path], check=False, capture_output=True, text=True
    )

    assert ended.returncode == 1
    assert f"install: {why}" in ended.stderr
    assert list(tmp_path.iterdir()) == []
