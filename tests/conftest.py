"""Which tests can run here, and surroundings that are the same for all of them."""

import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

from tests.installation import REQUIRE_NETNS

# A noisy machine is no reason for a property to fail.  CI draws the same examples each
# time, so that it does not depend on luck; everyone else, `make soak` and `make fuzz`
# search on.
settings.register_profile(
    "carppcap",
    deadline=None,
    derandomize=REQUIRE_NETNS in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("carppcap")


def pytest_configure() -> None:
    # Tests compare English words, in this process and in those they start.
    os.environ["LC_ALL"] = "C.UTF-8"
    os.environ.pop("LANGUAGE", None)
    os.environ.pop("CARPPCAP_PASS", None)
    if os.stat("/run").st_uid != os.geteuid():  # Then locks are not there.
        os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="carppcap-run-")
        atexit.register(shutil.rmtree, os.environ["XDG_RUNTIME_DIR"])
    # A shell ignores them in what it runs in the background, and so would every
    # program that a test starts and then ends by one of them.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("netns") is not None and (reason := _obstacle()):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = REQUIRE_NETNS in os.environ and item.get_closest_marker("netns")
    if required and call.excinfo and call.excinfo.errisinstance(pytest.skip.Exception):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_NETNS} forbids this skip: {call.excinfo.value}"
    return report


@cache
def _obstacle() -> str:
    """Why namespace tests cannot run here, or nothing."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("ip", "ucarp") if shutil.which(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    made = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        return f"no network namespaces here: {made.stderr.strip()}"
    return ""
