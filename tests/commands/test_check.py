"""The command `carppcap check`, on a host of its own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from carppcap.cli import main
from carppcap.commands import host
from carppcap.configuration.managers import Manager
from carppcap.text import catalogues
from tests.shell import ip, make_link, network, run

GOOD = """\
[group.web]
interface = "a0"
srcip = "10.1.1.5"
vhid = 42
addr = "10.1.1.252"
passfile = "{directory}/web.pass"
"""
NOTE = "1: note: web: this host takes over at most 3.000 s after the death of a master"


class Desk:
    """A directory with files, and the command."""

    def __init__(self, directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.directory = directory
        self._capfd = capfd
        self.write("web.pass", "love\n")
        self.write("one.toml", GOOD)

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        path = self.directory / name
        path.write_text(text.replace("{directory}", f"{self.directory}"))
        path.chmod(mode)
        return f"{path}"

    def check(self, *words: str, name: str = "one.toml") -> tuple[int, list[str]]:
        """The status, and the lines without the directory and the name of the file."""
        status = main(["check", f"{self.directory}/{name}", *words])
        shown = self._capfd.readouterr().out.replace(f"{self.directory}/", "")
        return status, [line.removeprefix(f"{name}:") for line in shown.splitlines()]


@pytest.fixture
def desk(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with network():
        make_link()
        yield Desk(tmp_path, capfd)


pytestmark = pytest.mark.netns


def test_a_good_file(desk: Desk) -> None:
    """Says so, and how long a fail-over takes."""
    assert desk.check() == (0, [NOTE, " no mistakes, no warnings"])
    assert desk.check("--strict") == (0, [NOTE, " no mistakes, no warnings"])


def test_every_mistake_is_said(desk: Desk) -> None:
    """In the order of lines, those of the host among those of the text; status 2."""
    text = GOOD.replace("42", "300").replace("web.pass", "none.pass")
    desk.write("one.toml", text + 'upscript = "{directory}/none"\nadvskw = 3\n')

    status, lines = desk.check()

    assert status == 2
    assert lines == [
        "4: mistake: web: Invalid number: [300] for vhid (allowed: 1 to 255)",
        "6: mistake: web: unable to open passfile none.pass for reading: No such file or directory (remedy: copy it from the other host)",
        "7: warning: web: script none cannot be run: No such file or directory",
        "8: mistake: web: unknown key [advskw] (allowed: those in carppcap.toml(5)); did you mean advskew?",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("interface = 'b9'", "6: warning: web: there is no interface b9 (the daemon will wait)"),
        ("interface = 'b/9'", "6: mistake: web: Unable to open interface [b/9]: no such interface"),
        ("interface = 'lo'", "6: mistake: web: Unable to find MAC address of [lo]: not Ethernet"),
        ("srcip = '10.1.1.6'", "6: warning: web: a0 does not have the srcip 10.1.1.6 (the daemon will wait for it)"),
        ("addr = '10.1.1.77'", "6: warning: web: 10.1.1.77/32 is set on b0, and not by carppcap: so it may be on two hosts at once (remedy: take it out of the configuration of the network)"),
        ("upscript = '/dev/null'", "7: warning: web: script /dev/null is no file"),
        ("downscript = '{directory}/web.pass'", "7: warning: web: script web.pass is not executable (remedy: chmod +x web.pass)"),
        ("passfile = '{directory}/crlf.pass'", "6: warning: web: the password in crlf.pass contains a carriage return; if that is a mistake, on all hosts: sed -i '1s/\\r$//' crlf.pass"),
        ("passfile = '{directory}/open.pass'", "6: warning: web: passfile open.pass can be read by every user: chmod o-r"),
        ("advbase = 255\nadvskew = 255", "8: warning: web can never win: with an interval of 255/255 each advert is a farewell (allowed: an advskew up to 254)"),
    ],
)  # fmt: skip
def test_what_will_not_work(desk: Desk, lines: str, expected: str) -> None:
    """Warnings do not fail, except for --strict."""
    ip("address add 10.1.1.77/32 dev b0")
    desk.write("crlf.pass", "love\r\n")
    desk.write("open.pass", "love\n", mode=0o644)
    names = {line.partition(" ")[0] for line in lines.splitlines()}
    kept = [row for row in GOOD.splitlines() if row.partition(" ")[0] not in names]
    desk.write("one.toml", "\n".join([*kept, lines]))

    status, found = desk.check()

    assert expected in found
    assert status == (2 if ": mistake: " in expected else 0)
    assert desk.check("--strict")[0] == 2


def test_what_is_right_is_not_reported(desk: Desk) -> None:
    """A script that can run, an address that carppcap holds, an ignored link."""
    script = desk.write("up", "#!/bin/sh\n", mode=0o755)
    ip("address add 10.1.1.252/32 dev a0 valid_lft 60 preferred_lft 60")
    text = GOOD.replace("10.1.1.5", "10.1.1.6") + "ignoreifstate = true\n"
    desk.write("one.toml", text + f"upscript = '{script}'\ndownscript = '{script}'\n")

    assert desk.check("--strict")[0] == 0


def test_a_password_that_everybody_can_read(desk: Desk) -> None:
    """In the file itself."""
    text = GOOD.replace('passfile = "{directory}/web.pass"', "pass = 'love'")
    desk.write("one.toml", text, mode=0o644)

    assert desk.check()[1][1] == (
        "6: warning: every user can read the password (remedy: chmod o-r one.toml, or "
        "a passfile)"
    )
    desk.write("one.toml", text)
    assert desk.check("--strict")[0] == 0


def test_a_network_manager(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules are in `configuration.managers`; with --vmac they do not matter."""
    monkeypatch.setattr(
        host,
        "manager_of",
        lambda name, _: Manager(name, networkmanager="managed=true"),
    )

    assert desk.check()[1][1].startswith(
        "2: warning: web: NetworkManager deletes the addr"
    )
    desk.write("one.toml", GOOD + "vmac = true\n")
    assert "NetworkManager" not in "".join(desk.check()[1])


