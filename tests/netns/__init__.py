"""Hosts in network namespaces, and what carppcap and ucarp do there."""
