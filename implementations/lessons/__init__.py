"""The lessons that lead up to the servers, in reading order; `README.md` is the guide through them."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Lesson:
    """One step, a file that can be run."""

    name: str
    title: str
    has_options: bool = False

    @property
    def file(self) -> str:
        """The path of its source, from the top of the project."""
        return f"implementations/lessons/{self.name}.py"


LESSONS: Final = (
    Lesson("lesson1_echo_server", "An echo server", has_options=True),
    Lesson("lesson2_calculator", "The calculator alone"),
    Lesson("lesson3_blocking_server", "A blocking server"),
    Lesson("lesson4_generators", "Generators"),
    Lesson("lesson5_callback", "Awaiting a callback"),
    Lesson("lesson6_reactor", "The non-blocking server"),
    Lesson("lesson7_libraries", "The same in asyncio, trio and gevent", has_options=True),
    Lesson("lesson8_threads", "A thread for each client", has_options=True),
    Lesson("lesson9_shared_total", "A total that all clients share", has_options=True),
    Lesson("lesson10_waiting", "Handlers that wait", has_options=True),
)
