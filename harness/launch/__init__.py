"""Which servers there are; start one, wait until it is ready, stop it."""
