"""The calculator alone: what will be served, without a server.

Look at
- the one place where it stands still: input() waits for a line, as a server waits for a client's;
- calculate(), which knows nothing of where the line comes from: in the study `implementations/protocol.py` is the part
  without input and output, and all servers share it;
- what int() lets pass as an integer: `1_000` (case A07 of the conformance suite) and digits of any script (A08). That
  is why the protocol says what an integer is, byte for byte.
"""

from math import prod
from typing import Final

PROMPT: Final = "Please enter a list of integers, separated by commas: "


def calculate(line: str) -> str:
    """Return the sum and the product of a list of integers; ValueError if it is not one."""
    numbers = [int(item) for item in line.split(",")]
    return f"Sum of input integers {sum(numbers)}\nProduct of input integers {prod(numbers)}"


def main() -> None:
    """Ask and answer until Ctrl-C, or until there is no more input."""
    try:
        while True:
            line = input(PROMPT)
            try:
                print(calculate(line))
            except ValueError:
                print("ERROR. Enter only integers separated by commas")
    except (KeyboardInterrupt, EOFError):
        print("\nFinished.")


if __name__ == "__main__":
    main()
