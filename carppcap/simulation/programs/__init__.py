"""The programs that take part in a simulated election."""
