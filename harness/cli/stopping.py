"""How a command is told to stop: at the first signal all contexts end, servers with them; a later one waits for nothing.

A stop that is told twice is one stop: `timeout`, shells and supervisors signal a process and then its group.
"""

import os
import signal
import sys
import time
from types import FrameType
from typing import Final, NoReturn

ONE_STOP_S: Final = 0.5
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR: Final = b"\x1b[?25h"


def obey_stop_signals() -> None:
    """End by KeyboardInterrupt or SystemExit, and at once if one is told so again; what we were to ignore stays ignored."""
    told_at_s: list[float] = []

    def stop(number: int, _: FrameType | None) -> None:
        told_at_s.append(time.monotonic())
        if len(told_at_s) > 1:
            if told_at_s[-1] - told_at_s[0] > ONE_STOP_S:
                _end_at_once(number)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        else:
            sys.exit(128 + number)

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _end_at_once(number: int) -> NoReturn:
    """Leave what was started to the guardian, and the terminal as it was."""
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)
    os._exit(128 + number)
