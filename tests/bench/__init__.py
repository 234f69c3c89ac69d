"""carppcap and ucarp measured side by side: `make bench`."""
