"""What the API remembers. The only place with SQL."""
