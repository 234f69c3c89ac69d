"""What `make install` makes, once for all tests that need it."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

import pytest

from tests.shell import ROOT

INSTALL, UNINSTALL = (ROOT / ".ci" / name for name in ("install", "uninstall"))

REQUIRE_NETNS = "CARPPCAP_REQUIRE_NETNS"
"""Set where skipping would hide something, as in CI: a skipped netns test fails."""

PREFIX = "/opt/carppcap"
"""What tests install for."""

_lock = threading.Lock()


def installed() -> Path:
    """Return the directory into which `PREFIX` was installed, as a package does.

    Skip the test if pip cannot reach its index, but not in CI.
    """
    with _lock:  # Scenarios run side by side.
        directory, trouble = _install()
    if "pip could not install" in trouble and REQUIRE_NETNS not in os.environ:
        pytest.skip("pip cannot reach its index")
    assert not trouble
    return directory


@cache
def _install() -> tuple[Path, str]:
    directory = Path(tempfile.mkdtemp(prefix="carppcap-installed-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    directory.chmod(0o755)
    made = subprocess.run(
        [INSTALL, service_python(), PREFIX, directory],
        capture_output=True,
        text=True,
        check=False,
    )
    return directory, made.stderr if made.returncode else ""


@cache
def service_python() -> str:
    """Return a Python that a unit with ProtectHome= and PrivateTmp= can run."""
    for path in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        is_hidden = path.startswith(("/root/", "/home/", "/tmp/"))
        if not is_hidden and os.path.exists(path):
            return path
    return sys.executable
