"""What must be true of any group of hosts, whatever the wire does to them.

`laws` says it, one function each; `groups` and `faults` draw the clusters it is tried
on; `soak` tries it on as many as you like.
"""
