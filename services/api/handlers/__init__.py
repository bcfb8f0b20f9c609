"""What happens when a topic speaks. One file per topic."""
