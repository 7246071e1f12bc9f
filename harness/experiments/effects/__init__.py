"""Known effects, each made to happen on this machine and then taken away."""