def test_the_package_for_virtual_macs(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon would end without it."""
    desk.write("one.toml", GOOD + "vmac = true\n")
    assert desk.check()[0] == 0

    monkeypatch.setitem(sys.modules, "pyroute2", None)
    status, lines = desk.check()
    assert status == 2
    assert lines[1].startswith(
        "7: mistake: web: vmac needs pyroute2, which is not installed"
    )


def test_credentials(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readable in the service only."""
    text = GOOD.replace('passfile = "{directory}/web.pass"', "credential = 'web.pass'")
    desk.write("one.toml", text)

    assert desk.check("--strict") == (
        0,
        [
            NOTE,
            "6: note: web: the credential web.pass can only be read in the service",
            " no mistakes, no warnings",
        ],
    )
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{desk.directory}")
    assert desk.check() == (0, [NOTE, " no mistakes, no warnings"])
    os.unlink(desk.directory / "web.pass")
    assert desk.check()[0] == 2


def test_a_pair(desk: Desk) -> None:
    """Who wins, and what does not fit."""
    other = GOOD.replace("10.1.1.5", "10.1.1.6") + "advskew = 100\n"
    two = desk.write("two.toml", other)

    status, lines = desk.check("--peer", two, "--strict")

    assert status == 0
    assert (
        "1: note: web: this host is preferred, but without preempt the peer keeps"
        in (lines[1])
    )
    desk.write("two.toml", other.replace("100", "0").replace("252", "253"))
    status, lines = desk.check("--peer", two)
    assert status == 2
    assert "only one of the hosts has 10.1.1.252, 10.1.1.253" in "".join(lines)
    assert "chance decides" in "".join(lines)


def test_passwords_of_a_pair(desk: Desk) -> None:
    """Compared if they are in two files that can be read."""
    desk.write("two.pass", "hate\n")
    other = GOOD.replace("10.1.1.5", "10.1.1.6") + "advskew = 100\n"
    for name, expected in (("two.pass", 2), ("none.pass", 0), ("web.pass", 0)):
        two = desk.write("two.toml", other.replace("web.pass", name))
        status, lines = desk.check("--peer", two)
        assert (status, "another password" in "".join(lines)) == (
            expected,
            expected == 2,
        )
        is_unknown = "the passwords were not compared (compare `sha256sum web.pass`"
        assert (is_unknown in "".join(lines)) == (expected == 0)


def test_mistakes_in_the_file_of_the_peer(desk: Desk) -> None:
    """Named with its file; the pair is not compared."""
    two = desk.write("two.toml", GOOD + "advskw = 3\n")

    status, lines = desk.check("--peer", two)

    assert status == 2
    assert lines[-1].startswith("two.toml:7: mistake: web: unknown key [advskw]")
    assert "chance" not in "".join(lines)


def test_a_finding_is_one_line(desk: Desk) -> None:
    """Whatever a key is called."""
    desk.write("one.toml", GOOD + '"a\\nb\\u001b[2J" = 1\n')

    assert desk.check()[1][-1].startswith(
        "7: mistake: web: unknown key [a?b?[2J] (allowed: "
    )


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["/none.toml"], 2, "carppcap: /none.toml: No such file or directory"),
        (["/"], 2, "carppcap: /: Is a directory"),
        (["a", "b"], 1, "carppcap: You must supply one file to check (see --help)"),
        (
            ["--peer", "x"],
            1,
            "carppcap: You must supply one file to check (see --help)",
        ),
        (["--bogus"], 1, "carppcap: Unknown option: --bogus (see --help)"),
    ],
)
def test_wrong_command_lines(
    words: list[str], status: int, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line on standard error."""
    assert main(["check", *words]) == status

    assert capfd.readouterr().err == f"{sentence}\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help(words: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """In 80 columns."""
    assert main(["check", *words]) == 0

    shown = capfd.readouterr().out
    assert shown.startswith("Usage: carppcap check FILE")
    assert max(map(len, shown.splitlines())) <= 80


def test_people_read_their_language(desk: Desk) -> None:
    """As everywhere on a terminal."""
    catalogues.compile_all()
    german = {"LC_ALL": "de_DE.UTF-8", "LANGUAGE": ""}
    desk.write("one.toml", GOOD + "preempt = 1\n")

    ended = run("check", f"{desk.directory}/one.toml", **german)

    assert ended.returncode == 2
    assert ": Fehler: web: preempt muss true oder false sein (ist 1)" in ended.stdout


def test_standard_input(desk: Desk) -> None:
    """As `-`; nobody can read it later."""
    ended = run("check", "-")

    assert ended.stdout.startswith("-:1: mistake: no group")
    assert ended.returncode == 2
