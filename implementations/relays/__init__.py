"""How a handler asks another calculator and waits: the same pool of connections, as each model would write it."""
