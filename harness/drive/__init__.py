"""The load generator: processes that ask, compare every reply, and keep the times."""
