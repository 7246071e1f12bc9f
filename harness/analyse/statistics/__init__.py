"""Intervals, tests and their power; it knows no server."""
