"""`/v1/flows`: the engine's own language, whole."""
