"""The election: one virtual host decides whether it is BACKUP or MASTER."""
