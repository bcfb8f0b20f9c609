"""Carrying deliveries out. This knows mail and HTTP, and nothing of Kafka."""
