"""Telling addresses of users what happens: payload, address, call, answer."""
