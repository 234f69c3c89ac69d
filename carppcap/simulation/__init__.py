"""`carppcap simulate`: hosts that take part in an election in virtual time."""
