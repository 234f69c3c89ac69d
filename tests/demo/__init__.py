"""`make demo`: what carppcap does, live on a private network, and explained."""
