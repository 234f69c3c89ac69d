"""What the files of network managers say, below another root."""

from pathlib import Path

from carppcap.configuration.managers import Manager
from carppcap.system.network_managers import manager_of


def write(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_nothing_is_there(tmp_path: Path) -> None:
    """As on a host without any of them."""
    assert manager_of("eth0", 3, f"{tmp_path}") == Manager("eth0")


def test_networkd(tmp_path: Path) -> None:
    """Its state by number, then the file that is named there, and its drop-ins."""
    state = "NETWORK_FILE=/etc/n/lan.network\n"
    state += 'NETWORK_FILE_DROPINS="/etc/a.conf:/b.conf"\n'
    write(tmp_path, "run/systemd/netif/links/3", state)
    write(tmp_path, "etc/n/lan.network", "one")
    write(tmp_path, "etc/a.conf", "two")

    found = manager_of("eth0", 3, f"{tmp_path}")

    assert found.networkd == state
    assert found.network_files == ("one", "two", "")
    assert manager_of("eth0", 4, f"{tmp_path}").networkd == ""
    write(tmp_path, "run/systemd/netif/links/5", "ADMIN_STATE=unmanaged\n")
    assert manager_of("eth0", 5, f"{tmp_path}").network_files == ()


def test_networkmanager(tmp_path: Path) -> None:
    """Its state by number."""
    write(tmp_path, "run/NetworkManager/devices/3", "[device]\nmanaged=true\n")

    assert "managed" in manager_of("eth0", 3, f"{tmp_path}").networkmanager


def test_dhcpcd(tmp_path: Path) -> None:
    """Its configuration counts only while it runs, for all or for this interface."""
    write(tmp_path, "etc/dhcpcd.conf", "denyinterfaces x\n")
    assert manager_of("eth0", 3, f"{tmp_path}").dhcpcd is None

    for number, pid in enumerate(("dhcpcd/pid", "dhcpcd.pid", "dhcpcd/eth0.pid")):
        root = tmp_path / f"{number}"
        write(root, f"run/{pid}", "1\n")
        assert manager_of("eth0", 3, f"{root}").dhcpcd == ""
        write(root, "etc/dhcpcd.conf", "denyinterfaces x\n")
        assert manager_of("eth0", 3, f"{root}").dhcpcd == "denyinterfaces x\n"
    assert manager_of("eth1", 4, f"{tmp_path / '2'}").dhcpcd is None


def test_this_host() -> None:
    """Whatever runs here, there is an answer."""
    assert manager_of("lo", 1).interface == "lo"
