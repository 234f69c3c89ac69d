"""The live process: one loop around one node."""
