"""Help texts, and the translation of messages."""
