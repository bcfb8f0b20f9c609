"""What the trigger matcher remembers. The only place with SQL."""
