"""What is to be done: loads, workloads, the design of blocks."""
