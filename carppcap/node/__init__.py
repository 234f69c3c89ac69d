"""All virtual hosts of one machine: from frames to events, from actions to frames."""
