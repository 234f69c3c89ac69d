"""Network namespaces that end with the process that made them.

A namespace lives as long as its holder, a shell that waits on a pipe from our process.
When our process ends, even by SIGKILL, the pipe closes.  The holder then kills every
process left in its network and ends, and the kernel removes the interfaces.  The
namespaces have no names in `/run/netns`, so they work for root and for the root of
`unshare -Urnm` alike.
"""

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000

_HOLDER = """
mount -t sysfs sysfs /sys 2>/dev/null
for settings in /proc/sys/net/ipv6/conf/all /proc/sys/net/ipv6/conf/default; do
    for setting in $*; do
        echo ${setting#*=} 2>/dev/null >$settings/${setting%=*}
    done
done
ip link set lo up
echo ready
cat >/dev/null
found=yes
while [ $found = yes ]; do
    found=no
    for net in /proc/[0-9]*/ns/net; do
        pid=${net#/proc/}; pid=${pid%%/*}
        [ $pid = $$ ] && continue
        [ $net -ef /proc/self/ns/net ] && kill -KILL $pid && found=yes
    done
done
"""

_WITHOUT_IPV6 = ("disable_ipv6=1",)

# No address waits for duplicate address detection, and no host asks for routers, so
# the wire has only frames that a scenario is about.
_WITH_IPV6 = (
    "accept_dad=0",
    "dad_transmits=0",
    "accept_ra=0",
    "router_solicitations=0",
)


class Namespace:
    """A network namespace, together with a mount namespace.

    `ipv6` tells whether its interfaces have IPv6.  Raises `OSError` where the kernel
    does not allow us to make one.
    """

    def __init__(self, *, ipv6: bool = False) -> None:
        settings = _WITH_IPV6 if ipv6 else _WITHOUT_IPV6
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", _HOLDER, "sh", *settings],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is ours to handle, not the holder's.
        )
        assert self._holder.stdout
        assert self._holder.stderr
        if self._holder.stdout.readline() != b"ready\n":
            reason = self._holder.stderr.read().decode().strip()
            self.close()
            raise OSError(f"cannot make a network namespace: {reason}")

    @property
    def pid(self) -> int:
        """The pid of the holder, which `ip link ... netns` and `nsenter` need."""
        return self._holder.pid

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs `arguments` in the namespace.

        `nsenter` replaces itself by the program, which so has the pid of the command.
        """
        return ["nsenter", f"--target={self.pid}", "--net", "--mount", *arguments]

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` in a thread in the namespace; return what it returns.

        A socket that it opens belongs to the namespace for ever.  Raises the `OSError`
        that `function` raised.
        """
        outcome: list[T] = []
        failure: list[OSError] = []

        def enter() -> None:
            try:
                handle = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
                try:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(handle, CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                finally:
                    os.close(handle)
                outcome.append(function())
            except OSError as error:
                failure.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def close(self) -> None:
        """End every process in the namespace; return once the holder is gone."""
        assert self._holder.stdin
        assert self._holder.stdout
        assert self._holder.stderr
        self._holder.stdin.close()
        self._holder.wait()
        self._holder.stdout.close()
        self._holder.stderr.close()
