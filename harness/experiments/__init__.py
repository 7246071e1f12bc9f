"""What else is done: faults, costs, effects, capacity; and the test of the instrument itself."""
