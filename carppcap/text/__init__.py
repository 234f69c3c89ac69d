"""What a person reads: help, and messages in their language."""
