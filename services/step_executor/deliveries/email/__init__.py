"""Composing mails: a version is prepared once, and filled in for each contact."""
