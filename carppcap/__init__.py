"""A userland CARP daemon: virtual IP addresses shared between hosts."""

__version__ = "1.1.0"
