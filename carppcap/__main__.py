"""Run the command `carppcap` for `python -m carppcap`."""

import sys

from carppcap.cli import main

if __name__ == "__main__":
    sys.exit(main())
