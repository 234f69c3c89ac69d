"""carppcap and the original measured side by side: `make bench`."""
