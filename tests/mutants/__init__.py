"""Mistakes planted in the core, each of which the tests must find.

`catalogue` lists them, `kill` tries the laws and the tests on a copy of the package
with one of them in it; `python -m tests.mutants` does so with all of them.
"""
