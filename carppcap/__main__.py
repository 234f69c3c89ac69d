"""`python -m carppcap` is the command `carppcap`."""

import sys

from carppcap.cli import main

if __name__ == "__main__":
    sys.exit(main())
