"""One short conversation, and a crowd that comes and leaves, before anything is measured."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from harness.conformance.peer import Peer
from harness.conformance.violations import Violation
from harness.errors import MeasureError
from harness.oracle import GREETING, oracle

CHECK_LIMIT_S: Final = 10.0
SMALL_TALK: Final = b"sum\n"
SHORT_CHECK: Final = b"1,2\r\nx\nproduct\n3,-4\n\n5,6\nsum\n1,\t2"


def check_shortly(label: str, address: tuple[str, int]) -> None:
    """Hold one short conversation against the oracle; MeasureError if the server answers anything else."""
    with _measured(label), Peer(address, CHECK_LIMIT_S) as peer:
        peer.exchange(b"", GREETING)
        peer.send(SHORT_CHECK)
        peer.half_close()
        peer.expect(oracle(SHORT_CHECK).removeprefix(GREETING))
        peer.expect_end()


def come_and_leave(label: str, address: tuple[str, int], clients: int) -> None:
    """Let so many clients come, say something that costs an upstream nothing, and leave when all are there; errors as above."""
    with _measured(label), ExitStack() as stack:
        peers = [stack.enter_context(Peer(address, CHECK_LIMIT_S)) for _ in range(clients)]
        for peer in peers:
            peer.exchange(b"", GREETING)
            peer.exchange(SMALL_TALK, oracle(SMALL_TALK).removeprefix(GREETING))
        for peer in peers:
            peer.half_close()
            peer.expect_end()


@contextmanager
def _measured(label: str) -> Iterator[None]:
    """Turn a broken promise into an error of measuring."""
    try:
        yield
    except (Violation, TimeoutError) as error:
        raise MeasureError(f"{label} answers wrongly: {error}") from None
