"""Laws that any group of hosts must keep, whatever the medium does to its frames.

`laws` lists them, a function each; `groups` and `faults` draw the clusters they are
tried on; `soak` tries them on many.
"""
