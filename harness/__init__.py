"""The study's instrument.

In the order in which the data goes:

plan/         what is to be done: loads, workloads, the design of blocks
launch/       which servers there are; start one, wait until it is ready, stop it
drive/        the load generator: processes that ask, compare every reply, and keep the times
record/       what is kept: frozen data, and the files that hold it
analyse/      from samples to figures, verdicts, rankings and causes; pure
report/       from an analysis to the blocks of its pages, report.md first, figures, and report.html; pure

study/        carries a plan out: a cell, its rounds, the campaign, the whole run
conformance/  which promises of PROTOCOL.md a server keeps: the gate of every run
experiments/  what else is done: faults, costs, effects, capacity; and the test of the instrument itself
machine/      what the kernel tells of processes, threads, sockets; the cores and files that it gives
cli/          one module for each subcommand
oracle.py     what must be answered, from the specification alone
errors.py     how a command is refused
"""
