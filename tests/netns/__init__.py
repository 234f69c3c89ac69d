"""Tests of carppcap and ucarp on hosts in network namespaces."""
