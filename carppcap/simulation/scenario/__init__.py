"""What is simulated, and how it is written down."""
