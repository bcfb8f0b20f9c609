"""What the step executor remembers. The only place with SQL."""
