"""What the log says of steps, frames and scripts."""
