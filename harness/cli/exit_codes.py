"""How commands end: 0 if all is done, and nothing that was judged has failed; else one of these."""

from typing import Final

FAILED: Final = 1
USAGE: Final = 2
COULD_NOT_RUN: Final = 3
INTERRUPTED: Final = 130
