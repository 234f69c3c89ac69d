"""Runs the groups of a file, each line of which is a name and ucarp's options."""

import shlex
import sys
from pathlib import Path

from carppcap import cli
from carppcap.options.command_line import parse
from carppcap.system.syslog import Log

if __name__ == "__main__":
    every = {}
    for line in Path(sys.argv[1]).read_text("utf-8").splitlines():
        name, *options = shlex.split(line)
        every[name], _ = parse(options)
    sys.exit(cli.run_groups("carppcap", every, Log("carppcap"), None))
