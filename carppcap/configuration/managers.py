"""Network managers: which of them would delete the addresses, and what helps.

Sources: `link_drop_unmanaged_addresses` of systemd-networkd, which by default deletes
every address that it did not set when it is started, reloaded or gets a new lease;
netplan(5), whose `critical` is networkd's KeepConfiguration; NetworkManager.conf(5);
dhcpcd.conf(5).  networkd takes an address with a lifetime, as those of --own-addresses
are, for one of DHCP, so `KeepConfiguration=static` does not keep it.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from carppcap.errors import ConfigError


class Manager(NamedTuple):
    """What the files of network managers say about one interface.

    `networkd` is the state of the interface under /run/systemd/netif, empty if
    systemd-networkd does not know it; `network_files` are the contents of its .network
    file and of the drop-ins of that, in the order in which they count.
    `networkmanager` is the state under /run/NetworkManager, empty if NetworkManager
    does not run.  `dhcpcd` is the content of dhcpcd.conf, None if dhcpcd does not run.
    """

    interface: str
    networkd: str = ""
    network_files: Sequence[str] = ()
    networkmanager: str = ""
    dhcpcd: str | None = None


def threats(manager: Manager, *, own_addresses: bool) -> Iterator[ConfigError]:
    """Yield what may delete addresses from the interface, each with its remedy."""
    values = {"interface": manager.interface}
    if _networkd_deletes(manager, own_addresses=own_addresses):
        if "netplan" in network_file(manager.networkd):
            yield ConfigError(
                "netplan has systemd-networkd delete the addresses on {interface} when "
                "it restarts or renews a lease (remedy: in /etc/netplan, below "
                "{interface}: critical: true)",
                **values,
            )
        else:
            yield ConfigError(
                "systemd-networkd deletes the addresses on {interface} when it "
                "restarts or renews a lease (remedy: KeepConfiguration=yes in the "
                "section [Network] of {file})",
                file=network_file(manager.networkd) or "its .network file",
                **values,
            )
    if _assigned(manager.networkmanager, "managed") == "true":
        yield ConfigError(
            "NetworkManager deletes the addresses on {interface} when it activates its "
            "connection again (remedy: set the interface up without it, with "
            "unmanaged-devices=interface-name:{interface} in the section [keyfile] of "
            "/etc/NetworkManager/conf.d/carppcap.conf)",
            **values,
        )
    if manager.dhcpcd is not None and not _dhcpcd_is_denied(manager):
        yield ConfigError(
            "dhcpcd configures {interface} and may delete addresses on it (remedy: set "
            "the interface up without it, with denyinterfaces {interface} in "
            "/etc/dhcpcd.conf)",
            **values,
        )


def network_file(state: str) -> str:
    """Return the path of the .network file in networkd's state of an interface."""
    return _assigned(state, "NETWORK_FILE")


def drop_ins(state: str) -> list[str]:
    """Return the paths of the drop-ins of the .network file, in their order."""
    return [
        path for path in _assigned(state, "NETWORK_FILE_DROPINS").split(":") if path
    ]


def _assigned(text: str, key: str) -> str:
    """Return the last value of `key` in lines of the form `key=value`, or nothing."""
    found = re.findall(rf"^[ \t]*{key}[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE)
    return found[-1].strip('"') if found else ""


def _networkd_deletes(manager: Manager, *, own_addresses: bool) -> bool:
    if not manager.networkd:
        return False
    if _assigned(manager.networkd, "ADMIN_STATE") in ("unmanaged", "linger", ""):
        return False
    kept = ""
    for content in manager.network_files:
        kept = _assigned(content, "KeepConfiguration") or kept
    enough = {"yes", "true", "on", "1", "y", "t"}
    return kept.lower() not in (enough if own_addresses else {*enough, "static"})


def _dhcpcd_is_denied(manager: Manager) -> bool:
    assert manager.dhcpcd is not None
    denied: list[str] = []
    allowed: list[str] = []
    for line in manager.dhcpcd.splitlines():
        word, _, rest = line.strip().partition(" ")
        patterns = [part for part in re.split(r"[ ,\t]+", rest) if part]
        denied += patterns if word == "denyinterfaces" else []
        allowed += patterns if word == "allowinterfaces" else []
    name = manager.interface
    if any(fnmatchcase(name, pattern) for pattern in denied):
        return True
    return bool(allowed) and not any(fnmatchcase(name, each) for each in allowed)
