"""The sources of the password, and where it must not remain."""

import os
import subprocess
from pathlib import Path

import pytest

from carppcap.errors import ConfigError, PasswordError
from carppcap.options.settings import Settings
from carppcap.system.password import hide_passwords, with_password
from tests.shell import MemoryLog

VARIABLE = "CARPPCAP_PASS"


def passfile(tmp_path: Path, content: bytes, mode: int = 0o600) -> str:
    path = tmp_path / "pass"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"love\n", b"love"),
        (b"love", b"love"),
        (b"love\nand more\n", b"love"),
        (b"lo ve\n", b"lo ve"),
        (b"l\xf6ve\n", b"l\xf6ve"),
        (b"1234567890123456789\n", b"1234567890123456789"),
    ],
)
def test_passfile(tmp_path: Path, content: bytes, password: bytes) -> None:
    """The password is the first line without its end, whatever its bytes."""
    log = MemoryLog()
    settings = Settings(passfile=passfile(tmp_path, content))

    assert with_password(settings, log).password == password
    assert log.lines == []


@pytest.mark.parametrize(
    ("second_line", "expected", "warning"),
    [
        (b"", None, ""),
        (b"\n", None, ""),
        (b" \t\r\n", None, ""),
        (b"old\n", b"old", ""),
        (b"old", b"old", ""),
        (b"old\nolder\n", b"old", ""),
        (b"o\xf6 d\n", b"o\xf6 d", ""),
        (b"old\r\n", b"old\r", "the second password in {} contains a carriage return"),
        (b"\told\n", b"\told", "the second password in {} contains a blank at its"),
        (b"# the site in Berlin\n", None, "the second line of {} is ignored: Password"),
        (b"o\0ld\n", None, "the second line of {} is ignored: Password contains a"),
    ],
)
def test_second_password(
    tmp_path: Path, second_line: bytes, expected: bytes | None, warning: str
) -> None:
    """The second line as the first; one that cannot be a password is no error."""
    log = MemoryLog()
    path = passfile(tmp_path, b"new\n" + second_line)
    settings = with_password(Settings(passfile=path), log)

    assert (settings.password, settings.second_password) == (b"new", expected)
    assert len(log.texts) == bool(warning)
    for text in log.texts:
        assert text.startswith("Warning: " + warning.format(path))


BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("content", "password", "found"),
    [
        (b"love\r\n", b"love\r", ["a carriage return"]),
        (b"love\r", b"love\r", ["a carriage return"]),
        (b"love \n", b"love ", ["a blank at its end"]),
        (b"\tlove\n", b"\tlove", ["a blank at its beginning"]),
        (BOM + b"love\n", BOM + b"love", ["a byte order mark"]),
        (
            BOM + b" love \r\n",
            BOM + b" love \r",
            [
                "a byte order mark",
                "a carriage return",
                "a blank at its beginning",
                "a blank at its end",
            ],
        ),
        (b"lo\rve\n", b"lo\rve", []),
    ],
)
def test_what_cannot_be_seen_in_a_passfile(
    tmp_path: Path, content: bytes, password: bytes, found: list[str]
) -> None:
    """The key has it, as ucarp's, and one line each names it."""
    log = MemoryLog()
    path = passfile(tmp_path, content)

    assert with_password(Settings(passfile=path), log).password == password
    begin = f"Warning: the password in {path} contains "
    assert [text.removeprefix(begin).split(";")[0] for text in log.texts] == found


def test_the_remedies_leave_the_other_line_alone(tmp_path: Path) -> None:
    """A command is for one of the two lines."""
    log = MemoryLog()
    path = passfile(tmp_path, b" new\n old \n")
    with_password(Settings(passfile=path), log)

    remedies = [text.partition("on all hosts: ")[2] for text in log.texts]
    assert remedies == [
        f"sed -i '1s/^[ \\t]*//' {path}",
        f"sed -i '2s/^[ \\t]*//' {path}",
        f"sed -i '2s/[ \\t]*$//' {path}",
    ]


