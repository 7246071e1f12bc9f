"""What is commonly said of each known effect, and by whom; whether it holds is for the experiments to say. Frozen data."""

from collections.abc import Mapping, Sequence
from typing import Final

from harness.analyse.causes.evidence import Cause
from harness.record import EffectResult

LITERATURE: Final[Mapping[str, str]] = {
    "receive-buffer": "mallopt(3): a block above 128 KiB is mapped by itself, which costs zeroed pages; once one is freed the threshold rises",
    "placement": "Beazley, Understanding the Python GIL (PyCon 2010): threads on several cores fight for the lock, and are slower than on one",
    "lock-crowd": "Beazley (PyCon 2010): the more threads want the lock, the more of them are woken for nothing",
    "idle-watch": "Kegel, The C10K problem; Banga, Mogul and Druschel (USENIX 1999): select() and poll() cost what they watch, not what is ready",
    "waking-up": "Barroso et al., Attack of the Killer Microseconds (CACM 2017): at this scale waking up costs more than the work",
    "interpreter-lock": "Beazley (PyCon 2010): who waits for the network pays the switch interval for each reply beside a thread that computes",
    "switch-interval": "sys.setswitchinterval: the interval is only asked for; how long it takes is the operating system's decision",
    "head-of-line": "asyncio's documentation, Developing with asyncio: a computation of 1 s delays all tasks by 1 s",
    "convoy": "Stevens, UNIX Network Programming: an iterative server serves the next client when it has finished with this one",
    "no-delay": "RFC 896 and RFC 1122, 4.2.3: both wait for each other, up to 500 ms; Linux waits 40 ms",
    "full-backlog": "RFC 6298: a SYN that was dropped is sent again after 1 s, and then after twice as long each time",
    "blocking-wait": "asyncio's documentation, Developing with asyncio: blocking code should not be called directly, since nobody else runs",
    "database": "hackeryarn.com, async Python benchmarks: with a database threads and a pool match or beat all else; blog.changs.co.uk doubts that after a look at the code; Bayer, Asynchronous Python and Databases (2015): what a driver computes outweighs what waiting in a loop wins",
    "pool-turns": "Lampson and Redell, Monitors in Mesa (CACM 1980): who is notified gets a hint and no turn; who comes meanwhile may be first",
}


def met(result: EffectResult, causes: Sequence[Cause]) -> tuple[str, ...]:
    """Return the servers in whose figures a rule found the cause of an effect, each once."""
    return tuple(dict.fromkeys(each.servers[0] for each in causes if each.source == result.source))
