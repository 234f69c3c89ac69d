"""Bytes and values: headers, digests, frames.  The only importer of impacket."""
