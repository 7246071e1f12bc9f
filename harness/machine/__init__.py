"""What the kernel tells of processes, clocks, sockets; the cores and files that it gives."""
