"""Reads what the network managers of this host say about an interface.

The rules are in `configuration.managers`.
"""

import os

from carppcap.configuration.managers import Manager, drop_ins, network_file

ROOT = "/"
"""The directory under which the files of the managers are."""

_BYTES_MAX = 1 << 20
_DHCPCD_PIDS = "run/dhcpcd/pid", "run/dhcpcd.pid", "run/dhcpcd/{0}.pid"


def manager_of(interface: str, index: int, root: str = ROOT) -> Manager:
    """Return what is said about the interface with this name and number.

    A file that cannot be read counts as one that is not there.
    """
    state = _text(root, f"run/systemd/netif/links/{index}")
    paths = [network_file(state), *drop_ins(state)] if state else []
    has_dhcpcd = any(
        os.path.exists(os.path.join(root, path.format(interface)))
        for path in _DHCPCD_PIDS
    )
    return Manager(
        interface,
        networkd=state,
        network_files=tuple(_text(root, path) for path in paths if path),
        networkmanager=_text(root, f"run/NetworkManager/devices/{index}"),
        dhcpcd=_text(root, "etc/dhcpcd.conf") if has_dhcpcd else None,
    )


def _text(root: str, path: str) -> str:
    try:
        with open(os.path.join(root, path.lstrip("/")), "rb") as file:
            return file.read(_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return ""
