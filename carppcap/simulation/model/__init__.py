"""Hosts, clocks and the medium between them, in virtual time."""
