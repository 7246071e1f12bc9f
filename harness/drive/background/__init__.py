"""Clients in the background, beside those that are measured."""
