"""What the executor does with each kind of command, within the unit of work of a batch."""
