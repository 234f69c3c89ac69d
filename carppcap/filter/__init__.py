"""Capture filters for the kernel, and when to narrow them in a flood of frames."""