def test_the_remedies_for_what_cannot_be_seen(tmp_path: Path) -> None:
    """The commands that the warnings name leave the password alone."""
    log = MemoryLog()
    path = passfile(tmp_path, BOM + b" love \r\n")
    with_password(Settings(passfile=path), log)

    for text in log.texts:
        subprocess.run(text.partition("on all hosts: ")[2], shell=True, check=True)

    assert Path(path).read_bytes() == b"love\n"


@pytest.mark.parametrize(
    ("content", "sentence", "status"),
    [
        (
            b"",
            (
                "error reading passfile {}: unexpected end of file (allowed: 1 to 19 "
                "bytes in the first line)"
            ),
            1,
        ),
        (b"\nlove\n", "You must supply a password (allowed: 1 to 19 bytes)", 1),
        (b"x" * 20, "Password too long: 20 bytes (allowed: 1 to 19)", 2),
        (b"x" * 19 + b"\r\n", "Password too long: 20 bytes (allowed: 1 to 19)", 2),
        (b"x" * 5000, "Password too long: 4096 bytes (allowed: 1 to 19)", 2),
        (b"lo\0ve\n", "Password contains a zero byte (allowed: any other)", 2),
    ],
)
def test_bad_passfile(
    tmp_path: Path, content: bytes, sentence: str, status: int
) -> None:
    """The errors have ucarp's words where ucarp has any."""
    path = passfile(tmp_path, content)

    with pytest.raises(ConfigError) as caught:
        with_password(Settings(passfile=path), MemoryLog())

    assert str(caught.value) == sentence.format(path)
    assert caught.value.exit_status == status


@pytest.mark.parametrize(
    ("path", "why"),
    [
        (
            "/nonexistent",
            "No such file or directory (remedy: copy it from the other host)",
        ),
        ("/", "Is a directory"),
    ],
)
def test_no_passfile(path: str, why: str) -> None:
    """The error has the path and the reason."""
    with pytest.raises(ConfigError) as caught:
        with_password(Settings(passfile=path), MemoryLog())

    sentence = f"unable to open passfile {path} for reading: {why}"
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("mode", "is_warned"), [(0o600, False), (0o640, False), (0o604, True)]
)
def test_a_passfile_for_everyone(tmp_path: Path, mode: int, is_warned: bool) -> None:
    """Only a file that every user can read is warned about."""
    log = MemoryLog()
    path = passfile(tmp_path, b"love\n", mode)

    with_password(Settings(passfile=path), log)

    expected = [
        ("WARNING", f"passfile {path} can be read by every user: chmod o-r"),
    ]
    assert log.lines == (expected if is_warned else [])


@pytest.mark.parametrize(
    ("settings", "password"),
    [
        (Settings(), b"from the variable"),
        (Settings(password=b"from -p"), b"from -p"),
    ],
)
def test_environment(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, password: bytes
) -> None:
    """It is used if no option gives a password, and never inherited by scripts."""
    monkeypatch.setenv(VARIABLE, "from the variable")

    assert with_password(settings, MemoryLog()).password == password
    assert VARIABLE not in os.environ


@pytest.mark.parametrize(
    ("value", "error", "status"),
    [("", ConfigError, 1), ("x" * 20, PasswordError, 2)],
)
def test_bad_environment(
    monkeypatch: pytest.MonkeyPatch, value: str, error: type[ConfigError], status: int
) -> None:
    """A password of the environment obeys the rules of the options."""
    monkeypatch.setenv(VARIABLE, value)

    with pytest.raises(error) as caught:
        with_password(Settings(), MemoryLog())

    assert caught.value.exit_status == status


def test_no_password() -> None:
    """A missing password is not an error here."""
    assert with_password(Settings(), MemoryLog()) == Settings()


def test_hiding_what_cannot_be_understood() -> None:
    """A command line that cannot be parsed is refused."""
    with pytest.raises(ConfigError):
        hide_passwords(["-p"])
