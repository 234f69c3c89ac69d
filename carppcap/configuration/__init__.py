"""The configuration file of `carppcap run`: its groups, and what is wrong with them."""
