"""`carppcap replay`: a capture file put before a virtual host."""
