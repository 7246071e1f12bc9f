"""Generators: a function that stops in the middle, and goes on from there when it is asked again.

Look at
- the order of the prints: control goes to the generator at next(), and comes back at `yield`;
- `number`, a local variable that survives while the generator stands still: all that a server has to remember of a
  client can live in such variables;
- what calling even_numbers() prints: nothing. The first next() starts it;
- StopIteration, which is how a generator says that it has returned.
"""

from collections.abc import Iterator


def even_numbers() -> Iterator[int]:
    """Yield the even numbers from 0 to 8."""
    for number in range(0, 10, 2):
        print("Printing from even_numbers():", number)
        yield number


def main() -> None:
    """Ask for six numbers of five."""
    numbers = even_numbers()
    try:
        for _ in range(6):
            print("Printing from main():", next(numbers))
    except StopIteration:
        print("StopIteration: there is no sixth number.")


if __name__ == "__main__":
    main()
