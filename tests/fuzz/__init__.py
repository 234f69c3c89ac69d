"""Hostile and broken input, as much of it as there is time for.

    python -m tests.fuzz [TARGET...] [--seconds N] [--runs N]

A target (`catalogue`) is a function that takes any bytes and fails where a promise is
broken; `__main__` lets all of them run in processes of their own (`worker`), under
libFuzzer by way of atheris, or where that is not to be had under `mutation`.  What
they learnt is kept in fixtures/fuzz, small enough for every run of the tests.
"""
