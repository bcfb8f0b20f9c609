"""Pools, transactions, named statements, migrations, partitions by time."""
