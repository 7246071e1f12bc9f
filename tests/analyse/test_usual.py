"""Which of the ways in which a server was measured stands for it."""

import pytest

from harness.analyse.usual import is_the_usual_one


@pytest.mark.parametrize(
    ("server", "measured", "usual"),
    [
        ("threaded", (), True),
        ("asyncio_streams+uvloop", (), True),
        ("threaded+free", ("threaded",), False),
        ("threaded+fresh", ("threaded",), False),
        ("threaded@3.13.5t", ("threaded",), False),
        ("threaded@3.13.5t", ("threaded@3.13.5",), True),
        ("threaded@3.13.5t+free", (), False),
    ],
)
def test_in_service_pinned_and_on_the_interpreter_of_the_harness_if_it_ran_there(
    server: str, measured: tuple[str, ...], *, usual: bool
) -> None:
    assert is_the_usual_one(server, measured) is usual
