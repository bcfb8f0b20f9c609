"""What the scheduler says, and what it remembers between ticks."""
