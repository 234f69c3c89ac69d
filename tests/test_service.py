"""The units, as systemd itself judges them; tests/netns/test_service.py runs them."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from carppcap.options.command_line import parse
from tests.installation import PREFIX, installed
from tests.shell import ROOT

SERVICE = ROOT / "carppcap" / "service"
EXAMPLE = SERVICE / "example.conf"
UNITS = sorted(SERVICE.glob("*.service"))

EXPOSURE_MAX = 3.0

every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *words], check=False, capture_output=True, text=True
    )


@needs_systemd
@every_unit
def test_systemd_has_nothing_to_remark(unit: Path) -> None:
    """`systemd-analyze verify`: each directive is known, each program is there."""
    directory = installed()
    place = f"{directory}{PREFIX}"
    text = Path(place, "lib/systemd/system", unit.name).read_text()
    # man(1) need not be here.
    copied = re.sub("^Documentation=.*\n", "", text, flags=re.MULTILINE)
    moved = directory / unit.name.replace("@", "@vip")
    moved.write_text(copied.replace(PREFIX, place))

    judged = analyze("verify", moved)

    moved.unlink()
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, "", "")


@needs_systemd
@every_unit
def test_exposure_is_small(unit: Path) -> None:
    """`systemd-analyze security`, from 0 (safe) to 10."""
    judged = analyze("security", "--offline=true", unit)

    [level] = re.findall(r"Overall exposure level for \S+: ([\d.]+)", judged.stdout)
    assert float(level) <= EXPOSURE_MAX


def test_example_of_a_group() -> None:
    """Its options are right, together with the password that the unit adds."""
    [line] = re.findall('^OPTIONS="(.*)"$', EXAMPLE.read_text(), re.MULTILINE)

    settings, words = parse([*shlex.split(line), "--pass=x"])

    assert words == []
    assert settings.virtual_host("eth0").vhid == 42


OWN_LINES = "Description Documentation EnvironmentFile ExecStart LoadCredential"
"""What a unit has for itself, by directive."""


def test_units_are_restricted_alike() -> None:
    """What is proved of one unit in tests/netns holds for the other."""

    def lines(unit: Path) -> list[str]:
        return [
            line
            for line in unit.read_text().splitlines()
            if line[:1] != "#" and line.partition("=")[0] not in OWN_LINES.split()
        ]

    one, other = UNITS
    assert lines(one) == lines(other)


@every_unit
def test_real_time_is_permitted(unit: Path) -> None:
    """What an advert needs that must not be late, and a line in the log else."""
    text = unit.read_text()

    assert "RestrictRealtime" not in text
    for name in ("CAP_SYS_NICE", "CAP_IPC_LOCK", "CAP_SYS_RESOURCE"):
        assert re.search(rf"^CapabilityBoundingSet=.*\b{name}\b", text, re.MULTILINE)
