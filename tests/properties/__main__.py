"""`python -m tests.properties SEEDS`: try the laws on random clusters."""

import argparse
import sys

from tests.properties.laws import LAWS
from tests.properties.soak import soak


def main() -> int:
    """Return 0 if every law was kept, 1 if one was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.properties")
    parser.add_argument("seeds", type=int, help="number of clusters")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--law", action="append", choices=[*LAWS], default=[])
    parser.add_argument(
        "--keep", metavar="NAME", help="name of the fixture for the first broken one"
    )
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error("seeds: 1 or more")
    return soak(given.seeds, given.first, given.law, given.keep)


if __name__ == "__main__":
    sys.exit(main())
