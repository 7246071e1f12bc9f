"""Faults, with figures: what is done to a running server, and what a light client beside it notices."""
