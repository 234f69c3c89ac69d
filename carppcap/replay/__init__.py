"""`carppcap replay`: what a virtual host would do with the frames of a capture file."""
