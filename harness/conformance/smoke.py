"""One short conversation, before anything is measured."""

from typing import Final

from harness.conformance.peer import Peer
from harness.conformance.violations import Violation
from harness.errors import MeasureError
from harness.oracle import GREETING, oracle

CHECK_LIMIT_S: Final = 10.0
SHORT_CHECK: Final = b"1,2\r\nx\nproduct\n3,-4\n\n5,6\nsum\n1,\t2"


def check_shortly(label: str, address: tuple[str, int]) -> None:
    """Hold one short conversation against the oracle; MeasureError if the server answers anything else."""
    try:
        with Peer(address, CHECK_LIMIT_S) as peer:
            peer.exchange(b"", GREETING)
            peer.send(SHORT_CHECK)
            peer.half_close()
            peer.expect(oracle(SHORT_CHECK).removeprefix(GREETING))
            peer.expect_end()
    except (Violation, TimeoutError) as error:
        raise MeasureError(f"{label} answers wrongly: {error}") from None
