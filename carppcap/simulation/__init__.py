"""`carppcap simulate`: a group of hosts that hold an election in virtual time."""
