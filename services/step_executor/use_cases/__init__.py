"""What the executor does with each kind of command, on the workbench of a batch."""
