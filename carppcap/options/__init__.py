"""The command line, as a table."""
