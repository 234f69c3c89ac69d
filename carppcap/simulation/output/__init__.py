"""What is told of a simulated run."""
