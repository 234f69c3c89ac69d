"""Gives the demo: `make demo`, or `python -m tests.demo`.

Two hosts share an address that a third one pings.  All of it happens in network
namespaces on a bridge of their own; nothing outside is touched.  Without root the
same is done as root of a user namespace, and where that is not allowed either, a
recorded election is replayed instead.
"""

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

from tests.demo.play import Demo, DemoError
from tests.demo.timeline import GREEN, RED, daemons, paint
from tests.netns.daemons import ROOT, environment
from tests.netns.lab import Lab, LateError

FIXTURE = ROOT / "fixtures" / "ucarp-election-and-kill"


def perform() -> int:
    """The live demo, where it can be given; its exit status."""
    with ExitStack() as stack:
        try:
            lab = stack.enter_context(Lab(3))
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"No network namespaces here: {error}")
            return replay()
        try:
            verdict = Demo(lab).play()
        except (DemoError, LateError, subprocess.SubprocessError) as error:
            print(f"\n{paint('Something went wrong', RED)}: {error}\n", file=sys.stderr)
            for host, daemon in daemons(lab):
                for line in daemon.lines:
                    print(f"{host} {line.level:<7} {line.text}", file=sys.stderr)
            return 1
    print(f"\n{paint('All as it should be', GREEN)}:\n{verdict}")
    return 0


def replay() -> int:
    """A recorded election instead."""
    flags = (FIXTURE / "node.conf").read_text().split()
    story = (FIXTURE / "README.rst").read_text().split("\n\n")[1]
    command = [sys.executable, "-m", "carppcap", "replay", "capture.pcap", *flags]
    print(
        f"So here is a recording, {FIXTURE.relative_to(ROOT)}, and what a third host\n"
        f"would have done: carppcap {' '.join(flags)}\n\n{story}\n",
        flush=True,
    )
    return subprocess.run(
        command, cwd=FIXTURE, env=environment(), check=False
    ).returncode


def enter_user_namespace() -> None:
    """Start again as root of a user namespace; return only if that is not allowed."""
    prefix = ["unshare", "-Urnm"]
    if (
        shutil.which("unshare")
        and not subprocess.run(
            [*prefix, "true"], capture_output=True, check=False
        ).returncode
    ):
        print("Not root, so this happens in a user namespace.\n", flush=True)
        os.execvp(prefix[0], [*prefix, sys.executable, "-m", "tests.demo"])


def main() -> int:
    os.chdir(ROOT)  # `-m tests.demo` is found from here
    # Debian keeps `bridge` where only root looks.
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    if os.geteuid() != 0:
        enter_user_namespace()
        print("Neither root nor allowed to make user namespaces.")
        return replay()
    needed = ("ip", "bridge", "ping", "nsenter")
    missing = [name for name in needed if not shutil.which(name)]
    if missing:
        print(f"Not installed: {', '.join(missing)}.")
        return replay()
    try:
        return perform()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
