"""What is kept: frozen data, and the files that hold it."""
