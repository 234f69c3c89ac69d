"""The command `carppcap init`, on a host of its own."""

import socket
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carppcap.cli import main
from tests.shell import ip, make_link, network

pytestmark = pytest.mark.netns


@pytest.fixture(autouse=True)
def host() -> Iterator[None]:
    """A host with two cables."""
    with network():
        make_link()
        make_link("c0", "d0", "10.2.2.5")
        ip("route add 10.9.0.0/16 via 10.1.1.1")
        yield


def made(capfd: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The table that the command writes to standard output."""
    assert main(["init", *words]) == 0
    table: dict[str, Any] = tomllib.loads(capfd.readouterr().out)
    return table


def test_the_kernel_is_asked(capfd: pytest.CaptureFixture[str]) -> None:
    """For the interface in the network of the address, and for our address there."""
    assert made(capfd, "-a", "10.2.2.252") == {
        "facility": "none",
        "script_timeout": 30,
        "group": {
            "vip": {
                "interface": "c0", "srcip": "10.2.2.5", "vhid": 1, "addr": "10.2.2.252",
                "passfile": "/etc/carppcap/vip.pass", "advskew": 0, "preempt": False,
                "shutdown": True, "own_addresses": True,
            }
        }
    }  # fmt: skip


def test_a_network_of_ours_is_preferred(capfd: pytest.CaptureFixture[str]) -> None:
    """To one behind a gateway, wherever among the addresses."""
    table = made(capfd, "-a", "10.9.9.9,10.2.2.252,10.9.9.8")

    assert table["group"]["vip"]["interface"] == "c0"


def test_options_of_the_daemon(capfd: pytest.CaptureFixture[str]) -> None:
    """They go into the file, those about the process above the group."""
    words = "-i a0 -v 42 -k 100 -P -o /p -f user -a 10.2.2.252 -s 10.9.9.9".split()

    assert made(capfd, *words, "--group", "web") == {
        "facility": "user",
        "script_timeout": 30,
        "group": {
            "web": {
                "interface": "a0", "srcip": "10.9.9.9", "vhid": 42, "addr": "10.2.2.252",
                "passfile": "/p", "advskew": 100, "preempt": True, "shutdown": True,
                "own_addresses": True,
            }
        },
    }  # fmt: skip


def test_paths_are_whole(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon starts in another directory."""
    monkeypatch.chdir(tmp_path)

    table = made(capfd, *"-a 10.1.1.252 -o p -u ./up -d /down".split())["group"]["vip"]

    assert table["passfile"] == f"{tmp_path}/p"
    assert table["upscript"] == f"{tmp_path}/up"
    assert table["downscript"] == "/down"


def test_who_sets_the_address(capfd: pytest.CaptureFixture[str]) -> None:
    """The file says it, and its comments speak of scripts only if there are any."""
    words = ["-a", "10.1.1.252"]

    assert main(["init", *words]) == 0
    text = capfd.readouterr().out
    assert "# On a signal to stop: drop the addresses, send a farewell" in text
    assert "\nown_addresses = true\n" in text
    assert main(["init", *words, "-d", "/down", "--script-timeout", "5"]) == 0
    text = capfd.readouterr().out
    assert "# On a signal to stop: run the down script" in text
    assert "own_addresses = false" in text
    assert "script_timeout = 30" not in text
    assert "own_addresses" not in made(capfd, *words, "--vmac")["group"]["vip"]


def test_ipv6_needs_no_source(capfd: pytest.CaptureFixture[str]) -> None:
    """It is chosen at each start."""
    Path("/proc/sys/net/ipv6/conf/c0/disable_ipv6").write_text("0")
    ip("address add fd00::5/64 dev c0 nodad")

    table = made(capfd, "-a", "fd00::252", "-p", "love")["group"]["vip"]

    assert table["interface"] == "c0"
    assert "srcip" not in table
    assert "passfile" not in table


def test_its_file_is_accepted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As it is, with the password that is made on the way; never over another file."""
    output, secret = f"{tmp_path}/etc/carppcap.toml", tmp_path / "etc" / "vip.pass"
    words = ["init", "-a", "10.1.1.252", "-o", f"{secret}", "--output", output]

    assert main(words) == 0
    assert capfd.readouterr().out.splitlines() == [
        f"{output} is written",
        f"{secret} has a new password: copy it to the other hosts of the group",
    ]
    password = secret.read_text()
    assert len(password) == 20
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert main(["check", output, "--strict"]) == 0
    assert main(words) == 1
    assert capfd.readouterr().err == (
        f"carppcap: {output} is there already (--force replaces it)\n"
    )
    assert main([*words, "--force", "-k", "9"]) == 0
    assert "advskew = 9" in Path(output).read_text()
    assert secret.read_text() == password


def test_two_hosts_fit_together(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the manual has it: the same with another skew."""
    secret, status = f"{tmp_path}/vip.pass", -1
    for name, skew, address in (("one", "0", "10.1.1.5"), ("two", "100", "10.1.1.6")):
        words = ["-a", "10.1.1.252", "-P", "-k", skew, "-o", secret]
        with network():
            make_link(address=address)
            assert main(["init", *words, "--output", f"{tmp_path}/{name}"]) == 0
            if name == "two":
                status = main(["check", f"{tmp_path}/two", "--peer", f"{tmp_path}/one"])

    assert status == 0
    assert (
        "the peer is preferred and takes its addresses back" in capfd.readouterr().out
    )


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ("-v 42", 1, "You must supply a virtual host address (--addr)"),
        ("-a x", 1, "Invalid address: [x] for addr (allowed: an IPv4 or IPv6 address such as 10.1.1.252 or fd00::252)"),
        ("-a 10.9.9.9", 1, "No interface of this host is in a network with 10.9.9.9 (name one: --interface)"),
        ("-a 10.7.7.7", 1, "No interface of this host is in a network with 10.7.7.7 (name one: --interface)"),
        ("-a 10.1.1.5", 1, "10.1.1.5 is this host's own address (allowed: an --addr that the hosts share)"),
        ("-a 10.1.1.5 -i a0", 1, "10.1.1.5 is this host's own address (allowed: an --addr that the hosts share)"),
        ("-a 10.1.1.252 -i nope0", 1, "there is no interface nope0 (here: {names})"),
        ("-a 10.8.8.8 -i b0", 1, "b0 has no IPv4 address to send from (give one: --srcip)"),
        ("-a 10.8.8.8 -i e/9", 1, "there is no interface e/9 (here: {names})"),
        ("-a 10.1.1.252 --group a.b", 1, "[a.b] cannot be the name of a group (allowed: 1 to 32 letters, digits, _ and -)"),
        ("-a 10.1.1.252 -B", 1, "-B is left out: a service manager starts the daemon"),
        ("-a 10.1.1.252 -b 0", 1, "You must supply an advertisement time base: --advbase and --advskew cannot both be 0"),
        ("-a 10.1.1.252 --peer 10.1.1.6 --nomcast", 1, "With --peer adverts go to no group (leave out --mcastip and --nomcast)"),
        ("file", 1, "Unexpected argument: [file] (options only, see --help)"),
        ("-a 10.1.1.252 --output /dev/null/x", 2, "/dev/null/x: Not a directory"),
    ],
)  # fmt: skip
def test_wrong_command_lines(
    words: str, status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error, and nothing is written."""
    names = ", ".join(name for _, name in socket.if_nameindex())
    assert main(["init", *words.split()]) == status

    sentence = sentence.replace("{names}", names)
    assert capfd.readouterr() == ("", f"carppcap: {sentence}\n")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """With its own options first."""
    assert main(["init", *words]) == 0

    shown = capfd.readouterr().out
    assert shown.startswith("Usage: carppcap init --addr=IP")
    assert "--group=NAME" in shown
    assert max(map(len, shown.splitlines())) <= 80
