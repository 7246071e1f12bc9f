"""How requests come: each when the one before it is answered, when they are due, or on a connection of its own."""
