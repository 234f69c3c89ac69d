"""What the kernel is to hold back, and when."""
