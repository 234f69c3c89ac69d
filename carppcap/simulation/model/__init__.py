"""The simulated hosts, their clocks and the medium between them, in virtual time."""
