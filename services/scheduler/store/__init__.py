"""What the scheduler remembers. The only place with SQL."""
