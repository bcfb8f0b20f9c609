"""A service as a process: settings, start, run, drain on SIGTERM, health."""
