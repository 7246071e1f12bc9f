"""Generated input from several clients at once, until something goes wrong."""
