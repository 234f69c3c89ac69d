"""All virtual hosts of one machine: makes events of frames, and frames of actions."""
