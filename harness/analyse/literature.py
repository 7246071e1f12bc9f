"""What is commonly said of each known effect, and where; whether it holds is for the experiments to say. Frozen data.

Each text links to where it is said; where nobody was found who has measured an effect like ours it says so.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from harness.analyse.causes.evidence import Cause
from harness.record import EffectResult

LITERATURE: Final[Mapping[str, str]] = {
    "receive-buffer": (
        "[mallopt(3)](https://man7.org/linux/man-pages/man3/mallopt.3.html): a block of 128 KiB or more is mapped by itself if none "
        "is free that fits, and has to be zeroed; when it is freed the threshold rises to its size. "
        "[python/cpython issue 85451](https://github.com/python/cpython/issues/85451) (a report of 2026): recv(256 KiB) maps memory for "
        "each small read, in some processes and not in others"
    ),
    "placement": (
        "Beazley, [Understanding the Python GIL](https://www.dabeaz.com/GIL/) (PyCon 2010, Python 2): two threads that compute fight for "
        "the lock on several cores, and take twice as long as one; Skvortsov, [The GIL and its effects on Python multithreading]"
        "(https://tenthousandmeters.com/blog/python-behind-the-scenes-13-the-gil-and-its-effects-on-python-multithreading/) (2021, "
        "Python 3.9): as long as one. Nothing found that measures threads of a server on one core and on several"
    ),
    "lock-crowd": (
        "Beazley (PyCon 2010, Python 2): who is woken finds the lock taken again, and four threads take about as long as two; CPython, "
        "[ceval_gil.c](https://github.com/python/cpython/blob/main/Python/ceval_gil.c): who waits for the lock wakes up after each "
        "switch interval. Nothing found that measures thousands of threads"
    ),
    "idle-watch": (
        "Kegel, [The C10K problem](https://www.kegel.com/c10k.html): poll() looks through thousands of descriptors, most of them idle, "
        "and that takes time; Banga, Mogul and Druschel, [A scalable and explicit event delivery mechanism for UNIX]"
        "(https://www.usenix.org/legacy/events/usenix99/full_papers/banga/banga.pdf) (USENIX 1999): so does select(), by its design"
    ),
    "waking-up": (
        "Barroso et al., [Attack of the Killer Microseconds](https://cacm.acm.org/research/attack-of-the-killer-microseconds/) (CACM "
        "60(4), 2017): context switches are made for waits of milliseconds; for those of microseconds they often cost as much as the "
        "wait, or more"
    ),
    "interpreter-lock": (
        "Beazley, [python/cpython issue 52194](https://github.com/python/cpython/issues/52194) (2010), and Skvortsov (2021): beside a "
        "thread that computes each system call of an echo costs the switch interval, 5 ms, or more: 100 requests/s instead of 30,000; "
        "not so on one core"
    ),
    "switch-interval": (
        "[sys.setswitchinterval](https://docs.python.org/3/library/sys.html#sys.setswitchinterval): the interval is an ideal, and may "
        "take longer; who is next is the operating system's decision"
    ),
    "head-of-line": (
        "asyncio's documentation, [Running blocking code](https://docs.python.org/3/library/asyncio-dev.html#running-blocking-code): a "
        "computation of 1 s delays all tasks and all I/O by 1 s"
    ),
    "convoy": (
        "Stevens, Fenner and Rudoff, [UNIX Network Programming](https://www.oreilly.com/library/view/the-sockets-networking/0131411551/ch30.html), "
        "volume 1, chapter 30: an iterative server cannot process a pending client until it has completely served the present one"
    ),
    "no-delay": (
        "[RFC 896](https://www.rfc-editor.org/rfc/rfc896): a short segment waits until all before it are acknowledged; "
        "[RFC 1122](https://www.rfc-editor.org/rfc/rfc1122), 4.2.3.2: an acknowledgement may wait, for less than 0.5 s, on Linux "
        "[40 ms at least](https://github.com/torvalds/linux/blob/master/include/net/tcp.h); "
        "[RFC 9293](https://www.rfc-editor.org/rfc/rfc9293), 3.7.4: together they can be a problem"
    ),
    "full-backlog": (
        "[listen(2)](https://man7.org/linux/man-pages/man2/listen.2.html): what meets a full queue may be ignored, so that it is tried "
        "again; [RFC 6298](https://www.rfc-editor.org/rfc/rfc6298), 2.1 and 5.5: after 1 s, and then after twice as long each time; "
        "[Linux](https://docs.kernel.org/networking/ip-sysctl.html), since 6.5: five times after 1 s, and only then after twice as long"
    ),
    "blocking-wait": (
        "asyncio's documentation, [Concurrency and multithreading]"
        "(https://docs.python.org/3/library/asyncio-dev.html#concurrency-and-multithreading): while a task runs no other one of its "
        "thread does, until it awaits; so blocking code should not be called directly"
    ),
    "database": (
        "[What async really means for your python web app?](https://hackeryarn.com/post/async-python-benchmarks/): at PostgreSQL, Django "
        "without asyncio, with a pool, beats or matches all else; Chang, [Asyncio is neither fast nor slow]"
        "(https://blog.changs.co.uk/asyncio-is-neither-fast-nor-slow.html) (2026): there asyncio's side fetched all rows; mended, and "
        "with threads enough, both answer as many requests/s; Bayer, [Asynchronous Python and Databases]"
        "(https://techspot.zzzeek.org/2015/02/15/asynchronous-python-and-databases/) (2015): for ordinary database code asyncio is "
        "never necessary, and almost certainly slower"
    ),
    "pool-turns": (
        "Lampson and Redell, [Experience with Processes and Monitors in Mesa](https://dl.acm.org/doi/10.1145/358818.358824) (CACM 23(2), "
        "1980): who is notified gets a hint and no turn; another one may come first; Python's documentation, "
        "[Semaphore](https://docs.python.org/3/library/threading.html#semaphore-objects): the order in which threads are woken should "
        "not be relied on"
    ),
}


def met(result: EffectResult, causes: Sequence[Cause]) -> tuple[str, ...]:
    """Return the servers in whose figures a rule found the cause of an effect, each once."""
    return tuple(dict.fromkeys(each.servers[0] for each in causes if each.source == result.source))
