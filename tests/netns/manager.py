"""A real systemd in a host of a lab: it runs our units as on a server.

It is process 1 of a namespace of processes, with its own /run, /etc, /tmp and control
groups, and starts nothing but what a test asks for.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tests.installation import PREFIX, installed
from tests.netns.host import Host, wait_for

SYSTEMD = "/lib/systemd/systemd"

_GROUPS = "/sys/fs/cgroup"

# The control groups are those of the machine, but seen from a group of our own.
_ENTER = """
for each in $TREES; do
    mkdir -p "$each" && echo $$ >"$each/cgroup.procs" || exit 1
done
exec "$@"
"""

# With version 1 of control groups, systemd needs its own tree and one of version 2.
_BOOT = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
for each in fs kernel vm; do mount -o bind,ro /proc/sys/$each /proc/sys/$each; done
if [ $VERSION = 2 ]; then
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
    mount -t tmpfs tmpfs /sys/fs/cgroup -o mode=755
    mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
    mount -t cgroup cgroup /sys/fs/cgroup/systemd -o none,name=systemd
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
fi
mount -t tmpfs tmpfs /run -o mode=755
mkdir /run/etc
cp -a /etc/. /run/etc
rm -rf /run/etc/systemd /run/etc/carppcap
mkdir -p /run/etc/systemd/system /run/etc/carppcap
mount --bind /run/etc /etc
mount --bind "$INSTALLED" /opt
mkdir /run/lab
mount --bind "$LAB" /run/lab
# Services have directories of their own there (PrivateTmp), which end with ours.
for each in /tmp /var/tmp; do mount -t tmpfs tmpfs $each -o mode=1777; done
# Services have mounts of their own, which follow ours (credentials).
mount --make-rshared /
printf '[Unit]\\nDefaultDependencies=no\\n' >/etc/systemd/system/lab.target
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin $SYSTEMD \
    --system --unit=lab.target --log-target=null --show-status=0
"""


class Manager:
    """A systemd that runs in `host`.

    `log` is where the output of services goes.  Our program is installed for `PREFIX`.
    Raises `OSError` where systemd cannot be started.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        self.log = host.lab.directory / f"{host.name}-services.log"
        self._is_version_2 = Path(_GROUPS, "cgroup.controllers").exists()
        trees = [""] if self._is_version_2 else ["systemd", "unified"]
        name = f"carppcap-{host.namespace.pid}"
        self._groups = [Path(_GROUPS, tree, name) for tree in trees]
        boot = host.command(
            [
                *("unshare", "--cgroup", "--pid", "--mount", "--ipc", "--uts"),
                *("--fork", "--kill-child", "sh", "-c", _BOOT),
            ]
        )
        variables = {
            "TREES": " ".join(map(str, self._groups)),
            "VERSION": "2" if self._is_version_2 else "1",
            "INSTALLED": f"{installed()}{os.path.dirname(PREFIX)}",
            "LAB": str(host.lab.directory),
            "SYSTEMD": SYSTEMD,
        }
        errors = host.lab.directory / f"{host.name}-systemd.log"
        with errors.open("wb") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", _ENTER, "sh", *boot],
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=output,
                start_new_session=True,
            )
        try:
            wait_for("systemd", self._is_running)
        except AssertionError:
            self.close()
            raise OSError(f"cannot run systemd: {errors.read_text()}") from None

    def _is_running(self) -> bool:
        path = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        with suppress(OSError, ValueError):
            [self.pid] = map(int, path.read_text().split())
            return self.control("is-system-running") == "running"
        return False

    def run(self, *words: str, check: bool = False, given: str = "") -> str:
        """Run a command beside the services; return what it prints."""
        return subprocess.run(
            ["nsenter", f"--target={self.pid}", "--all", *words],
            check=check,
            timeout=60,
            input=given,
            capture_output=True,
            text=True,
        ).stdout

    def control(self, *words: str, check: bool = False) -> str:
        """Run `systemctl` with `words`; return what it prints."""
        return self.run("systemctl", *words, check=check).strip()

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file as the services see it."""
        self.run("mkdir", "-p", os.path.dirname(path), check=True)
        self.run("tee", path, given=text, check=True)
        self.run("chmod", f"{mode:o}", path, check=True)

    def install(self, unit: str, name: str, **service: str) -> None:
        """Make a unit known, with these settings in its section [Service], as well."""
        settings = service | {
            "StandardOutput": f"append:/run/lab/{self.log.name}",
            "StandardError": f"append:/run/lab/{self.log.name}",
        }
        lines = [f"{key}={value}" for key, value in settings.items()]
        # Else the services of the machine would be started with it.
        text = "[Unit]\nDefaultDependencies=no\n[Service]\n" + "\n".join(lines)
        source = f"{PREFIX}/lib/systemd/system/{unit}"
        self.run("ln", "-sf", source, f"/etc/systemd/system/{unit}", check=True)
        self.write(f"/etc/systemd/system/{name}.d/lab.conf", f"{text}\n")
        self.control("daemon-reload", check=True)

    def show(self, name: str, what: str) -> str:
        """Return a property of a unit."""
        return self.control("show", "--value", f"--property={what}", name)

    def main_pid(self, name: str) -> int:
        """Return the pid of the daemon, as systemd sees it; 0 if there is none."""
        return int(self.show(name, "MainPID"))

    def logged(self, words: str) -> list[str]:
        """Return the lines of the log that contain `words`."""
        if not self.log.exists():
            return []
        return [line for line in self.log.read_text().splitlines() if words in line]

    def close(self) -> None:
        """End systemd and all services, and remove their control groups."""
        self._process.kill()
        self._process.wait()
        for group in self._groups:
            wait_for("the end of its processes", partial(_is_gone, group))


def _is_gone(group: Path) -> bool:
    """True if the control group, and those below it, could be removed."""
    with suppress(OSError):
        for path, _, _ in os.walk(group, topdown=False):
            os.rmdir(path)
    return not group.exists()


@contextmanager
def systemd(host: Host) -> Iterator[Manager]:
    """Run systemd in `host` for the context; end it before the lab ends."""
    manager = Manager(host)
    try:
        yield manager
    except BaseException as error:
        if manager.log.exists():
            error.add_note(manager.log.read_text())
        raise
    finally:
        manager.close()


def obstacle() -> str:
    """Return why no systemd can be run here, or nothing."""
    return "" if shutil.which(SYSTEMD) else "systemd is not installed"
