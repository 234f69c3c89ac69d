"""Scenarios: what is to be simulated, and the language in which it is described."""
