"""Benchmarks, which measure carppcap and ucarp side by side: `make bench`."""
