"""Decodes and encodes CARP headers, digests and frames.

This is the only package that imports impacket.
"""
