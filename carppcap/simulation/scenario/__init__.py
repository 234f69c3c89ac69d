"""What is simulated, and the language in which it is written down."""
