"""Hosts in network namespaces, and what carppcap and the original do there."""
