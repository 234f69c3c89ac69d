"""Benchmarks of how long two hosts or no host have the address in case of a fault."""
