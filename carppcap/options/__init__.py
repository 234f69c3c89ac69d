"""The daemon's command line: its options, their values, and the settings they give."""
