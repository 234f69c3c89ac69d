"""Headers, digests and frames, as bytes and as values.

This is the only package that imports impacket.
"""
