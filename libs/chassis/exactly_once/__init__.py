"""Every record applied once, whatever dies in between: see README.md in this folder."""
