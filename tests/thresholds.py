"""Is enough of the package covered?  Silent if so; run it after a measured test run."""

import io
import os
import sys

from coverage import Coverage

from tests.test_layers import MODULES, PURE, SHELL

LEAST_PERCENT_PURE = 100
LEAST_PERCENT_SHELL = 90


def main() -> int:
    """0 when both halves of the package are covered well enough, else 1."""
    coverage = Coverage()
    coverage.load()
    short = 0
    for half, names, least in (
        ("pure", PURE, LEAST_PERCENT_PURE),
        ("shell", SHELL, LEAST_PERCENT_SHELL),
    ):
        files = [str(MODULES[name]) for name in names]
        percent = coverage.report(include=files, file=io.StringIO())
        if percent < least:
            print(f"coverage of the {half} modules: {percent:.2f} %, not {least} %")
            short = 1
    if short and os.geteuid() != 0:
        print("(the tests in namespaces, which need root, are part of it)")
    return short


if __name__ == "__main__":
    sys.exit(main())
