"""What the scheduler says."""
