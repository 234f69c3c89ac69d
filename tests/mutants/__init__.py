"""Mistakes that are planted in the core, and that the tests must find.

`catalogue` lists them; `kill` tries the laws and the tests on a copy of the package
with one mistake; `python -m tests.mutants` does this for all of them.
"""
