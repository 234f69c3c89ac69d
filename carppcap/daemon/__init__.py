"""The running daemon: one loop around one virtual host."""
