"""What the trigger matcher says."""
