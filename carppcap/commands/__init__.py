"""The commands about configuration files: check, init and convert."""
