"""The one place that knows FastStream and aiokafka."""
