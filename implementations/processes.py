"""Processes: workers forked beforehand share the listener, one for each core, with a thread per client in each.

Python runs on all cores at once, since each worker has an interpreter lock of its own. It costs the memory of several
interpreters, and clients of different workers share nothing.

The workers inherit one listener, and each has its share of the places: a full one does not accept, so that whoever comes
goes to another. With SO_REUSEPORT each would have a queue of its own: a client that the kernel deals to a full worker would
wait there, while another worker has a place free.

- Who accepts: the main thread of any worker that has a place.
- Who decides to switch: the kernel; within a worker also the interpreter lock, at any bytecode.
- Where it can wait: each thread for itself, in recv() and send().
- What pushes back on a slow reader: send() blocks its thread, so nothing more is read.
- What ends a connection: `quit`, end of input, an error, or silence that outlasts the idle timeout.
- What ends the server: a stop ends the listener for all workers, which shows them that they are to end their clients'
  input and leave when these are gone; if the parent ends, in whatever way, so do they, at once. A worker that dies takes
  its clients with it, and the parent replaces it.
"""

import os
from contextlib import suppress
from select import poll
from signal import (
    ITIMER_REAL,
    SIG_BLOCK,
    SIG_DFL,
    SIGALRM,
    SIGCHLD,
    pthread_sigmask,
    setitimer,
    signal,
    sigwait,
)
from socket import socket, socketpair
from threading import Semaphore
from time import sleep
from traceback import print_exc
from typing import NamedTuple

from implementations.blocking_handler import handle
from implementations.relays.threads import Pool
from implementations.server import (
    RETRY_S,
    STOP_SIGNALS,
    Options,
    Server,
    aside,
    fail,
    pause_after,
    run,
    say,
    shares,
    start_thread,
)

RESTART_S = 0.5
"""A worker that dies again and again should not keep the machine busy."""

READY = b"!"
NOBODY = (0, 0)
"""What waitpid() says while nobody has ended."""


class Worker(NamedTuple):
    """What the parent knows of a worker: its share of places and connections, and a socket that shows either the other's end."""

    share: Options
    lifeline: socket


class Workers:
    """The parent's part: it serves nobody, and sees to it that there is a worker for each core.

    It has one thread, so that it may fork at any time.
    """

    def __init__(self) -> None:
        """Begin with no workers."""
        self.workers: dict[int, Worker] = {}
        self.vacant: list[Options] = []

    def start(self, server: Server) -> None:
        """Fork a worker for each core, unless there are fewer places, and wait until all are ready."""
        signal(SIGCHLD, SIG_DFL)
        pthread_sigmask(SIG_BLOCK, {SIGCHLD, SIGALRM})
        count = min(len(os.sched_getaffinity(0)), server.options.max_clients)
        self.vacant = shares(server.options, count)
        self.fill(server)
        if self.vacant:
            fail(1, f"cannot start: {len(self.workers)} of {count} workers are to be had")

    def wait(self, server: Server) -> None:
        """Replace workers that die, until the server is told to stop; then await those that there are."""
        while (told := sigwait({SIGCHLD, SIGALRM, *STOP_SIGNALS})) not in STOP_SIGNALS:
            if told == SIGALRM:
                self.fill(server)
            self.bury()
            if self.vacant:
                setitimer(ITIMER_REAL, RESTART_S)
        aside(server.stop_within_grace)  # there are no more forks, so there may be threads
        while self.workers:
            self.workers.pop(os.wait()[0], None)

    def fill(self, server: Server) -> None:
        """Fork a worker for each vacancy, unless the operating system refuses it, or what it needs."""
        vacant, self.vacant = self.vacant, []
        for share in vacant:
            try:
                self.fork(server, share)
            except OSError:
                self.vacant.append(share)

    def fork(self, server: Server, share: Options) -> None:
        """Start a worker, and wait until it is ready."""
        ours, theirs = socketpair()
        pid = os.fork()
        if pid == 0:
            for inherited in (ours, *(worker.lifeline for worker in self.workers.values())):
                inherited.close()
            try:
                work(server, share, theirs)
                os._exit(0)
            finally:  # whatever was raised, what called us is the parent's part
                print_exc()
                os._exit(1)
        theirs.close()
        if not ours.recv(1):
            raise ChildProcessError
        self.workers[pid] = Worker(share, ours)

    def bury(self) -> None:
        """Say which workers have ended, and keep their places for others."""
        with suppress(ChildProcessError):  # there are none any more
            while (ended := os.waitpid(-1, os.WNOHANG)) != NOBODY:
                pid, status = ended
                if worker := self.workers.pop(pid, None):
                    worker.lifeline.close()
                    self.vacant.append(worker.share)
                    code = os.waitstatus_to_exitcode(status)
                    say(f"worker {pid} has ended, exit code {code}; another takes its place")


def work(server: Server, share: Options, lifeline: socket) -> None:
    """Accept a client whenever there is a place for it, and give it a thread: a worker's life."""
    places = Semaphore(share.max_clients)
    pool = Pool(share.upstream)
    if not start_thread(follow_parent, server, lifeline):
        return
    lifeline.send(READY)

    def occupy_place(client: socket) -> None:
        try:
            handle(client, server, pool)
        finally:
            places.release()

    while True:
        places.acquire()
        try:
            client, _ = server.listener.accept()
        except (OSError, MemoryError) as error:
            places.release()
            if server.stopping:
                break
            sleep(pause_after(error))
            continue
        while not start_thread(occupy_place, client):
            sleep(RETRY_S)  # out of threads: they come back when others leave
    for _ in range(share.max_clients):
        places.acquire()


def follow_parent(server: Server, lifeline: socket) -> None:
    """Stop when the parent has shut the listener, which all share; end at once when the parent has ended."""
    hung_up = poll()
    hung_up.register(server.listener, 0)
    hung_up.register(lifeline, 0)
    while True:
        for descriptor, _ in hung_up.poll():
            if descriptor == lifeline.fileno():
                os._exit(1)
            hung_up.unregister(descriptor)
            aside(server.stop)


if __name__ == "__main__":
    workers = Workers()
    run(workers.wait, prepare=workers.start)
