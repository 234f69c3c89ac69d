"""Files for the daemon: groups with passwords, or every mistake in the log."""

from pathlib import Path

import pytest

from carppcap.commands.load import load
from carppcap.errors import ConfigError, LinkError
from tests.configuration.files import GOOD
from tests.shell import MemoryLog


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A passfile with two lines."""
    path = tmp_path / "vip.pass"
    path.write_text("love\nhate\n")
    path.chmod(0o600)
    return path


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "carppcap.toml"
    path.write_text(text)
    return f"{path}"


def test_groups(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With passwords from the file, from a passfile, and from systemd."""
    monkeypatch.setenv("CARPPCAP_PASS", "other")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", f"{tmp_path}")
    two = GOOD.replace("web", "two").replace("42", "43")
    three = GOOD.replace("web", "three").replace("42", "44")
    path = written(
        tmp_path,
        GOOD
        + two.replace('pass = "love"', f"passfile = '{secret}'")
        + three.replace('pass = "love"', "credential = 'vip.pass'"),
    )
    log = MemoryLog()

    loaded = load(path, log)

    assert log.lines == []
    assert [
        (name, settings.vhid, settings.password, settings.second_password)
        for name, settings in loaded
    ] == [
        ("web", 42, b"love", None),
        ("two", 43, b"love", b"hate"),
        ("three", 44, b"love", b"hate"),
    ]
    for _, settings in loaded:
        assert settings.virtual_host("eth0").vips == settings.vips


def test_every_mistake_is_logged(tmp_path: Path) -> None:
    """Also those about passwords; nothing is run."""
    text = GOOD.replace('pass = "love"', "credential = 'x'").replace("42", "300")
    two = GOOD.replace("web", "two").replace('pass = "love"', "passfile = '/none'")
    path, log = written(tmp_path, text + two + "own = 1\n"), MemoryLog()

    with pytest.raises(ConfigError) as raised:
        load(path, log)

    assert str(raised.value) == f"{path}: 4 mistakes (carppcap check {path} says more)"
    assert [line.removeprefix(f"{path}:") for line in log.texts] == [
        "4: web: Invalid number: [300] for vhid (allowed: 1 to 255)",
        "6: web: credential x needs LoadCredential=x:FILE in the unit: there is no CREDENTIALS_DIRECTORY",
        "12: two: unable to open passfile /none for reading: No such file or directory (remedy: copy it from the other host)",
        "13: two: unknown key [own] (allowed: those in carppcap.toml(5)); did you mean own_addresses?",
    ]
    assert {level for level, _ in log.lines} == {"ERROR"}


def test_one_mistake_is_counted(tmp_path: Path) -> None:
    """In the singular."""
    path = written(tmp_path, GOOD + "advskew = 256\n")

    with pytest.raises(ConfigError, match=r": 1 mistake \(carppcap check "):
        load(path, MemoryLog())


def test_no_file() -> None:
    """Status 2, as for every file that cannot be read."""
    with pytest.raises(LinkError, match=r"^/none: No such file"):
        load("/none", MemoryLog())
