"""Files that the commands read and write."""

import stat
from pathlib import Path

import pytest

from carppcap.commands import files
from carppcap.commands.files import read_text, write_text
from carppcap.errors import ConfigError, LinkError


def test_reading(tmp_path: Path) -> None:
    """Text; the line of what is none."""
    path = tmp_path / "x"
    path.write_bytes("é\r\n".encode())
    assert read_text(f"{path}") == "é\r\n"

    path.write_bytes(b"a\nb\n\xff\n")
    with pytest.raises(LinkError, match=f"^{path}:3: not UTF-8 "):
        read_text(f"{path}")


def test_a_file_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a device."""
    monkeypatch.setattr(files, "BYTES_MAX", 1000)

    with pytest.raises(
        LinkError, match=r"^/dev/zero: too long \(allowed: 1000 bytes\)"
    ):
        read_text("/dev/zero")


def test_writing(tmp_path: Path) -> None:
    """Directories are made; a file that is there is kept."""
    path = tmp_path / "new" / "x"
    write_text(f"{path}", "é\n", mode=0o600)

    assert path.read_bytes() == "é\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigError, match="is there already"):
        write_text(f"{path}", "b\n", mode=0o600)
    assert path.read_text() == "é\n"
    write_text(f"{path}", "b\n", mode=0o600, force=True)
    assert path.read_text() == "b\n"
    for force in (False, True):
        with pytest.raises(ConfigError, match=r"is a directory \(allowed: a file\)"):
            write_text(f"{tmp_path}", "b\n", mode=0o600, force=force)
    with pytest.raises(LinkError, match="Not a directory"):
        write_text(f"{path}/y", "b\n", mode=0o600)


def test_writing_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a path."""
    write_text(None, "é\n", mode=0o600)

    assert capsys.readouterr().out == "é\n"
