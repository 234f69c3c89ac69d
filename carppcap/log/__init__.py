"""The log's lines about steps of the election, frames and scripts."""
