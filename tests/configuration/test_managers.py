"""Network managers that would delete the addresses."""

import pytest

from carppcap.configuration.managers import Manager, drop_ins, threats

NETWORKD = "ADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE={}\n"
PLAIN = NETWORKD.format("/etc/systemd/network/10-lan.network")
NETPLAN = NETWORKD.format("/run/systemd/network/10-netplan-eth0.network")


def said(own_addresses: bool = True, **facts: object) -> list[str]:
    manager = Manager("eth0", **facts)  # type: ignore[arg-type]
    return [str(error) for error in threats(manager, own_addresses=own_addresses)]


def network(*lines: str) -> str:
    return "\n".join(["[Match]", "Name=eth0", "[Network]", *lines, ""])


def test_nobody_is_there() -> None:
    """As on a host with ifupdown."""
    assert said() == []


def test_networkd() -> None:
    """The remedy names the file."""
    (sentence,) = said(networkd=PLAIN, network_files=[network("DHCP=yes")])

    assert sentence.startswith("systemd-networkd deletes the addresses on eth0 when it")
    assert sentence.endswith(
        "(remedy: KeepConfiguration=yes in the section [Network] of "
        "/etc/systemd/network/10-lan.network)"
    )
    (sentence,) = said(networkd="ADMIN_STATE=configuring\n")
    assert "[Network] of its .network file" in sentence


def test_netplan() -> None:
    """Its file is written anew at each boot, so the remedy is in netplan's own."""
    (sentence,) = said(networkd=NETPLAN, network_files=[network()])

    assert sentence.startswith("netplan has systemd-networkd delete")
    assert sentence.endswith("(remedy: in /etc/netplan, below eth0: critical: true)")


@pytest.mark.parametrize(
    ("lines", "own", "is_threat"),
    [
        (["KeepConfiguration=yes"], True, False),
        (["KeepConfiguration = true "], True, False),
        (["KeepConfiguration=no"], True, True),
        (["KeepConfiguration=dhcp-on-stop"], True, True),
        # An address with a lifetime is one of DHCP to networkd.
        (["KeepConfiguration=static"], True, True),
        (["KeepConfiguration=static"], False, False),
        (["KeepConfiguration=dhcp"], False, True),
        (["#KeepConfiguration=yes"], True, True),
        (["KeepConfiguration=yes", "KeepConfiguration=no"], True, True),
    ],
)
def test_networkd_is_told_to_keep_addresses(
    lines: list[str], own: bool, is_threat: bool
) -> None:
    """It depends on whether they have a lifetime."""
    assert bool(said(own, networkd=PLAIN, network_files=[network(*lines)])) is is_threat


def test_drop_ins_count() -> None:
    """The last file with the setting counts."""
    good, bad = network("KeepConfiguration=yes"), network("KeepConfiguration=no")

    assert said(networkd=PLAIN, network_files=[bad, good, ""]) == []
    assert said(networkd=PLAIN, network_files=[good, bad]) != []
    assert drop_ins('NETWORK_FILE_DROPINS="/a/b.conf:/c.conf"\n') == [
        "/a/b.conf",
        "/c.conf",
    ]
    assert drop_ins('NETWORK_FILE_DROPINS=""\n') == []
    assert drop_ins("") == []


@pytest.mark.parametrize("state", ["unmanaged", "linger", ""])
def test_networkd_leaves_the_interface_alone(state: str) -> None:
    """It knows every interface, but has no file for this one."""
    assert said(networkd=f"ADMIN_STATE={state}\n") == []


@pytest.mark.parametrize(
    ("state", "is_threat"),
    [
        ("[device]\nmanaged=true\n", True),
        ("[device]\nmanaged=false\n", False),
        ("[device]\nperm-hw-addr-fake=0\n", False),
    ],
)
def test_networkmanager(state: str, is_threat: bool) -> None:
    """Only an interface that it manages."""
    found = said(networkmanager=state)

    assert bool(found) is is_threat
    assert all("unmanaged-devices=interface-name:eth0" in each for each in found)


@pytest.mark.parametrize(
    ("content", "is_threat"),
    [
        ("", True),
        ("denyinterfaces eth0", False),
        ("denyinterfaces wlan0, eth*", False),
        ("denyinterfaces wlan0\ndenyinterfaces\teth0", True),
        ("allowinterfaces wlan0", False),
        ("allowinterfaces wlan0 eth0", True),
        ("# denyinterfaces eth0", True),
    ],
)
def test_dhcpcd(content: str, is_threat: bool) -> None:
    """Patterns as in dhcpcd.conf(5)."""
    found = said(dhcpcd=content)

    assert bool(found) is is_threat
    assert all("denyinterfaces eth0" in each for each in found)
