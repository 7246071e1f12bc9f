"""Carries a plan out: a cell, its rounds, the campaign, the whole run."""
