"""What a request costs in syscalls, switches and CPU time; what a connection costs; what coming and going costs."""
