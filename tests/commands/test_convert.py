"""The command `carppcap convert`."""

import sys
from pathlib import Path

import pytest

from carppcap.cli import main
from tests.conversion import test_debian, test_fedora, test_keepalived, test_ucarp
from tests.shell import make_link, network, run

pytestmark = pytest.mark.netns


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The files of the other tests, on a host whose interface is eth0."""
    (tmp_path / "vip.pass").write_text("love\n")
    (tmp_path / "vip.pass").chmod(0o600)
    ucarp = test_ucarp.LINE.replace("/etc/vip.pass", f"{tmp_path}/vip.pass")
    for name, text in (
        ("ucarp", f"#!/bin/sh\n{ucarp} -z\n"), ("debian", test_debian.FILE),
        ("vip-common.conf", test_fedora.COMMON), ("vip-007.conf", test_fedora.OWN),
        ("keepalived", test_keepalived.FILE),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("names", "remarks"),
    [
        (["ucarp"], 0),
        (["debian"], 0),
        (["vip-common.conf", "vip-007.conf"], 0),
        (["keepalived"], 1),
    ],
)
def test_what_is_made_is_accepted(
    names: list[str], remarks: int, directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By `carppcap check --strict`, on the host that the files are from."""
    output = f"{directory}/carppcap.toml"
    with network():
        make_link("eth0", "b0", "10.1.1.1")
        paths = [f"{directory}/{name}" for name in names]
        assert main(["convert", *paths, "--output", output]) == 0
        captured = capfd.readouterr()
        assert captured.out == ""
        assert len(captured.err.splitlines()) == remarks
        assert main(["check", "--strict", output]) == 0, capfd.readouterr().out


def test_remarks_are_in_both_places(
    directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On standard error, and as comments of the file."""
    path = f"{directory}/keepalived"
    assert main(["convert", path]) == 0

    captured = capfd.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith(f"{path}:10: VRRP sends its password in clear text")
    head = captured.out.partition("\n\n")[0].replace("\n# ", " ")
    assert line in head
    assert f"Made by `carppcap convert` from {path}." in head


def test_what_was_not_given_is_asked_from_the_kernel(
    directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """ucarp takes the first interface, and scripts ask for the address."""
    (directory / "script").write_text("ucarp -s $IP -v 42 -p x -a 10.1.1.252\n")
    with network():
        make_link()
        assert main(["convert", f"{directory}/script"]) == 0
    out = capfd.readouterr().out
    assert '# As this host has it; it was not given.\ninterface = "a0"\n' in out
    assert '# As this host has it; it was not given.\nsrcip = "10.1.1.5"\n' in out

    with network():
        assert main(["convert", f"{directory}/script"]) == 0
    assert "interface" not in capfd.readouterr().out


def test_an_interface_of_another_host(
    directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its address is not known here; a remark says what to write."""
    path = directory / "script"
    path.write_text("\nucarp -i eth9 -v 42 -p x -a 10.1.1.252\n")
    with network():
        assert main(["convert", f"{path}"]) == 0
        assert capfd.readouterr().err == (
            f"{path}:2: eth9 has no IPv4 address on this host: write the srcip of "
            "[group.vip-42]\n"
        )
        path.write_text("ucarp -i eth9 -v 42 -p x -a fd00::252\n")
        assert main(["convert", f"{path}"]) == 0
        assert capfd.readouterr().err == ""


def test_the_format_can_be_named(
    directory: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """For files that look like something else."""
    assert main(["convert", "--from=fedora", f"{directory}/vip-007.conf"]) == 0
    assert "vhid = 7" in capfd.readouterr().out
    assert main(["convert", "--from=debian", f"{directory}/keepalived"]) == 2
    assert capfd.readouterr().err == (
        f"carppcap: {directory}/keepalived: no group in it that could be converted "
        "(--from names its format)\n"
    )


def test_standard_input() -> None:
    """A single command line."""
    command = ["sh", "-c", f'echo "{test_ucarp.LINE}" | "$@"', "sh"]
    ended = run("convert", "-", command=[*command, sys.executable, "-m", "carppcap"])

    assert "vhid = 42" in ended.stdout
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["--from", "x"], 1, "Unknown word: [x] for --from (allowed: ucarp, debian, fedora, keepalived)"),
        (["--force"], 1, "You must supply a file to convert (see --help)"),
        (["/none"], 2, "/none: No such file or directory"),
        (["/dev/null"], 2, "/dev/null: no group in it that could be converted (--from names its format)"),
    ],
)  # fmt: skip
def test_wrong_command_lines(
    words: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error."""
    assert main(["convert", *words]) == status

    assert capfd.readouterr() == ("", f"carppcap: {sentence}\n")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """In 80 columns."""
    assert main(["convert", *words]) == 0

    shown = capfd.readouterr().out
    assert shown.startswith("Usage: carppcap convert FILE...")
    assert max(map(len, shown.splitlines())) <= 80
