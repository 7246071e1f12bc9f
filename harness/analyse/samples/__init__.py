"""What one launch says: its figures, whether it was steady, whether it is valid."""
