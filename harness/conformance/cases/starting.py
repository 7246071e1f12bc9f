"""L: how a server process starts."""

from typing import Final

from harness.conformance.case import Cases
from harness.conformance.cases.replies import GOODBYE, THREE
from harness.conformance.target import Target, run_to_end, with_options
from harness.conformance.violations import NotApplicable, Violation
from harness.errors import LaunchError
from harness.machine.resources import most_stack_bytes

CASES: Final = Cases()
case = CASES.case

MEMORY_BYTES: Final = 4 * 2**30
"""Enough for any server to start in, and less than what a thread is then given for its stack."""


@case("5.2")
def l01_readiness_line(target: Target) -> None:
    """With port 0 the server takes a free port, and tells it in the readiness line when it can be used."""
    for _ in range(3):
        with target.fresh(port=0) as own:
            own.answers(b"1,2\n", THREE)


@case("5.5")
def l07_restart_at_once(target: Target) -> None:
    """The same port can be taken again at once, although connections on it have just been closed."""
    with target.fresh() as own:
        port = own.address[1]
        with own.greeted() as peer:
            peer.exchange(b"quit\n", GOODBYE)
            peer.expect_end()
        left_open = own.greeted()
        own.server.stop()
        left_open.drain()
    with target.fresh(port=port) as again:
        again.answers(b"1,2\n", THREE)


@case("5.3")
def l08_port_in_use(target: Target) -> None:
    """A port in use: one line on standard error that names the address, exit code 1."""
    with target.fresh() as own:
        port = own.address[1]
        command = target.candidate.filled_command(with_options(port=str(port)))
        code, said = run_to_end(command, own.patience_s, own.candidate.directory)
        if code != 1:
            raise Violation(f"exit code {code}, expected 1; standard error: {said!r}")
        if said.count("\n") != 1 or str(port) not in said:
            raise Violation(f"expected one line that names port {port}, standard error: {said!r}")
        own.answers(b"1,2\n", THREE)


@case("5.4")
def l12_bad_usage(target: Target) -> None:
    """Bad usage: a message on standard error, exit code 2."""
    if not target.candidate.takes("port"):
        raise NotApplicable("its command has no place for {port}")
    wrong = [with_options(port="eighty"), with_options(port="65536"), with_options(port="-1")]
    wrong += (
        [with_options(max_clients="0"), with_options(max_clients="1000000000")]
        if target.candidate.takes("max_clients")
        else []
    )
    wrong += (
        [with_options(idle_timeout="-1"), with_options(idle_timeout="nan")]
        if target.candidate.takes("idle_timeout")
        else []
    )
    commands = [target.candidate.filled_command(given) for given in wrong]
    commands.append([*target.candidate.filled_command(with_options()), "--no-such-option"])
    for command in commands:
        code, said = run_to_end(command, target.patience_s, target.candidate.directory)
        if code != 2 or not said.strip() or "Traceback" in said:
            raise Violation(f"{' '.join(command)}: exit code {code}, expected 2; standard error: {said!r}")


@case("6.7")
def l23_no_thread_at_the_start(target: Target) -> None:
    """Where no thread can be had a server starts all the same, or says so in one line and exits with 1."""
    stack_bytes = 2 * MEMORY_BYTES
    if most_stack_bytes() < stack_bytes:
        raise NotApplicable("this machine does not allow stacks that leave no room for a thread")
    limits = f"ulimit -S -s {stack_bytes // 1024} && ulimit -v {MEMORY_BYTES // 1024}"
    limited = target.started_by(f'{limits} && exec "$@"')
    try:
        with limited.fresh() as own:
            own.answers(b"1,2\n", THREE)
    except LaunchError:
        code, said = run_to_end(limited.candidate.filled_command(with_options()), target.patience_s)
        if code != 1 or said.count("\n") != 1:
            raise Violation(f"exit code {code}, expected 1 and one line; standard error: {said!r}") from None
