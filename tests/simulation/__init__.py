"""Tests of `carppcap.simulation`, one module for each of its modules."""
