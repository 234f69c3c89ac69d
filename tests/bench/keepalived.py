"""Starts keepalived, whose VRRP stands beside CARP where it is installed."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from tests.netns.daemons import Daemon
from tests.netns.lab import VHID, VIP, Host
from tests.netns.wire import PROTOCOL_CARP

KEEPALIVED = "keepalived"

_CONFIGURATION = """\
global_defs {{
    vrrp_version 3
    {settings}
}}
vrrp_instance bench {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id {vrid}
    priority {priority}
    advert_int {interval_s}
    virtual_ipaddress {{
        {addresses}
    }}
}}
"""

_REAL_TIME = """\
vrrp_rt_priority 10
    vrrp_rlimit_rttime 1000000
    vrrp_no_swap"""


@dataclass(frozen=True, slots=True)
class Instance:
    """One virtual router of keepalived, with VRRP version 3.

    `interval_s` is in whole hundredths of a second.
    """

    vrid: int = VHID
    priority: int = 200
    interval_s: float = 1.0
    vips: Sequence[str] = (VIP,)
    realtime: bool = False

    def start(self, host: Host, before: Sequence[str] = ()) -> Daemon:
        """Start it on `host`; return the daemon.  `before` is that of `Host.start`."""
        file = host.lab.directory / f"{host.name}-keepalived.conf"
        text = _CONFIGURATION.format(
            settings=_REAL_TIME if self.realtime else "",
            vrid=self.vrid,
            priority=self.priority,
            interval_s=self.interval_s,
            addresses="\n        ".join(f"{vip}/32" for vip in self.vips),
        )
        file.write_text(text)
        files = [f"--{name}={file}.{name}" for name in ("pid", "vrrp_pid")]
        flags = ["--vrrp", "--dont-fork", "--log-console", f"--use-file={file}", *files]
        return host.start_bare(KEEPALIVED, flags, before)


def is_installed() -> bool:
    """True if this machine has keepalived."""
    return shutil.which(KEEPALIVED) is not None


def advert_times_ns(host: Host) -> list[int]:
    """Return the instants of the adverts of `host` so far, be they CARP's or VRRP's."""
    source = bytes(map(int, host.address.split(".")))
    return [
        frame.time_ns
        for frame in host.lab.wire.frames
        if frame.data[23] == PROTOCOL_CARP and frame.data[26:30] == source
    ]
