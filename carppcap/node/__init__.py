"""All virtual hosts of one machine.

This package turns received frames into events, and actions into frames to send.
"""
