"""The log lines about steps of the election, frames and scripts."""
