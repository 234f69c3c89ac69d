"""One target in one process, under atheris or, without it, under `mutation`.

    python -m tests.fuzz.worker TARGET [libFuzzer's options and directories]

Everything else is libFuzzer's: its options, the format of what it prints, and that it
ends the process.  Without it the few options and lines that `__main__` needs are kept
alike.  Coverage is that of our own code and of what it uses of impacket.
"""

import importlib
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from hashlib import sha1
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from tests.fuzz import mutation

if TYPE_CHECKING:
    from tests.fuzz.catalogue import Target

INSTRUMENTED = ("carppcap", "impacket.ImpactPacket")
CRASHED = 77
"""The exit status that libFuzzer has for it."""


def find_atheris() -> ModuleType | None:
    """atheris, unless there is none for this Python or this machine."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def load(name: str, atheris: ModuleType | None) -> "Target":
    """The target; its first import decides whether its coverage is seen."""
    watched: Any = nullcontext()
    if atheris is not None:
        watched = atheris.instrument_imports(include=list(INSTRUMENTED))
    with watched:
        catalogue = importlib.import_module("tests.fuzz.catalogue")
    target: Target = catalogue.TARGETS[name]
    return target


def main(arguments: list[str]) -> int:
    """Run one target until its time is over or it fails."""
    name, *rest = arguments
    atheris = find_atheris()
    target = load(name, atheris)
    if atheris is None:
        options = dict(word[1:].split("=", 1) for word in rest if word[0] == "-")
        return _mutate(target, options, [word for word in rest if word[0] != "-"])
    check: Callable[[bytes], object] = target.check

    def once(data: bytes) -> None:
        check(data)

    atheris.Setup([name, *rest], once)
    atheris.Fuzz()
    return 0


def _mutate(target: "Target", options: dict[str, str], directories: list[str]) -> int:
    seeds = [
        path.read_bytes()
        for directory in directories
        for path in sorted(Path(directory).iterdir())
    ]
    began, before_mb = time.monotonic(), _rss_mb()
    found = mutation.run(
        target.check,
        seeds,
        length_max=target.length_max,
        seed=int(options["seed"]),
        seconds=float(options.get("max_total_time", 0)) or None,
        runs=int(options["runs"]) if "runs" in options else None,
        timeout_s=float(options["timeout"]),
    )
    speed = found.inputs / max(time.monotonic() - began, 0.001)
    for data in found.new:
        (Path(directories[0]) / sha1(data).hexdigest()).write_bytes(data)
    print(f"#0\tINITED cov: 0 ft: 0 rss: {before_mb}Mb", file=sys.stderr)
    print(
        f"#{found.inputs}\tDONE   cov: {found.kinds} ft: {found.kinds} "
        f"exec/s: {speed:.0f} rss: {_rss_mb()}Mb\n"
        f"stat::new_units_added: {len(found.new)}",
        file=sys.stderr,
    )
    if found.failing is None:
        return 0
    traceback.print_exception(found.error)
    digest = sha1(found.failing).hexdigest()
    Path(f"{options['artifact_prefix']}crash-{digest}").write_bytes(found.failing)
    return CRASHED


def _rss_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
