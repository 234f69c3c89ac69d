"""Catalogues of messages, and how they are made."""
